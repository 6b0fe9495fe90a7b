import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ASSERTION_TYPE } from '../../identity/assertion.ts';
import type { Identity } from '../../identity/identity.ts';
import type { RelayConfig } from '../../platform/config/schema.ts';
import { ConfigurationError } from '../../platform/errors.ts';
import { unreadable } from '../../platform/unreadable.ts';
import { readClaims, USUAL_CLAIMS } from './claims.ts';
import { describeTokenFailure } from './verification-failure.ts';
import { VerifiedCache } from './verified-cache.ts';
import { verifyByAny } from './verify-by-any.ts';

export type BearerResult =
  | { kind: 'absent' }
  | { kind: 'verified'; identity: Identity /** Unix time in milliseconds. */; expiresAt: number }
  | { kind: 'bad'; why: string };

const ABSENT: BearerResult = { kind: 'absent' };

type Verified = Extract<BearerResult, { kind: 'verified' }>;

/** The relay's own check of bearer JWTs (`MCP_CLIENT_AUTH_ENABLED`), with one algorithm; with several secrets while they are rotated. */
export class BearerCheck {
  readonly #jwt: RelayConfig['jwt'];
  readonly #keys: readonly KeyObject[];
  readonly #now: () => number;
  readonly #verified: VerifiedCache<Verified>;

  /** @throws ConfigurationError where the key cannot be read */
  constructor(jwt: RelayConfig['jwt'], now: () => number) {
    this.#jwt = jwt;
    this.#keys = readKeys(jwt);
    this.#now = now;
    this.#verified = new VerifiedCache(now);
  }

  check(authorization: string | undefined): BearerResult | Promise<BearerResult> {
    const token = authorization === undefined ? undefined : /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (token === undefined) return ABSENT;
    return this.#verified.get(token) ?? this.#verify(token);
  }

  async #verify(token: string): Promise<BearerResult> {
    const { clockTolerance } = this.#jwt;
    const clock = { now: this.#now(), clockTolerance, key: 'relay.jwt.clockTolerance' };
    try {
      const { payload, protectedHeader } = await verifyByAny(token, this.#keys, {
        algorithms: [this.#jwt.algorithm],
        issuer: this.#jwt.issuer,
        ...(this.#jwt.audienceVerification ? { audience: this.#jwt.audience } : {}),
        requiredClaims: ['exp', 'sub'],
        clockTolerance: clockTolerance / 1000,
        currentDate: new Date(clock.now),
      });
      // RFC 8725 §3.11: an assertion speaks for one request and is no access token.
      if (protectedHeader.typ?.toLowerCase() === ASSERTION_TYPE)
        return { kind: 'bad', why: 'an assertion is not a bearer token' };
      const identity = readClaims(payload, USUAL_CLAIMS);
      if (identity === undefined) return { kind: 'bad', why: 'empty "sub"' };
      const expiresAt = payload.exp as number;
      const result: Verified = { kind: 'verified', identity, expiresAt: expiresAt * 1000 };
      this.#verified.set(token, result, expiresAt);
      return result;
    } catch (error) {
      return { kind: 'bad', why: describeTokenFailure(error, 'the JWT check', clock) };
    }
  }
}

function readKeys(jwt: RelayConfig['jwt']): readonly KeyObject[] {
  if (jwt.algorithm.startsWith('HS')) return (jwt.secretKey ?? []).map((secret) => createSecretKey(secret, 'utf8'));
  const key = readPublicKey(jwt.publicKeyPath ?? '');
  if (fits(key, jwt.algorithm)) return [key];
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType;
  throw new ConfigurationError([
    `relay.jwt.algorithm: ${jwt.algorithm} does not go with the ${kind} key in relay.jwt.publicKeyPath (JWT_ALGORITHM, JWT_PUBLIC_KEY_PATH)`,
  ]);
}

function readPublicKey(path: string): KeyObject {
  const at = 'relay.jwt.publicKeyPath';
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError([`${at}: ${unreadable(path, cause)} (JWT_PUBLIC_KEY_PATH)`], cause);
  }
  try {
    return createPublicKey(text);
  } catch {
    // No cause: a private key must not reach the log.
    throw new ConfigurationError([
      `${at}: ${path} must hold a public key or a certificate in PEM (JWT_PUBLIC_KEY_PATH)`,
    ]);
  }
}

const CURVES: Readonly<Record<string, string>> = { ES256: 'prime256v1', ES384: 'secp384r1', ES512: 'secp521r1' };

/** RFC 7518 §3.3 to §3.5, RFC 8037. Found at start, because otherwise every token would fail. */
function fits(key: KeyObject, algorithm: string): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (algorithm === 'EdDSA') return type === 'ed25519';
  if (algorithm.startsWith('ES')) return type === 'ec' && details?.namedCurve === CURVES[algorithm];
  return type === 'rsa' && (details?.modulusLength ?? 0) >= 2048;
}
