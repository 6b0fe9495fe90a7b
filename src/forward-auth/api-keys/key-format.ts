import { createHash, randomBytes, randomInt } from 'node:crypto';

/** An API key as a client sends it: `pst_<id>_<secret>`. The prefix lets scanners of source code find a leaked one. */
export interface ApiKeyParts {
  readonly id: string;
  readonly secret: string;
}

export const API_KEY_PREFIX = 'pst_';
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 10;
const SECRET_BYTES = 32;
const FORMAT = /^pst_([0-9A-Za-z]{8,12})_([A-Za-z0-9_-]{43})$/;

/** @returns undefined where it is no API key of ours */
export function parseApiKey(text: string): ApiKeyParts | undefined {
  const match = FORMAT.exec(text);
  return match === null ? undefined : { id: match[1] as string, secret: match[2] as string };
}

export function newApiKey(): ApiKeyParts {
  let id = '';
  for (let i = 0; i < ID_LENGTH; i++) id += BASE62[randomInt(BASE62.length)];
  return { id, secret: randomBytes(SECRET_BYTES).toString('base64url') };
}

export function formatApiKey({ id, secret }: ApiKeyParts): string {
  return `${API_KEY_PREFIX}${id}_${secret}`;
}

/** A plain hash is enough: 256 random bits cannot be guessed, so that nothing slow is needed. */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
