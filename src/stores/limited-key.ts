import { createHash } from 'node:crypto';

/** A client may choose what is counted: hashed, it has one size and harmless characters, and names nobody in the store. */
export function limitedKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}
