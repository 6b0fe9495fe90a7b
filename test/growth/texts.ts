/** Makes texts of a size out of one that is repeated. */
export function repeated(part: string, before = '', after = ''): (size: number) => string {
  return (size) => before + part.repeat(Math.max(1, Math.ceil(size / part.length))) + after;
}

/** What makes careless patterns slow: long runs of what they look for, without the end that they want. */
export const TRICKY = {
  slashes: repeated('/'),
  'dots and slashes': repeated('./', '/', 'x'),
  spaces: repeated(' ', 'a', 'b'),
  commas: repeated(','),
  'semicolons and spaces': repeated('; '),
  'equals signs': repeated('a='),
  colons: repeated(':1'),
  'open brackets': repeated('('),
  'open braces': repeated('{'),
  quotes: repeated('"'),
  backslashes: repeated('\\'),
  'percent signs': repeated('%2'),
  escapes: repeated('%2e'),
  letters: repeated('a'),
  'digits and an end': repeated('1', '', 'x'),
  stars: repeated('*a'),
  'wide letters': repeated('\uff41\u0301'),
  'invisible characters': repeated('\u200b'),
} as const;

/** As one field of HTTP carries it. */
export const FIELD_TEXTS = Object.fromEntries(
  Object.entries(TRICKY).map(([name, make]) => [name, (size: number) => Buffer.from(make(size)).toString('latin1')]),
);
