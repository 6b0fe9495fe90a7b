import { parseArgs } from 'node:util';
import { ConfigurationError, PosternError } from '../platform/errors.ts';
import { nearName } from '../platform/near-name.ts';
import { redactText } from '../platform/redact.ts';
import { version } from '../platform/version.ts';
import {
  COMMON_OPTIONS,
  type Command,
  type CommandLine,
  EXIT_CONFIG,
  EXIT_USAGE,
  type Terminal,
  UsageError,
} from './command.ts';
import { askAtTerminal } from './terminal-question.ts';

const TERMINAL: Terminal = {
  env: process.env,
  print: (text) => void process.stdout.write(`${text}\n`),
  printError: (text) => void process.stderr.write(`${text}\n`),
  ...(process.stdin.isTTY && { ask: askAtTerminal }),
};

/** By name, in the order in which `--help` lists them. */
export type Commands = Readonly<Record<string, Command>>;

/**
 * Runs one of these commands.
 *
 * @param argv arguments after the program's name
 * @returns the exit code: 0, 1 (it failed), 64 (wrong command line) or 78 (wrong configuration)
 */
export async function dispatch(commands: Commands, argv: string[], terminal: Terminal = TERMINAL): Promise<number> {
  if (terminal === TERMINAL) for (const stream of [process.stdout, process.stderr]) outliveReader(stream);
  try {
    return await runCommand(commands, argv, terminal);
  } catch (error) {
    return report(error, terminal);
  }
}

/** Whoever reads may leave before the end, as `head` does: that is no failure. What cannot be written otherwise is one, but for a log. */
function outliveReader(stream: NodeJS.WriteStream): void {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE' || stream.listenerCount('error') > 1) return;
    if (stream !== process.stderr) process.stderr.write(`postern: the output cannot be written (${code})\n`);
    process.exit(1);
  });
}

async function runCommand(commands: Commands, argv: readonly string[], terminal: Terminal): Promise<number> {
  if (argv[commandIndex(argv)] === undefined) return withoutCommand(commands, argv, terminal);
  const { command, line } = readCommandLine(commands, argv);
  if (line.values.help === true) return print(terminal, commandHelp(command));
  if (line.values.version === true) return print(terminal, version());
  const [least, most] = command.positionals;
  if (line.positionals.length < least || line.positionals.length > most)
    throw new UsageError(`wrong number of arguments; usage: ${command.usage}`);
  return command.run(line, terminal);
}

/** @throws UsageError where there is no such command, or no such option of it */
export function readCommandLine(
  commands: Commands,
  argv: readonly string[],
): { readonly command: Command; readonly line: CommandLine } {
  const at = commandIndex(argv);
  const name = argv[at] ?? '';
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined)
    throw new UsageError(`unknown command "${name}"${suggestion(name, Object.keys(commands))}`);
  return { command, line: parseLine(command, argv.toSpliced(at, 1)) };
}

/** The first word that is neither an option nor the value of `--config` before it. */
function commandIndex(argv: readonly string[]): number {
  const index = argv.findIndex((word, i) => !word.startsWith('-') && argv[i - 1] !== '--config');
  return index === -1 ? argv.length : index;
}

function withoutCommand(commands: Commands, argv: readonly string[], terminal: Terminal): number {
  const { values } = parseLine({ options: {}, positionals: [0, 0] }, argv);
  if (values.version === true) return print(terminal, version());
  if (values.help === true) return print(terminal, help(commands));
  terminal.printError(help(commands));
  return EXIT_USAGE;
}

function parseLine(command: Pick<Command, 'options' | 'positionals'>, args: readonly string[]): CommandLine {
  const options = { ...COMMON_OPTIONS, ...command.options };
  try {
    return parseArgs({
      args: withDashes(args, options, command.positionals[1] > 1),
      options,
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const unknown = code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION' ? /'(-{1,2}[^'=]+)/.exec(message)?.[1] : undefined;
    if (unknown === undefined) throw new UsageError(message);
    throw new UsageError(
      `unknown option ${unknown}${suggestion(
        unknown,
        Object.keys(options).map((name) => `--${name}`),
      )}`,
    );
  }
}

/**
 * Keys that `list` prints may begin with a dash, one in 64 does: `--session -x…` is read as `--session=-x…`, and
 * `remove -x…` as `remove -- -x…`. What could be a mistyped option stays one.
 */
function withDashes(args: readonly string[], options: Command['options'], hasKey: boolean): string[] {
  const isOption = (word: string) => word === '-h' || Object.hasOwn(options, word.replace(/^--|=.*$/gs, ''));
  const read: string[] = [];
  const keys: string[] = [];
  for (const word of args) {
    const before = read.at(-1) ?? '';
    const takesValue = before.startsWith('--') && options[before.slice(2)]?.type === 'string';
    if (takesValue && word.startsWith('-') && word !== '--' && !isOption(word)) read.push(`${read.pop()}=${word}`);
    else if (hasKey && /^-[\w][\w-]{8,}$/.test(word)) keys.push(word);
    else read.push(word);
  }
  return keys.length === 0 ? read : [...read, '--', ...keys];
}

function suggestion(given: string, known: readonly string[]): string {
  const near = nearName(given, known);
  return near === undefined ? `; there are: ${known.join(', ')}` : `; did you mean ${near}?`;
}

function report(error: unknown, terminal: Terminal): number {
  if (error instanceof UsageError) {
    terminal.printError(`postern: ${error.message}\nTry: postern --help`);
    return EXIT_USAGE;
  }
  if (error instanceof ConfigurationError) {
    terminal.printError(`postern: ${error.message}`);
    return EXIT_CONFIG;
  }
  if (error instanceof PosternError && error.expose) {
    terminal.printError(`postern: ${error.message}${hint(error)}`);
    return 1;
  }
  terminal.printError(redactText(`postern: ${error instanceof Error ? error.stack : String(error)}`));
  return 1;
}

function hint(error: PosternError): string {
  const code = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'EADDRINUSE')
    return '\n  another program listens there: end it, or choose another port (`listen`, `up --port-base N`)';
  if (code === 'EADDRNOTAVAIL')
    return '\n  no network of this machine or container has that address: in `listen` name one that it has, or 0.0.0.0 for all';
  if (code === 'EACCES') return '\n  this port needs privileges: choose one above 1023';
  return '';
}

function print(terminal: Terminal, text: string): number {
  terminal.print(text);
  return 0;
}

function help(commands: Commands): string {
  const lines = Object.entries(commands).map(([name, command]) => `  ${name.padEnd(12)}${command.summary}`);
  return `Usage: postern COMMAND [--config FILE]

${lines.join('\n')}

  --config FILE   the configuration; default: ./postern.yaml where it exists
  --version       print the version
  --help          print this; after a command: about that command`;
}

function commandHelp(command: Command): string {
  return `Usage: ${command.usage}\n\n${command.help}`;
}
