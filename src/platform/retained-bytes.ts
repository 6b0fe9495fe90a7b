import type { Identity } from '../identity/identity.ts';

/** Bytes that V8 takes for the head of a text and the pointer to it. */
const OF_A_TEXT = 32;

/** Bytes of an identity without texts, and of its place in a cache. */
const OF_AN_IDENTITY = 400;

/** About what a text takes in memory: one byte for each character of most texts, two where one needs them. */
export function textBytes(text: string): number {
  return OF_A_TEXT + Buffer.byteLength(text);
}

/** The same of several. */
export function textsBytes(texts: Iterable<string>): number {
  let bytes = 0;
  for (const text of texts) bytes += textBytes(text);
  return bytes;
}

/** About what an identity takes in memory. */
export function identityBytes({ subject, username = '', email, name, groups, scopes, issuer }: Identity): number {
  return (
    OF_AN_IDENTITY + textsBytes([subject, username, email, name, issuer]) + textsBytes(groups) + textsBytes(scopes)
  );
}
