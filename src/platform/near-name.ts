import { closest, distance } from 'fastest-levenshtein';

/** @returns the known name that is probably meant; undefined where none is near */
export function nearName(given: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const near = closest(given, known);
  return distance(given, near) <= Math.max(2, given.length / 3) ? near : undefined;
}
