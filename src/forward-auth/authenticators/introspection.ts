import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { AuthConfig, ProviderConfig } from '../../platform/config/schema.ts';
import { digestOf } from '../../platform/digest.ts';
import { nameGlob } from '../../platform/name-glob.ts';
import { NO_QUEUE, type Queue } from '../../platform/overload-queue.ts';
import { identityBytes } from '../../platform/retained-bytes.ts';
import type { Authenticated, Authentication, Rejected } from '../decision/authentication.ts';
import type { Limit } from '../decision/decision.ts';
import type { CheckRequest } from '../decision/request.ts';
import type { Resource } from '../decision/resources.ts';
import type { Rule } from '../decision/rules.ts';
import type { GroupNotices } from './group-notices.ts';
import { IdentityPool } from './identity-pool.ts';
import { IntrospectionEndpoint, type IntrospectionEndpointDependencies } from './introspection-endpoint.ts';
import { isOwnToken } from './own-tokens.ts';
import { rejected, WRONG_AUDIENCE } from './rejection.ts';
import {
  type Audience,
  audienceBytes,
  checkClaims,
  configuredAudience,
  isFor,
  readAudience,
  readIdentity,
} from './token-claims.ts';

/** A token that its provider vouches for. Whether it is for the resource asked for is compared every time. */
interface Live {
  readonly authenticated: Authenticated;
  readonly audience: Audience;
  /** Unix time in milliseconds; never later than `exp`. */
  readonly until: number;
}

/** A token that is worth nothing at one provider. */
interface Worthless {
  readonly rejected: Rejected;
  readonly until: number;
}

interface Introspector {
  readonly config: ProviderConfig;
  readonly endpoint: IntrospectionEndpoint;
  /** Of its opaque tokens; undefined: any. */
  readonly patterns: ReadonlyArray<(token: string) => boolean> | undefined;
  /** By hash of the token. Apart, so that invented tokens push no good one out. */
  readonly live: BoundedCache<string, Live>;
  readonly worthless: BoundedCache<string, Worthless>;
  readonly running: Map<string, Promise<Live | Worthless>>;
}

export interface IntrospectionDependencies extends IntrospectionEndpointDependencies {
  /** Milliseconds. */
  readonly now: () => number;
  readonly groupNotices: GroupNotices;
  /** Takes the work for tokens that were not seen before; absent: nothing is refused. */
  readonly queue?: Queue;
  /** Told of each look-up of a token. */
  readonly onLookup: (outcome: 'hit' | 'miss') => void;
  /** Bounds the questions about tokens that were never good. */
  readonly unknown: {
    begin(request: CheckRequest): Limit | undefined;
    end(request: CheckRequest, worthless: boolean): void;
  };
}

/** Milliseconds for which a provider is not asked again about a token that is worth nothing. */
const WORTHLESS_FOR = 5_000;
const NOBODY_KNOWS = rejected('token_issuer', 'no provider that is accepted here issues such tokens');
const INACTIVE = rejected('token_inactive', 'the token is not active');

/** Opaque access tokens, and JWTs of providers that are asked about them, by token introspection (RFC 7662). */
export class Introspection {
  readonly #introspectors: readonly Introspector[];
  readonly #issuers: ReadonlySet<string>;
  readonly #dependencies: IntrospectionDependencies;
  readonly #identities = new IdentityPool();

  constructor(
    { providers, tokenCache }: Pick<AuthConfig, 'providers' | 'tokenCache'>,
    dependencies: IntrospectionDependencies,
  ) {
    this.#dependencies = dependencies;
    const asked = providers.filter(({ introspection }) => introspection.enabled);
    const maxBytes = Math.ceil(tokenCache.maxBytes / Math.max(1, asked.length));
    this.#introspectors = asked.map((config) => ({
      config,
      endpoint: new IntrospectionEndpoint(config, dependencies),
      patterns: config.introspection.tokens?.map(nameGlob),
      live: new BoundedCache({ max: config.introspection.maxEntries, maxSize: maxBytes, sizeCalculation: liveBytes }),
      worthless: new BoundedCache({ max: config.introspection.maxEntries }),
      running: new Map(),
    }));
    this.#issuers = new Set(this.#introspectors.map(({ config }) => config.issuer));
  }

  /**
   * @param jwt payload of a token that has the form of a JWT; nothing in it is believed, it only says whom to ask
   * @returns undefined where the token is to be verified by its signature
   */
  authenticate(
    token: string,
    jwt: Readonly<Record<string, unknown>> | undefined,
    request: CheckRequest,
    resource: Resource,
    rule: Pick<Rule, 'issuers'>,
  ): Authentication | Promise<Authentication> | undefined {
    if (this.#introspectors.length === 0) return undefined;
    if (jwt !== undefined && !(typeof jwt.iss === 'string' && this.#issuers.has(jwt.iss))) return undefined;
    const asked = this.#whomToAsk(token, jwt, rule);
    if (asked.length === 0) return NOBODY_KNOWS;
    const key = digestOf(token);
    const now = this.#dependencies.now();
    for (const { live } of asked) {
      const known = live.get(key);
      if (known === undefined || now >= known.until) continue;
      this.#dependencies.onLookup('hit');
      return judge(known, resource);
    }
    this.#dependencies.onLookup('miss');
    const known = asked.some(({ live, running }) => live.has(key) || running.has(key));
    if (known || asked.every(({ worthless }) => now < (worthless.get(key)?.until ?? 0)))
      return this.#ask(token, key, asked).then((verdict) => judge(verdict, resource));
    const { unknown, queue = NO_QUEUE } = this.#dependencies;
    const limit = unknown.begin(request);
    if (limit !== undefined) return limit;
    let worthless = false;
    // Refused work is an error as well, after which the client may come again.
    return new Promise<Live | Worthless>((resolve) => resolve(queue.run(() => this.#ask(token, key, asked))))
      .then((verdict) => {
        worthless = 'rejected' in verdict;
        return judge(verdict, resource);
      })
      .finally(() => unknown.end(request, worthless));
  }

  /**
   * A token is shown to those alone that may have issued it: a JWT to the issuer that it names, another one to the
   * providers whose pattern it has, or that have none; and to nobody whose identities the rule would not take.
   */
  #whomToAsk(
    token: string,
    jwt: Readonly<Record<string, unknown>> | undefined,
    { issuers }: Pick<Rule, 'issuers'>,
  ): readonly Introspector[] {
    const taken = this.#introspectors.filter(({ config }) => issuers?.has(config.issuer) !== false);
    if (jwt !== undefined) return taken.filter(({ config }) => config.issuer === jwt.iss);
    if (isOwnToken(token)) return [];
    const named = taken.filter(({ patterns }) => patterns?.some((matches) => matches(token)) === true);
    return named.length > 0 ? named : taken.filter(({ patterns }) => patterns === undefined);
  }

  /** In order until one vouches for the token. One that does not answer might have: only then is nothing known. */
  async #ask(token: string, key: string, asked: readonly Introspector[]): Promise<Live | Worthless> {
    let worthless: Worthless | undefined;
    let failure: { error: unknown } | undefined;
    for (const introspector of asked) {
      try {
        const verdict = await this.#verdictOf(introspector, token, key);
        if (!('rejected' in verdict)) return verdict;
        if (worthless === undefined || worthless.rejected === INACTIVE) worthless = verdict;
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
    return worthless as Worthless;
  }

  /** Asks once for all who come with the same token at the same time. */
  #verdictOf(introspector: Introspector, token: string, key: string): Promise<Live | Worthless> | Live | Worthless {
    const now = this.#dependencies.now();
    const known = introspector.live.get(key) ?? introspector.worthless.get(key);
    if (known !== undefined && now < known.until) return known;
    let running = introspector.running.get(key);
    if (running === undefined) {
      running = introspector.endpoint
        .ask(token, introspector.live.has(key))
        .then((answer) => this.#remember(introspector, key, answer))
        .finally(() => introspector.running.delete(key));
      introspector.running.set(key, running);
    }
    return running;
  }

  #remember(introspector: Introspector, key: string, answer: Record<string, unknown>): Live | Worthless {
    const now = this.#dependencies.now();
    const { live, worthless, config } = introspector;
    const read = this.#read(answer, config, now);
    if ('kind' in read) {
      const verdict: Worthless = { rejected: read, until: now + WORTHLESS_FOR };
      live.delete(key);
      worthless.set(key, verdict);
      return verdict;
    }
    worthless.delete(key);
    live.set(key, read);
    return read;
  }

  #read(answer: Record<string, unknown>, provider: ProviderConfig, now: number): Live | Rejected {
    if (answer.active !== true) return INACTIVE;
    if (answer.iss !== undefined && answer.iss !== provider.issuer)
      return rejected('token_issuer', 'the issuer of the token is not accepted here');
    // RFC 7662 §2.2, RFC 6749 §7.1: neither a refresh token nor one that is bound to a key (DPoP) is a bearer token.
    const type = answer.token_type;
    if (type !== undefined && !(typeof type === 'string' && type.toLowerCase() === 'bearer'))
      return rejected('token_type', 'this is not a bearer access token');
    const problem = checkClaims(answer, {}, provider, now);
    if (problem !== undefined) return problem;
    const audience = answer.aud === undefined ? clientAsAudience(answer, provider) : readAudience(answer, provider);
    if (audience === undefined) return rejected('token_audience', 'the token has no audience');
    this.#dependencies.groupNotices.look(answer, provider);
    const identity = readIdentity(answer, provider);
    if (identity === undefined) return rejected('token_claims', 'the token has no subject');
    const expiresAt = (answer.exp as number) * 1000;
    const until = Math.min(expiresAt, now + provider.introspection.entryLifetime);
    const credential = { expiresAt };
    const authenticated = { kind: 'identity', identity: this.#identities.intern(identity), credential } as const;
    return { authenticated, audience, until };
  }
}

/**
 * Providers without audiences in their answers say for which client a token was made; the operator may have listed it.
 * The answer must then say that it is about a bearer token: a refresh token of the same client has no type.
 */
function clientAsAudience(answer: Record<string, unknown>, provider: ProviderConfig): Audience | undefined {
  const { client_id: client, token_type: type } = answer;
  if (typeof client !== 'string' || type === undefined) return undefined;
  const audience = configuredAudience([client], provider);
  return audience.general || audience.configured.size > 0 ? audience : undefined;
}

function liveBytes({ authenticated, audience }: Live): number {
  return identityBytes(authenticated.identity) + audienceBytes(audience);
}

function judge(verdict: Live | Worthless, resource: Resource): Authentication {
  if ('rejected' in verdict) return verdict.rejected;
  return isFor(verdict.audience, resource) ? verdict.authenticated : WRONG_AUDIENCE;
}
