import { createHash, timingSafeEqual } from 'node:crypto';

/** Compares digests, so that neither the length nor the first difference of a guess shows in the time it takes. */
export function createSecretCheck(secret: string): (given: string | undefined) => boolean {
  const expected = digest(secret);
  return (given) => timingSafeEqual(digest(given ?? ''), expected) && given !== undefined;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
