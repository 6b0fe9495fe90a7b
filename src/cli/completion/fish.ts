import type { KnownWords } from './known-words.ts';

/** For `postern completion fish | source`, or a file in `~/.config/fish/completions`. */
export function fishCompletion(commands: readonly KnownWords[]): string {
  return [
    '# fish completion for postern: postern completion fish | source',
    IS_COMMAND,
    'complete -c postern -f',
    `complete -c postern -n '__postern_is ""' -l config -r -F`,
    `complete -c postern -n '__postern_is ""' -l help`,
    `complete -c postern -n '__postern_is ""' -l version`,
    ...commands.flatMap(linesOf),
  ].join('\n');
}

/** The first word that is neither an option nor the value of `--config`. */
const IS_COMMAND = `function __postern_is
  set -l words (commandline -opc)[2..]
  set -l command ''
  while set -q words[1]
    switch $words[1]
      case --config
        set -e words[1]
      case '-*'
      case '*'
        set command $words[1]
        break
    end
    set -q words[1]; and set -e words[1]
  end
  test "$command" = "$argv[1]"
end`;

function linesOf({ name, summary, flags, free, values, choices }: KnownWords): string[] {
  const here = `complete -c postern -n '__postern_is ${name}'`;
  return [
    `complete -c postern -n '__postern_is ""' -a ${name} -d ${quote(summary)}`,
    ...flags.map((option) => `${here} -l ${option.slice(2)}`),
    ...free.map((option) => `${here} -l ${option.slice(2)} -r -F`),
    ...Object.entries(values).map(([option, known]) => `${here} -l ${option.slice(2)} -x -a '${known.join(' ')}'`),
    ...(choices.length === 0
      ? []
      : [
          `complete -c postern -n '__postern_is ${name}; and not __fish_seen_subcommand_from ${choices.join(' ')}' -a '${choices.join(' ')}'`,
        ]),
  ];
}

/** A single quote and a backslash are escaped by a backslash there. */
const quote = (text: string) => `'${text.replace(/['\\]/g, '\\$&')}'`;
