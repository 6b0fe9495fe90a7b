import type { Ugly } from './ugly.ts';

/**
 * Halves what fails together until it is as small as it gets: one case, where one is to blame.
 *
 * @param fails plays these, and nothing else
 * @returns as they were given where they do not fail again
 */
export async function smallest<Case>(
  cases: readonly Case[],
  fails: (some: readonly Case[]) => Promise<boolean>,
): Promise<readonly Case[]> {
  for (let left = cases; ; ) {
    const middle = Math.ceil(left.length / 2);
    const halves = left.length < 2 ? [] : [left.slice(0, middle), left.slice(middle)];
    let failing: readonly Case[] | undefined;
    for (const half of halves) if (failing === undefined && (await fails(half))) failing = half;
    if (failing === undefined) return left;
    left = failing;
  }
}

/** Characters of a case that are printed. */
const PRINTED = 2_000;

/** A case as it can be read and copied into a test: its bytes as characters of Latin-1, escaped. */
export function printed({ pieces, atEnd }: Ugly): string {
  const text = JSON.stringify(pieces.map((piece) => piece.toString('latin1'))).replace(
    /[\x7f-\xff]/g,
    (character) => `\\u00${character.charCodeAt(0).toString(16)}`,
  );
  return `${text.length > PRINTED ? `${text.slice(0, PRINTED)}…` : text}, then ${atEnd}`;
}
