import { constants, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto';
import { isRecord } from '../../platform/is-record.ts';

/**
 * Compact JWS (RFC 7515), verified synchronously: one hop through WebCrypto's thread pool costs more than the signature
 * of a token. Kept as small as this so that it can be read whole; its verdicts are tested to equal jose's.
 */
export interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly signingInput: string;
  readonly signature: Buffer;
}

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
const ALGORITHMS: ReadonlyMap<string, Algorithm> = new Map([
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
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** @returns undefined where it is no JWS with JSON objects in it */
export function parseJws(token: string): CompactJws | undefined {
  if (!COMPACT.test(token)) return undefined;
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  const header = parseObject(token.slice(0, first));
  const payload = parseObject(token.slice(first + 1, second));
  const signature = decode(token.slice(second + 1));
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  return { header, payload, signingInput: token.slice(0, second), signature };
}

/** Base64url without padding; undefined for a length or trailing bits that no encoder produces (RFC 4648 §3.5). */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  const rest = text.length % 4;
  if (rest === 1) return undefined;
  if (rest !== 0 && bytes.subarray(-(bytes.length % 3)).toString('base64url') !== text.slice(-rest)) return undefined;
  return bytes;
}

function parseObject(part: string): Record<string, unknown> | undefined {
  const bytes = decode(part);
  if (bytes === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A key fits exactly the algorithms of its own type and curve: this is what makes `alg` confusion impossible. */
export function keyFits(key: KeyObject, alg: string): boolean {
  const algorithm = ALGORITHMS.get(alg);
  if (algorithm === undefined || key.type !== 'public' || key.asymmetricKeyType !== algorithm.keyType) return false;
  const details = key.asymmetricKeyDetails;
  if (algorithm.keyType === 'rsa') return (details?.modulusLength ?? 0) >= MIN_RSA_BITS;
  return algorithm.curve === undefined || details?.namedCurve === algorithm.curve;
}

/** The caller has checked `keyFits` and its own list of algorithms. */
export function verifySignature(jws: CompactJws, alg: string, key: KeyObject): boolean {
  const algorithm = ALGORITHMS.get(alg);
  if (algorithm === undefined) return false;
  if (algorithm.signatureBytes !== undefined && jws.signature.length !== algorithm.signatureBytes) return false;
  // RFC 8017 §8.1.2, §8.2.2: OpenSSL takes a signature without its leading zero as well; one token, one spelling.
  const modulus = key.asymmetricKeyDetails?.modulusLength;
  if (algorithm.keyType === 'rsa' && jws.signature.length !== Math.ceil((modulus ?? 0) / 8)) return false;
  const data = Buffer.from(jws.signingInput, 'latin1');
  if (algorithm.keyType === 'rsa')
    return verify(
      algorithm.digest,
      data,
      algorithm.padding === constants.RSA_PKCS1_PSS_PADDING
        ? { key, padding: algorithm.padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
        : { key, padding: constants.RSA_PKCS1_PADDING },
      jws.signature,
    );
  return verify(algorithm.digest, data, { key, dsaEncoding: 'ieee-p1363' }, jws.signature);
}

/** A public key of a JWK Set that may verify signatures (RFC 7517 §4), with what it says about itself. */
export interface VerificationKey {
  readonly kid: string | undefined;
  readonly alg: string | undefined;
  readonly key: KeyObject;
}

/** @returns undefined for a key that is for something else, or of a kind that no algorithm above takes */
export function importVerificationKey(jwk: unknown): VerificationKey | undefined {
  if (typeof jwk !== 'object' || jwk === null) return undefined;
  const { kty, use, key_ops: operations, kid, alg } = jwk as Record<string, unknown>;
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined;
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  try {
    return {
      kid: typeof kid === 'string' ? kid : undefined,
      alg: typeof alg === 'string' ? alg : undefined,
      key: createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' }),
    };
  } catch {
    return undefined;
  }
}
