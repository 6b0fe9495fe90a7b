import type { ParseArgsConfig } from 'node:util';

/** sysexits.h: the user's command line is wrong; the configuration is wrong. */
export const EXIT_USAGE = 64;
export const EXIT_CONFIG = 78;
/** sysexits.h: what should never happen happened in a running process. */
export const EXIT_UNEXPECTED = 70;

/** Those that every command has. */
export const COMMON_OPTIONS = {
  config: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const;

export interface CommandLine {
  readonly values: Readonly<Record<string, string | boolean | Array<string | boolean> | undefined>>;
  readonly positionals: readonly string[];
}

/** What a command may touch of the outside. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  print(text: string): void;
  printError(text: string): void;
  /**
   * Asks the person at the terminal; absent where there is none.
   *
   * @param hidden whether the answer is not shown
   * @returns undefined where they end it
   */
  readonly ask?: (question: string, hidden?: boolean) => Promise<string | undefined>;
}

export interface Command {
  /** One line for `postern --help`. */
  readonly summary: string;
  /** All of `postern NAME --help`, after the line with the usage. */
  readonly help: string;
  readonly usage: string;
  readonly options: NonNullable<ParseArgsConfig['options']>;
  /** Values of options that take no others, for completion. */
  readonly values?: Readonly<Record<string, readonly string[]>>;
  /** What its first positional argument may be, where it is one of these. */
  readonly choices?: readonly string[];
  /** How many positional arguments it takes. */
  readonly positionals: readonly [least: number, most: number];
  /** @returns the exit code */
  run(line: CommandLine, terminal: Terminal): Promise<number>;
}

/** The command line is wrong: the message names what and, where it can, what was meant. */
export class UsageError extends Error {}

export function optionalText(line: CommandLine, name: string): string | undefined {
  const value = line.values[name];
  return typeof value === 'string' ? value : undefined;
}

export function textList(line: CommandLine, name: string): string[] {
  const value = line.values[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
