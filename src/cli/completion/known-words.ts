import type { Command } from '../command.ts';

/** What a shell may complete after one command. */
export interface KnownWords {
  readonly name: string;
  readonly summary: string;
  /** Options that take no value, as they are written. */
  readonly flags: readonly string[];
  /** Options whose value is any text or file, as they are written. */
  readonly free: readonly string[];
  /** Options with the values that they take. */
  readonly values: Readonly<Record<string, readonly string[]>>;
  /** What its first argument may be. */
  readonly choices: readonly string[];
}

/** @param common options that every command has */
export function knownWords(
  commands: Readonly<Record<string, Command>>,
  common: Command['options'],
): readonly KnownWords[] {
  return Object.entries(commands).map(([name, { summary, options, choices = [], values = {} }]) => {
    const all = Object.entries({ ...options, ...common });
    const written = (wanted: (name: string, type: string) => boolean) =>
      all.flatMap(([option, { type }]) => (wanted(option, type) ? [`--${option}`] : []));
    return {
      name,
      summary,
      flags: written((_, type) => type === 'boolean'),
      free: written((option, type) => type === 'string' && values[option] === undefined),
      values: Object.fromEntries(Object.entries(values).map(([option, known]) => [`--${option}`, known])),
      choices,
    };
  });
}

/** All options, as they are written. */
export function optionsOf({ flags, free, values }: KnownWords): readonly string[] {
  return [...Object.keys(values), ...free, ...flags];
}
