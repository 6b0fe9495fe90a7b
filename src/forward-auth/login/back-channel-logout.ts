import type { KeyObject } from 'node:crypto';
import { decodeJwt, errors, type JWTHeaderParameters, type JWTPayload, jwtVerify } from 'jose';
import type { Context } from 'koa';
import { digestOf } from '../../platform/digest.ts';
import { DependencyUnavailable, PosternError } from '../../platform/errors.ts';
import { isRecord } from '../../platform/is-record.ts';
import { readForm } from '../../platform/pages/form.ts';
import { claimFailure } from '../../platform/token-failure.ts';
import { normalType } from '../authenticators/token-claims.ts';
import type { Session } from '../sessions/session.ts';
import type { LoginContext } from './context.ts';
import type { ProviderClient } from './provider-client.ts';

const EVENT = 'http://schemas.openid.net/event/backchannel-logout';
/** Seconds that a logout token may be old. */
const MAX_AGE = 300;
/** Milliseconds a token's id is remembered: longer than the token is accepted. */
const REMEMBERED = 900_000;

/** Logout tokens of the providers (OpenID Connect Back-Channel Logout 1.0). */
export class BackChannelLogout {
  readonly #login: LoginContext;

  constructor(login: LoginContext) {
    this.#login = login;
  }

  /** POST /_postern/backchannel-logout (§2.5, §2.8). */
  async handle(ctx: Context): Promise<void> {
    ctx.set('Cache-Control', 'no-store');
    try {
      const tokens = (await readForm(ctx)).getAll('logout_token');
      if (tokens.length !== 1) throw refusal('exactly one logout_token is needed');
      const ended = await this.#logOut(tokens[0] as string);
      ctx.status = 200;
      ctx.body = {};
      this.#login.log.info({ sessions: ended }, 'a provider ended sessions');
    } catch (error) {
      const known = error instanceof PosternError ? error : new DependencyUnavailable('sign-out', error);
      this.#login.log.warn({ error }, 'a logout token was not accepted');
      ctx.status = known.status;
      if (known.status === 503) ctx.set('Retry-After', '5');
      ctx.body = {
        error: known.status === 503 ? 'temporarily_unavailable' : 'invalid_request',
        error_description: known.message,
      };
    }
  }

  async #logOut(token: string): Promise<number> {
    const provider = this.#providerOf(token);
    const claims = await this.#verify(provider, token);
    const { issuer } = provider.config;
    const { sid, sub, jti } = claims;
    // Somebody else's mapped subject may read like this person's `sub`.
    if (sid === undefined && provider.config.claims.subject !== 'sub')
      throw refusal('sessions know people by another claim than "sub": the token must name the session by "sid"');
    // §2.6 step 7: the id is held for good where the sessions ended, and given back where an outage came between, because
    // the provider will send the same token again.
    const name = digestOf(JSON.stringify([issuer, jti]));
    const used = await this.#login.stores.locks.acquire(`logout:${name}`, REMEMBERED);
    if (used === undefined) throw refusal('this logout token was used before');
    try {
      return await this.#end(provider, sid, sub);
    } catch (error) {
      await used.release();
      throw error;
    }
  }

  async #end(provider: ProviderClient, sid: unknown, sub: string | undefined): Promise<number> {
    const { issuer } = provider.config;
    const { sessions } = this.#login;
    const found: Session[] =
      typeof sid === 'string'
        ? await sessions.ofProviderSession(issuer, sid)
        : await sessions.ofUser(issuer, sub as string);
    // Both given: the session of that subject only.
    const meant =
      typeof sid === 'string' && sub !== undefined ? found.filter((entry) => isOf(entry, sub, provider)) : found;
    for (const session of meant) await sessions.end(session.key, 'provider_logout');
    return meant.length;
  }

  /** The issuer only chooses whose rules apply; nothing is believed before the signature is. */
  #providerOf(token: string): ProviderClient {
    let issuer: unknown;
    try {
      issuer = decodeJwt(token).iss;
    } catch {
      throw refusal('the logout token is no JWT');
    }
    const found = [...this.#login.providers.values()].find(({ config }) => config.issuer === issuer);
    if (found === undefined) throw refusal('the logout token is of no configured provider');
    return found;
  }

  /** §2.6 in full. */
  async #verify(provider: ProviderClient, token: string): Promise<JWTPayload> {
    const { issuer, clientId = '', algorithms, clockTolerance } = provider.config;
    const now = this.#login.now();
    const tolerance = clockTolerance / 1_000;
    const { payload, protectedHeader } = await jwtVerify(token, (header) => this.#keyOf(provider, header, token), {
      issuer,
      audience: clientId,
      algorithms: [...algorithms],
      clockTolerance: tolerance,
      currentDate: new Date(now),
      requiredClaims: ['iat', 'exp', 'jti', 'events'],
      maxTokenAge: MAX_AGE,
    }).catch((error: unknown) => {
      if (error instanceof PosternError) throw error;
      if (!(error instanceof errors.JOSEError))
        throw new DependencyUnavailable(`the identity provider "${provider.config.id}"`, error);
      const why = claimFailure(error, { now, clockTolerance, maxAge: MAX_AGE * 1_000 });
      throw refusal(`the logout token is not valid${why === undefined ? '' : `: ${why}`}`, error);
    });
    const type = protectedHeader.typ;
    if (type !== undefined && !['logout+jwt', 'jwt'].includes(normalType(type)))
      throw refusal('the token is of another type');
    const { events, sid, sub, jti } = payload as { events?: unknown; sid?: unknown; sub?: unknown; jti?: unknown };
    if (!isRecord(events) || !isRecord(events[EVENT])) throw refusal('the token reports no logout');
    if (Object.hasOwn(payload, 'nonce')) throw refusal('a logout token holds no nonce');
    if (typeof jti !== 'string' || jti === '') throw refusal('the logout token has no id');
    for (const claim of [sid, sub])
      if (claim !== undefined && (typeof claim !== 'string' || claim === ''))
        throw refusal('"sid" or "sub" is not a string');
    if (sid === undefined && sub === undefined) throw refusal('the logout token names no session and no subject');
    return payload;
  }

  /** Anybody can send a token with an invented key id: it must not hide a key that the provider has begun to use. */
  async #keyOf(provider: ProviderClient, { kid, alg = '' }: JWTHeaderParameters, token: string): Promise<KeyObject> {
    const { id } = provider.config;
    const keys = this.#login.keysOf(provider);
    const { iat } = decodeJwt(token);
    const known = keys.find(kid, alg);
    const found =
      known.length > 0 ? known : await keys.search(kid, alg, typeof iat === 'number' ? iat * 1_000 : undefined);
    if (found === undefined) throw new DependencyUnavailable(`the identity provider "${id}"`);
    const [key] = found;
    if (key === undefined || found.length > 1)
      throw refusal('the logout token does not tell by which key it is signed');
    return key;
  }
}

/** A subject may be mapped from another claim than `sub`, by which the token cannot tell. */
function isOf({ identity }: Session, sub: string, { config }: ProviderClient): boolean {
  return config.claims.subject !== 'sub' || identity.subject === sub;
}

function refusal(message: string, cause?: unknown): PosternError {
  return new PosternError('logout_token', message, { status: 400, expose: true, cause });
}
