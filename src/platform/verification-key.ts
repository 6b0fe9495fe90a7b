import { constants, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';

interface Algorithm {
  readonly digest: string | null;
  readonly keyType: string;
  readonly curve?: string;
  readonly padding?: number;
  readonly signatureBytes?: number;
}

const rsa = (digest: string): Algorithm => ({ digest, keyType: 'rsa', padding: constants.RSA_PKCS1_PADDING });
const pss = (digest: string): Algorithm => ({ digest, keyType: 'rsa', padding: constants.RSA_PKCS1_PSS_PADDING });
const ec = (digest: string, curve: string, signatureBytes: number): Algorithm => ({
  digest,
  keyType: 'ec',
  curve,
  signatureBytes,
});

/** RFC 7518 §3.1 and RFC 8037. Asymmetric only: with a shared secret, whoever verifies could sign. */
export const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
  ['RS256', rsa('sha256')],
  ['RS384', rsa('sha384')],
  ['RS512', rsa('sha512')],
  ['PS256', pss('sha256')],
  ['PS384', pss('sha384')],
  ['PS512', pss('sha512')],
  ['ES256', ec('sha256', 'prime256v1', 64)],
  ['ES384', ec('sha384', 'secp384r1', 96)],
  ['ES512', ec('sha512', 'secp521r1', 132)],
  ['EdDSA', { digest: null, keyType: 'ed25519', signatureBytes: 64 }],
]);

/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048;

/** A key fits exactly the algorithms of its own type and curve: this is what makes `alg` confusion impossible. */
export function keyFits(key: KeyObject, alg: string): boolean {
  const algorithm = ALGORITHMS.get(alg);
  if (algorithm === undefined || key.type !== 'public' || key.asymmetricKeyType !== algorithm.keyType) return false;
  const details = key.asymmetricKeyDetails;
  if (algorithm.keyType === 'rsa') return (details?.modulusLength ?? 0) >= MIN_RSA_BITS;
  return algorithm.curve === undefined || details?.namedCurve === algorithm.curve;
}

/** A public key of a JWK Set that may verify signatures (RFC 7517 §4), with what it says about itself. */
export interface VerificationKey {
  readonly kid: string | undefined;
  readonly alg: string | undefined;
  readonly key: KeyObject;
}

/** @returns undefined for a key that is for something else, too short, or of a kind that no algorithm above takes */
export function importVerificationKey(jwk: unknown): VerificationKey | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kty, use, key_ops: operations, kid, alg } = jwk as Record<string, unknown>;
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    // The same key for encryption often says so by its algorithm alone.
    const named = typeof alg === 'string' ? [alg === 'Ed25519' ? 'EdDSA' : alg] : [...ALGORITHMS.keys()];
    if (!named.some((name) => keyFits(key, name))) return undefined;
    return {
      kid: typeof kid === 'string' ? kid : undefined,
      alg: typeof alg === 'string' ? alg : undefined,
      key,
    };
  } catch {
    return undefined;
  }
}
