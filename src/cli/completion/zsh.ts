import { type KnownWords, optionsOf } from './known-words.ts';

/** For a file `_postern` in `$fpath`, or `source <(postern completion zsh)` after `compinit`. */
export function zshCompletion(commands: readonly KnownWords[]): string {
  const afterOption = commands.flatMap(({ name, free, values }) => [
    ...Object.entries(values).map(
      ([option, known]) => `    ${name}:${option}) compadd -- ${known.join(' ')}; return ;;`,
    ),
    `    ${free.map((option) => `${name}:${option}`).join('|')}) _files; return ;;`,
  ]);
  const described = commands.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}`);
  const afterCommand = commands.map((known) => `    ${known.name}) compadd -- ${optionsOf(known).join(' ')} ;;`);
  const choices = commands.flatMap(({ name, choices: known }) =>
    known.length === 0 ? [] : [`    ${name}) compadd -- ${known.join(' ')} ;;`],
  );
  return `#compdef postern
# zsh completion for postern: source <(postern completion zsh), or this as _postern in a folder of $fpath
_postern() {
  local command='' before=\${words[CURRENT-1]} at=0 i
  local -a commands=(
${described.join('\n')}
  )
  for ((i = 2; i < CURRENT; i++)); do
    case \${words[i]} in
      --config) ((i++)) ;;
      -*) ;;
      *) command=\${words[i]} at=$i; break ;;
    esac
  done
  case $command:$before in
    :--config) _files; return ;;
${afterOption.join('\n')}
  esac
  if [[ -z $command ]]; then
    _describe command commands
    compadd -- --config --help --version
    return
  fi
  if ((CURRENT == at + 1)); then case $command in
${choices.join('\n')}
  esac; fi
  case $command in
${afterCommand.join('\n')}
  esac
}
if [[ $funcstack[1] == _postern ]]; then _postern "$@"; else compdef _postern postern; fi`;
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
