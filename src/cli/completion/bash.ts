import { type KnownWords, optionsOf } from './known-words.ts';

/** For `source <(postern completion bash)`, with bash 3.2 or newer. */
export function bashCompletion(commands: readonly KnownWords[]): string {
  const afterOption = commands.flatMap(({ name, free, values }) => [
    ...Object.entries(values).map(([option, known]) => `    ${name}:${option}) words='${known.join(' ')}' ;;`),
    `    ${free.map((option) => `${name}:${option}`).join('|')}) return ;;`,
  ]);
  const afterCommand = commands.map((known) => `        ${known.name}) words='${optionsOf(known).join(' ')}' ;;`);
  const choices = commands.flatMap(({ name, choices: known }) =>
    known.length === 0 ? [] : [`        ${name}) words="${known.join(' ')} $words" ;;`],
  );
  return `# bash completion for postern: source <(postern completion bash)
_postern() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command= at=0 words= i
  # --option=value comes as three words.
  if [ "$word" = = ]; then word=
  elif [ "$before" = = ]; then before=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in
      --config) ((i++)) ;;
      -*) ;;
      *) command=\${COMP_WORDS[i]} at=$i; break ;;
    esac
  done
  COMPREPLY=()
  case $command:$before in
    :--config) return ;;
${afterOption.join('\n')}
    *)
      case $command in
        '') words='${commands.map(({ name }) => name).join(' ')} --config --help --version' ;;
${afterCommand.join('\n')}
      esac
      if ((COMP_CWORD == at + 1)); then case $command in
${choices.join('\n')}
      esac; fi ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
# What is not known here is completed as a file.
complete -o default -F _postern postern`;
}
