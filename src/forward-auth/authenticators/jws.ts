import { constants, type KeyObject, verify } from 'node:crypto';
import { isRecord } from '../../platform/is-record.ts';
import { ALGORITHMS } from '../../platform/verification-key.ts';

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

/** When a token says it was made, Unix time in milliseconds; undefined where it does not say. Not verified. */
export function issuedAt({ payload }: CompactJws): number | undefined {
  return typeof payload.iat === 'number' ? payload.iat * 1000 : undefined;
}
