import { COMMON_OPTIONS, type Command, UsageError } from './command.ts';
import { bashCompletion } from './completion/bash.ts';
import { fishCompletion } from './completion/fish.ts';
import { type KnownWords, knownWords } from './completion/known-words.ts';
import { zshCompletion } from './completion/zsh.ts';

const SHELLS: Readonly<Record<string, (commands: readonly KnownWords[]) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};

/** @param commands the table that this command is one of */
export function completionOf(commands: () => Readonly<Record<string, Command>>): Command {
  return {
    summary: 'print what lets a shell complete commands and options',
    usage: 'postern completion bash|zsh|fish',
    help: `In the start-up file of the shell:

  bash   source <(postern completion bash)
  zsh    source <(postern completion zsh)     after compinit
  fish   postern completion fish | source

What is completed is a command of the name postern: one that is installed, or in bash alias postern='npx postern'.`,
    options: {},
    choices: Object.keys(SHELLS),
    positionals: [1, 1],
    async run(line, terminal) {
      const shell = line.positionals[0] ?? '';
      const write = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
      if (write === undefined)
        throw new UsageError(`there is completion for ${Object.keys(SHELLS).join(', ')}, none for "${shell}"`);
      terminal.print(write(knownWords(commands(), COMMON_OPTIONS)));
      return 0;
    },
  };
}
