import type { KeyObject } from 'node:crypto';
import { errors, type JWTVerifyGetKey, type JWTVerifyOptions, type JWTVerifyResult, jwtVerify } from 'jose';

/**
 * Verifies by the first key that fits, such as the old and the new secret of a rotation.
 *
 * @throws what the last key tried says
 */
export async function verifyByAny(
  token: string,
  keys: readonly (KeyObject | JWTVerifyGetKey)[],
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  let failure: unknown;
  for (const key of keys)
    try {
      return typeof key === 'function' ? await jwtVerify(token, key, options) : await jwtVerify(token, key, options);
    } catch (error) {
      failure = error;
      if (!(error instanceof errors.JWSSignatureVerificationFailed)) break;
    }
  throw failure;
}
