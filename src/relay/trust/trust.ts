import type { IncomingMessage } from 'node:http';
import { ANONYMOUS, type Identity } from '../../identity/identity.ts';
import type { OperationDemand } from '../../identity/operation-demand.ts';
import type { Config } from '../../platform/config/schema.ts';
import { isSigned } from '../../platform/config/trust-presets.ts';
import { createCertificateCheck } from '../../platform/peer-certificate.ts';
import { createSecretCheck } from '../../platform/secret-check.ts';
import type { Refusal } from '../refusal.ts';
import { AssertionCheck } from './assertion.ts';
import { BearerCheck, type BearerResult } from './bearer.ts';
import type { RequestHeaders } from './headers.ts';
import { identityProblem } from './identity-bounds.ts';
import { fileKeys, type KeySource } from './keys.ts';
import { type MigrationMethod, MigrationMethods, personOf } from './migration-methods.ts';
import { createPeers } from './peers.ts';
import { createPreset } from './presets/catalog.ts';
import type { Preset } from './presets/preset.ts';
import { type Claim, ProxyClaims, unauthorized } from './proxy-claim.ts';
import { RemoteKeys } from './remote-keys.ts';

/** How the caller was recognised: the `method` label of `postern_relay_requests_total`. */
export type AuthenticationSource = 'proxy' | 'jwt' | 'both' | 'anonymous';

export type TrustDecision =
  | {
      kind: 'identified';
      identity: Identity;
      way: AuthenticationSource;
      spoofed: boolean;
      /** Unix time in milliseconds at which the credential ends; undefined where only the proxy knows. */
      expiresAt?: number | undefined;
      /** Handle of the credential, where it can be taken back. */
      credential?: string | undefined;
      /** What forward-auth leaves to the reader of the body to ask. */
      demand?: OperationDemand | undefined;
    }
  | { kind: 'refused'; refusal: Refusal };

const NO_PROXY: Claim = {
  kind: 'absent',
  refusal: unauthorized(
    'authentication_disabled',
    'MCP client authentication is disabled and no proxy is trusted: set TRUST_PROXY_AUTH=true or MCP_CLIENT_AUTH_ENABLED=true',
  ),
};
const NO_JWT: Refusal = {
  ...unauthorized('jwt_missing', 'the request has no bearer token; MCP_CLIENT_AUTH_ENABLED asks for one'),
  headers: { 'WWW-Authenticate': 'Bearer' },
};

/** Who is calling, by the four cases of `MCP_CLIENT_AUTH_ENABLED` and `TRUST_PROXY_AUTH`. */
export class Trust {
  readonly #authRequired: boolean;
  readonly #identityLimit: number;
  readonly #preset: Preset | undefined;
  readonly #held: MigrationMethods | undefined;
  readonly #proxies: ProxyClaims | undefined;
  readonly #bearer: BearerCheck | undefined;
  readonly #keys: KeySource | undefined;

  /** @throws ConfigurationError where a key cannot be read */
  constructor(config: Config, deps: { now: () => number; fetch: typeof fetch | undefined }) {
    const { trust, jwt, authRequired, limits } = config.relay;
    this.#authRequired = authRequired;
    this.#identityLimit = limits.maxIdentity;
    this.#bearer = jwt.enabled ? new BearerCheck(jwt, deps.now) : undefined;
    if (!trust.enabled) return;
    if (jwt.enabled) this.#held = new MigrationMethods(config.relay.migration);
    this.#preset = createPreset(trust, { ...deps, jwtEnabled: jwt.enabled });
    const asked = trust.assertion;
    const { jwksUrl } = asked ?? {};
    if (jwksUrl !== undefined) this.#keys = new RemoteKeys(() => jwksUrl, deps, 'relay.trust.assertion.jwksUrl');
    else if (asked?.jwksPath !== undefined) this.#keys = fileKeys(asked.jwksPath, deps.now);
    this.#proxies = new ProxyClaims(this.#preset, {
      peers: trust.proxies === undefined && isSigned(trust) ? undefined : createPeers(trust.proxies),
      secretMatches: trust.secret === undefined ? undefined : createSecretCheck(trust.secret),
      secretHeader: trust.secretHeader,
      certificateFits: trust.certificates === undefined ? undefined : createCertificateCheck(trust.certificates.names),
      assertion:
        this.#keys === undefined || asked === undefined
          ? undefined
          : new AssertionCheck(this.#keys, { ...asked, issuer: asked.issuer ?? config.publicUrl }, deps.now),
    });
  }

  /** Every header that the preset reads; none where no proxy is trusted. */
  get identityHeaders(): readonly string[] {
    return this.#preset?.names ?? [];
  }

  /** @throws DependencyUnavailable where the keys that are needed cannot be had */
  identify(request: IncomingMessage, headers: RequestHeaders): TrustDecision | Promise<TrustDecision> {
    const forged = this.#proxies === undefined ? undefined : headers.forgery;
    if (forged !== undefined) return { kind: 'refused', refusal: forged };
    const claim = this.#proxies?.read(request, headers) ?? NO_PROXY;
    const bearer = this.#bearer?.check(headers.get('authorization')) ?? { kind: 'absent' };
    if (claim instanceof Promise || bearer instanceof Promise)
      return Promise.all([claim, bearer]).then((both) => this.#settle(...both));
    return this.#settle(claim, bearer);
  }

  /** Answers what is wrong in a few words, or undefined where everything needed can be had. */
  async ready(): Promise<string | undefined> {
    return (await this.#keys?.ready()) ?? (await this.#preset?.ready?.());
  }

  #settle(proxy: Claim, bearer: BearerResult): TrustDecision {
    const verdict = this.#decide(proxy, bearer);
    if (verdict.kind === 'refused') return verdict;
    const refusal =
      identityProblem(verdict.identity, this.#identityLimit) ?? wrongWay(verdict, this.#held?.of(verdict.identity));
    return refusal === undefined ? verdict : { kind: 'refused', refusal };
  }

  #decide(proxy: Claim, bearer: BearerResult): TrustDecision {
    if (proxy.kind === 'rejected') return { kind: 'refused', refusal: proxy.refusal };
    if (proxy.kind === 'claimed') return besideBearer(proxy, bearer);
    const spoofed = proxy.refusal.reason === 'spoof_attempt';
    switch (bearer.kind) {
      case 'verified':
        return { kind: 'identified', identity: bearer.identity, way: 'jwt', spoofed, expiresAt: bearer.expiresAt };
      case 'bad':
        return { kind: 'refused', refusal: badJwt(bearer.why) };
      case 'absent':
        if (!this.#authRequired) return { kind: 'identified', identity: ANONYMOUS, way: 'anonymous', spoofed };
        return { kind: 'refused', refusal: this.#missing(proxy.refusal) };
      default:
        return bearer satisfies never;
    }
  }

  /** Without a trusted proxy the JWT is what is missing; otherwise what the proxy did not do is the better hint. */
  #missing(proxy: Refusal): Refusal {
    if (this.#bearer === undefined) return proxy;
    return this.#proxies === undefined ? NO_JWT : { ...NO_JWT, ...proxy };
  }
}

/**
 * A proven proxy's word stands. A bearer token that is not one of ours was for the proxy, which may pass it on; one of
 * ours that names somebody else means that two people are mixed up.
 */
function besideBearer(
  { identity, expiresAt, credential, demand, spoofed = false }: Extract<Claim, { kind: 'claimed' }>,
  bearer: BearerResult,
): TrustDecision {
  if (bearer.kind !== 'verified')
    return { kind: 'identified', identity, way: 'proxy', spoofed, expiresAt, credential, demand };
  if (bearer.identity.subject === identity.subject || personOf(bearer.identity) === personOf(identity)) {
    const ends = Math.min(expiresAt ?? Number.POSITIVE_INFINITY, bearer.expiresAt);
    return { kind: 'identified', identity, way: 'both', spoofed, expiresAt: ends, credential, demand };
  }
  return {
    kind: 'refused',
    refusal: {
      ...unauthorized(
        'identity_conflict',
        'identity header and JWT name different users; make the client drop its old JWT',
      ),
      message: 'the request names two different users',
    },
  };
}

/** In a migration. Who shows both has shown the one that is wanted. */
function wrongWay({ way }: Extract<TrustDecision, { kind: 'identified' }>, held: MigrationMethod): Refusal | undefined {
  if (held === undefined || way === 'anonymous' || way === 'both' || way === held) return undefined;
  return held === 'proxy'
    ? {
        ...unauthorized(
          'held_to_proxy',
          'relay.migration.proxyOnly holds this user to the proxy; the JWT came past it',
        ),
        message: 'this user signs in at the proxy now; the relay no longer accepts its own tokens for this user',
        headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
      }
    : {
        ...unauthorized('held_to_jwt', 'relay.migration.jwtOnly holds this user to a JWT; the proxy sent a name alone'),
        message: 'this user needs a token of the relay',
        headers: { 'WWW-Authenticate': 'Bearer' },
      };
}

function badJwt(why: string): Refusal {
  return {
    status: 401,
    reason: 'jwt_invalid',
    message: 'the bearer token is not valid',
    fix: `${why}; check JWT_ALGORITHM, JWT_ISSUER, JWT_AUDIENCE and the key`,
    // RFC 6750 §3.1
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
  };
}
