import { randomBytes } from 'node:crypto';

let number = 0;
const next = (fresh: readonly string[]) => fresh[number++ % fresh.length] as string;
const forged = (token: string) => token.slice(0, token.lastIndexOf('.') + 1) + randomBytes(256).toString('base64url');

/** By the name of a flood: the header lines of its next request. @param fresh tokens that were never seen */
export const FIELDS: Readonly<Record<string, (fresh: readonly string[]) => readonly string[]>> = {
  'bad signatures': (fresh) => [`Authorization: Bearer ${forged(next(fresh))}`],
  'unknown sessions': () => [`Cookie: __Host-postern=${randomBytes(32).toString('base64url')}`],
  'unknown API keys': () => [
    `Authorization: Bearer pst_${String(number++).padStart(10, '0')}_${randomBytes(32).toString('base64url')}`,
  ],
  'new tokens': (fresh) => [`Authorization: Bearer ${next(fresh)}`],
  'four thousand header fields': () => Array.from({ length: 4_000 }, (_, at) => `a${at}: b`),
};
