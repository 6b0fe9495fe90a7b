import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { createLocalJWKSet, type JSONWebKeySet } from 'jose';
import { isRecord } from '../../platform/is-record.ts';

/**
 * A JWK Set that can verify something.
 *
 * @throws TypeError where it is none, or holds no public key for signatures: it must not replace one that does
 */
export function keySet(document: unknown): ReturnType<typeof createLocalJWKSet> {
  const keys = isRecord(document) && Array.isArray(document.keys) ? document.keys : [];
  if (!keys.some(verifies)) throw new TypeError('it is no JWK Set with a public key for signatures');
  return createLocalJWKSet(document as unknown as JSONWebKeySet);
}

function verifies(key: unknown): boolean {
  if (!isRecord(key) || key.use === 'enc') return false;
  try {
    createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}
