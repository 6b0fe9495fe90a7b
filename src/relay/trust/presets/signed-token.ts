import type { KeyObject } from 'node:crypto';
import type { JWTHeaderParameters, JWTVerifyGetKey } from 'jose';
import { ASSERTION_TYPE } from '../../../identity/assertion.ts';
import type { Identity } from '../../../identity/identity.ts';
import type { TrustTokenConfig } from '../../../platform/config/trust-schema.ts';
import { timeFailure } from '../../../platform/token-failure.ts';
import { type Claims, readClaims } from '../claims.ts';
import { describeTokenFailure } from '../verification-failure.ts';
import { VerifiedCache } from '../verified-cache.ts';
import { verifyByAny } from '../verify-by-any.ts';
import { decodeText } from './field-value.ts';
import { ABSENT, type Lookup, type Reading, refused } from './preset.ts';

/** A header beside the token that says a part of it again. The token counts; a header that says otherwise is a forgery. */
export interface Beside {
  readonly header: string;
  /** What it must say, where it says anything; an empty text: the token does not say, so the header may not either. */
  readonly of: (claims: Claims) => readonly string[];
}

export interface SignedTokenOptions {
  /** The header with the token, as it is written in messages. */
  readonly header: string;
  readonly algorithms: readonly string[];
  /** Public keys by their id, or shared secrets, of which one must fit. */
  readonly getKey: JWTVerifyGetKey | readonly KeyObject[];
  /** Accepted `iss`; absent: not compared. */
  readonly issuer?: string | readonly string[];
  /** Accepted `aud`; absent: not compared by the library. */
  readonly audience?: readonly string[];
  readonly token: Pick<TrustTokenConfig, 'claims' | 'clockTolerance'>;
  /** Milliseconds. */
  readonly now: () => number;
  readonly beside?: readonly Beside[];
  /** What the token says, where some of it stands in its header; absent: the payload. */
  readonly claimsOf?: (payload: Claims, header: JWTHeaderParameters) => Claims;
  /** What else must hold. @returns why it does not, in a few words */
  readonly check?: (claims: Claims, header: JWTHeaderParameters) => string | undefined;
  /** Who it is where the token has no subject; undefined: nobody. */
  readonly other?: (claims: Claims) => Identity | undefined;
  /** The token is the caller's own credential: a connection ends with it, and a bad one is challenged (RFC 6750 §3). */
  readonly bearer?: boolean;
}

const INVALID_TOKEN = { 'WWW-Authenticate': 'Bearer error="invalid_token"' };
const CHECK = 'check relay.trust.token';

interface Verified {
  readonly claims: Claims;
  readonly identity: Identity;
  /** Unix time in milliseconds. */
  readonly expiresAt: number;
}

/** Verifies one product's tokens; answers at once for one that was verified before. */
export class SignedToken {
  readonly #options: SignedTokenOptions;
  readonly #verified: VerifiedCache<Verified>;

  constructor(options: SignedTokenOptions) {
    this.#options = options;
    this.#verified = new VerifiedCache(options.now);
  }

  /** The token of its own header. @throws DependencyUnavailable where keys cannot be had */
  read(get: Lookup): Reading | Promise<Reading> {
    const { header, beside = [] } = this.#options;
    const jwt = get(header.toLowerCase())?.trim() ?? '';
    if (jwt !== '') return this.verify(jwt, get);
    const alone = beside.find((each) => value(get, each) !== '');
    return alone === undefined
      ? ABSENT
      : refused('assertion_missing', `${alone.header} came without ${header}, which alone proves anything`);
  }

  /** @throws DependencyUnavailable where keys cannot be had */
  verify(jwt: string, get: Lookup): Reading | Promise<Reading> {
    const known = this.#verified.get(jwt);
    return known === undefined
      ? this.#check(jwt).then((result) => ('kind' in result ? result : this.#compare(result, get)))
      : this.#compare(known, get);
  }

  async #check(jwt: string): Promise<Verified | Reading> {
    const { header, algorithms, getKey, issuer, audience, token, now, claimsOf, check, other, bearer } = this.#options;
    const challenge = bearer === true ? INVALID_TOKEN : undefined;
    const invalid = (why: string) =>
      refused('assertion_invalid', `${header} is not valid: ${why}; ${CHECK}`, challenge);
    const clock = { now: now(), clockTolerance: token.clockTolerance, key: 'relay.trust.token.clockTolerance' };
    let claims: Claims;
    try {
      const { payload, protectedHeader } = await verifyByAny(jwt, [getKey].flat(), {
        algorithms: [...algorithms],
        ...(issuer === undefined ? {} : { issuer: [issuer].flat() }),
        ...(audience === undefined ? {} : { audience: [...audience] }),
        clockTolerance: token.clockTolerance / 1000,
        currentDate: new Date(clock.now),
      });
      // RFC 8725 §3.11: forward-auth's assertion speaks for one request and is nobody's token.
      if (protectedHeader.typ?.toLowerCase() === ASSERTION_TYPE) return invalid('an assertion is not an access token');
      claims = claimsOf === undefined ? payload : claimsOf(payload, protectedHeader);
      const wrong = check?.(claims, protectedHeader);
      if (wrong !== undefined) return invalid(wrong);
    } catch (error) {
      return invalid(describeTokenFailure(error, `the source of keys for ${header}`, clock));
    }
    const { exp } = claims;
    if (typeof exp !== 'number') return invalid('it has no "exp"');
    if (clock.now / 1000 >= exp + token.clockTolerance / 1000) return invalid(timeFailure('exp', exp, clock));
    const identity = readClaims(claims, token.claims) ?? other?.(claims);
    if (identity === undefined) return invalid(`it has no usable "${token.claims.subject}"`);
    const verified: Verified = { claims, identity, expiresAt: exp * 1000 };
    this.#verified.set(jwt, verified, exp);
    return verified;
  }

  #compare({ claims, identity, expiresAt }: Verified, get: Lookup): Reading {
    const { header, beside = [], bearer } = this.#options;
    for (const each of beside) {
      const said = value(get, each);
      if (said !== '' && !each.of(claims).includes(said))
        return refused('assertion_user', `${each.header} and ${header} name different users`);
    }
    return { kind: 'read', identity, ...(bearer === true ? { expiresAt } : {}) };
  }
}

function value(get: Lookup, { header }: Beside): string {
  return decodeText(get(header.toLowerCase()));
}

/** A claim as it would stand in a header. */
export function claimText(claims: Claims, name: string): string[] {
  const value = claims[name];
  return typeof value === 'string' ? [value] : [];
}
