import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { isRecord } from '../../platform/is-record.ts';
import { importVerificationKey } from '../../platform/verification-key.ts';

/**
 * A JWK Set that can verify something.
 *
 * @throws TypeError where it is none, or holds no public key for signatures: it must not replace one that does
 */
export function keySet(document: unknown): ReturnType<typeof createLocalJWKSet> {
  const keys = isRecord(document) && Array.isArray(document.keys) ? document.keys : [];
  if (!keys.some((key) => importVerificationKey(key) !== undefined))
    throw new TypeError('it is no JWK Set with a public key for signatures');
  return createLocalJWKSet(document as unknown as JSONWebKeySet);
}
