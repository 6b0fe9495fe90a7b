import { createHash, createHmac } from 'node:crypto';

/** Where a chain is: what the next line builds on. */
export interface ChainLink {
  /** Number of the last line; 0 before the first. */
  readonly seq: number;
  /** Its hash; empty before the first. */
  readonly hash: string;
}

export const FIRST_LINK: ChainLink = { seq: 0, hash: '' };

/** SHA-256 of the line up to its hash, or HMAC-SHA-256 where there is a key; base64url. */
export function hashOf(text: string, key: string | undefined): string {
  const hash = key === undefined ? createHash('sha256') : createHmac('sha256', key);
  return hash.update(text).digest('base64url');
}

/** @param line a JSON object of at least one field @returns the line with its place in the chain, and the next link */
export function chained(
  line: string,
  { seq, hash }: ChainLink,
  key: string | undefined,
): { line: string; link: ChainLink } {
  const text = `${line.slice(0, -1)},"seq":${seq + 1},"previous":"${hash}"`;
  const own = hashOf(text, key);
  return { line: `${text},"hash":"${own}"}`, link: { seq: seq + 1, hash: own } };
}

/** What a chained line says of its own place; undefined where it has none. */
export function linkOf(line: string): (ChainLink & { readonly text: string; readonly previous: string }) | undefined {
  const match = /^(\{.*,"seq":(\d+),"previous":"([\w-]*)"),"hash":"([\w-]{43})"\}$/.exec(line);
  if (match === null) return undefined;
  const [, text = '', seq, previous = '', hash = ''] = match;
  return { text, seq: Number(seq), previous, hash };
}
