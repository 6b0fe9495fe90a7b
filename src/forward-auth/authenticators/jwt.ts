import { ASSERTION_TYPE } from '../../identity/assertion.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { AuthConfig } from '../../platform/config/schema.ts';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { NO_QUEUE, type Queue } from '../../platform/overload-queue.ts';
import { identityBytes, textBytes } from '../../platform/retained-bytes.ts';
import { ABSENT, type Authenticated, type Authentication, type Rejected } from '../decision/authentication.ts';
import type { CheckRequest } from '../decision/request.ts';
import type { Resource } from '../decision/resources.ts';
import type { Rule } from '../decision/rules.ts';
import type { Authenticator } from './authenticator.ts';
import { readBearerToken } from './bearer-token.ts';
import type { GroupNotices } from './group-notices.ts';
import { IdentityPool } from './identity-pool.ts';
import { type CompactJws, issuedAt, parseJws, verifySignature } from './jws.ts';
import type { ProviderKeys } from './provider-keys.ts';
import { CLIENT_AUDIENCE, rejected, WRONG_AUDIENCE } from './rejection.ts';
import {
  type Audience,
  audienceBytes,
  checkClaims,
  isFor,
  isForClient,
  normalType,
  readAudience,
  readIdentity,
} from './token-claims.ts';
import type { TokenIssuer } from './token-issuer.ts';

/** Characters: half of an ES256 signature, which two tokens do not share unless they are one. */
const KEY_LENGTH = 43;

/** A token whose signature, times and type hold. Whether it is for the resource asked for is compared every time. */
interface VerifiedToken {
  /** Compared as a whole: its end only finds it. */
  readonly token: string;
  readonly authenticated: Authenticated;
  readonly audience: Audience;
  /** The refusal where it is for none of what was asked for. */
  readonly forAnother: Rejected;
  /** Unix time in milliseconds; never later than `exp`. */
  readonly until: number;
  /** Whether it was taken back meanwhile; absent: its issuer takes none back. */
  readonly isOver?: () => boolean;
}

interface Provider extends TokenIssuer {
  readonly algorithms: ReadonlySet<string>;
  readonly types: ReadonlySet<string>;
}

export interface JwtDependencies {
  /** Milliseconds. */
  readonly now: () => number;
  /** Issuers beside the configured providers. */
  readonly issuers?: readonly TokenIssuer[];
  /** By the configured id of the provider. */
  readonly keys: ReadonlyMap<string, ProviderKeys>;
  readonly groupNotices: GroupNotices;
  /** Takes the work for tokens that were not seen before; absent: nothing is refused. */
  readonly queue?: Queue;
  /** Told of each look-up of a token. */
  readonly onLookup: (outcome: 'hit' | 'miss') => void;
  /** Asked about tokens that are no JWT, or of an issuer that is asked about its JWTs as well; undefined: not its. */
  readonly introspection?: {
    authenticate(
      token: string,
      jwt: CompactJws['payload'] | undefined,
      request: CheckRequest,
      resource: Resource,
      rule: Pick<Rule, 'issuers'>,
    ): Authentication | Promise<Authentication> | undefined;
  };
}

/** Bearer JWTs as access tokens (RFC 9068, RFC 8725) of the configured providers. */
export class JwtAuthenticator implements Authenticator {
  readonly #providers: ReadonlyMap<string, Provider>;
  readonly #dependencies: JwtDependencies;
  readonly #tokenLimit: number;
  readonly #ttl: number;
  /** By the end of the token, where it differs most; a look-up by all of it costs a hash over all of it. Failures are never kept. */
  readonly #verified: BoundedCache<string, VerifiedToken> | undefined;
  readonly #identities = new IdentityPool();

  constructor(config: Pick<AuthConfig, 'providers' | 'tokenCache' | 'limits'>, dependencies: JwtDependencies) {
    this.#dependencies = dependencies;
    this.#tokenLimit = config.limits.maxToken;
    this.#ttl = config.tokenCache.entryLifetime;
    const { maxEntries: max, maxBytes } = config.tokenCache;
    this.#verified =
      max === 0 ? undefined : new BoundedCache({ max, maxSize: maxBytes, sizeCalculation: verifiedBytes });
    const configured = config.providers.map(
      (provider): TokenIssuer => ({
        config: provider,
        keys: dependencies.keys.get(provider.id) as ProviderKeys,
        identityOf: (claims) => readIdentity(claims, provider),
      }),
    );
    this.#providers = new Map(
      [...configured, ...(dependencies.issuers ?? [])].map((issuer) => [
        issuer.config.issuer,
        {
          ...issuer,
          algorithms: new Set(issuer.config.algorithms),
          types: new Set(issuer.config.types.map(normalType)),
        },
      ]),
    );
  }

  authenticate(
    request: CheckRequest,
    resource: Resource,
    rule: Pick<Rule, 'issuers'>,
  ): Authentication | Promise<Authentication> {
    const token = readBearerToken(request, this.#tokenLimit);
    if (token === undefined) return ABSENT;
    if (typeof token === 'object') return token;
    const known = this.#find(token);
    if (known !== undefined && this.#isCurrent(known)) {
      this.#dependencies.onLookup('hit');
      return judge(known, resource);
    }
    const jws = parseJws(token);
    const asked = this.#dependencies.introspection?.authenticate(token, jws?.payload, request, resource, rule);
    if (asked !== undefined) return asked;
    this.#dependencies.onLookup('miss');
    const { queue = NO_QUEUE } = this.#dependencies;
    const verified = known === undefined ? queue.run(() => this.#verifyOnce(token, jws)) : this.#verify(token, jws);
    return verified instanceof Promise
      ? verified.then((settled) => judge(settled, resource))
      : judge(verified, resource);
  }

  #find(token: string): VerifiedToken | undefined {
    const found = this.#verified?.get(token.slice(-KEY_LENGTH));
    return found?.token === token ? found : undefined;
  }

  #isCurrent({ until }: VerifiedToken): boolean {
    return this.#dependencies.now() < until;
  }

  /** Meanwhile another request may have waited with the same token. */
  #verifyOnce(
    token: string,
    jws: CompactJws | undefined,
  ): VerifiedToken | Rejected | Promise<VerifiedToken | Rejected> {
    const found = this.#find(token);
    return found !== undefined && this.#isCurrent(found) ? found : this.#verify(token, jws);
  }

  #verify(token: string, jws: CompactJws | undefined): VerifiedToken | Rejected | Promise<VerifiedToken | Rejected> {
    if (jws === undefined) return rejected('token_malformed', 'the token is not a signed JWT');
    const provider = typeof jws.payload.iss === 'string' ? this.#providers.get(jws.payload.iss) : undefined;
    if (provider === undefined) return rejected('token_issuer', 'the issuer of the token is not accepted here');
    const alg = checkHeader(jws.header, provider);
    if (typeof alg !== 'string') return alg;

    const kid = typeof jws.header.kid === 'string' ? jws.header.kid : undefined;
    const keys = provider.keys.find(kid, alg);
    if (keys.length > 0) return this.#verifyWith(token, jws, alg, keys, provider);
    return provider.keys.search(kid, alg, issuedAt(jws)).then((found) => {
      if (found === undefined) throw new DependencyUnavailable(`the identity provider "${provider.config.id}"`);
      if (found.length > 0) return this.#verifyWith(token, jws, alg, found, provider);
      return rejected('token_key', 'the token is signed by a key that its issuer does not publish');
    });
  }

  #verifyWith(
    token: string,
    jws: CompactJws,
    alg: string,
    keys: readonly Parameters<typeof verifySignature>[2][],
    provider: Provider,
  ): VerifiedToken | Rejected {
    if (!keys.some((key) => verifySignature(jws, alg, key)))
      return rejected('token_signature', 'the signature of the token is wrong');
    const now = this.#dependencies.now();
    const problem = checkClaims(jws.payload, jws.header, provider.config, now);
    if (problem !== undefined) return problem;
    const audience = readAudience(jws.payload, provider.config);
    if (audience === undefined) return rejected('token_audience', 'the token has no audience');
    this.#dependencies.groupNotices.look(jws.payload, provider.config);
    const identity = provider.identityOf(jws.payload);
    if (identity === undefined) return rejected('token_claims', 'the token has no subject');
    const until = Math.min((jws.payload.exp as number) * 1000, now + this.#ttl);
    const handle = provider.handleOf?.(jws.payload);
    const expiresAt = (jws.payload.exp as number) * 1000;
    const authenticated = {
      kind: 'identity',
      identity: this.#identities.intern(identity),
      credential: handle === undefined ? { expiresAt } : { handle, expiresAt },
    } as const;
    const isOver = provider.isOver?.bind(provider, jws.payload);
    const forAnother = isForClient(jws.payload, provider.config) ? CLIENT_AUDIENCE : WRONG_AUDIENCE;
    const verified: VerifiedToken = { token, authenticated, audience, forAnother, until, ...(isOver && { isOver }) };
    this.#verified?.set(token.slice(-KEY_LENGTH), verified);
    return verified;
  }
}

function verifiedBytes({ token, authenticated, audience }: VerifiedToken): number {
  return textBytes(token) + identityBytes(authenticated.identity) + audienceBytes(audience);
}

function judge(token: VerifiedToken | Rejected, resource: Resource): Authentication {
  if ('kind' in token) return token;
  if (token.isOver?.() === true) return rejected('token_inactive', 'the token was taken back');
  return isFor(token.audience, resource) ? token.authenticated : token.forAnother;
}

/** RFC 8725 §3.1, §3.11. Keys come from the configured issuer only: `jku`, `jwk`, `x5u` and `x5c` are never read. */
function checkHeader(header: CompactJws['header'], provider: Provider): string | Rejected {
  const { alg, typ, crit, b64 } = header;
  // RFC 7515 §4.1.11: an extension that is not understood makes the token invalid; none is.
  if (crit !== undefined || b64 !== undefined) return rejected('token_header', 'the token needs an unknown extension');
  if (typeof alg !== 'string' || !provider.algorithms.has(alg))
    return rejected('token_algorithm', 'the signature algorithm of the token is not accepted');
  const type = normalType(typ);
  if (type === ASSERTION_TYPE || !provider.types.has(type))
    return rejected('token_type', 'a token of this type is not an access token');
  return alg;
}
