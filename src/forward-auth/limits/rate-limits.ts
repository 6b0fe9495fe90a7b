import { ownerKey } from '../../identity/identity.ts';
import type { AuthConfig, LimitedBy, RateLimitConfig } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import { looseName } from '../../platform/names.ts';
import { clientNetwork } from '../../platform/networks.ts';
import { clientKey, type LimitKey, namedKey } from '../../stores/limit-key.ts';
import type { Limiter, Stores } from '../../stores/stores.ts';
import type { Authenticated } from '../decision/authentication.ts';
import type { Limit } from '../decision/decision.ts';
import { type Matcher, pathGlob } from '../decision/globs.ts';
import type { Limits } from '../decision/limits.ts';
import type { McpOperation } from '../decision/mcp-operation.ts';
import type { CheckRequest } from '../decision/request.ts';
import type { Resources } from '../decision/resources.ts';

export interface RateLimitsDependencies {
  readonly stores: Pick<Stores, 'limiter'>;
  readonly resources: Resources;
  readonly log: Logger;
  /** Told of each request over a limit. */
  readonly onLimited: (by: LimitedBy) => void;
}

interface Window {
  readonly config: RateLimitConfig;
  readonly matches: Matcher;
  readonly limiter: Limiter;
}

/** Counted at another place than after authentication. */
const ELSEWHERE: ReadonlySet<LimitedBy> = new Set(['address', 'sign-in', 'unknown-token']);

/** One window and what it counts this request as. */
type Count = readonly [window: Window, key: LimitKey];

/**
 * The configured limits. Before authentication only addresses are counted, and a credential that is worth nothing counts
 * for no user: nobody can use up another's requests by claiming to be them.
 */
export class RateLimits implements Limits {
  readonly #before: readonly Window[];
  readonly #after: readonly Window[];
  readonly #signIn: readonly Window[];
  readonly #dependencies: RateLimitsDependencies;
  #saidUnknown = false;

  constructor({ rateLimits }: Pick<AuthConfig, 'rateLimits'>, dependencies: RateLimitsDependencies) {
    this.#dependencies = dependencies;
    const windows = new Map<string, Window>();
    for (const config of rateLimits) {
      const { by, limit, per, path } = config;
      // All replicas, and this one with the next configuration, count together what is limited in the same way.
      const name = `${by}:${limit}:${per}:${path ?? ''}`;
      const matches = path === undefined ? () => true : pathGlob(path);
      windows.set(name, { config, matches, limiter: dependencies.stores.limiter(name, limit, per) });
    }
    const all = [...windows.values()];
    this.#before = all.filter(({ config }) => config.by === 'address');
    this.#signIn = all.filter(({ config }) => config.by === 'sign-in');
    this.#after = all.filter(({ config }) => !ELSEWHERE.has(config.by));
  }

  beforeAuthentication(request: CheckRequest): Limit | undefined | Promise<Limit | undefined> {
    if (this.#before.length === 0) return undefined;
    const counts: Count[] = [];
    for (const window of this.#before)
      if (window.matches(request.path)) counts.push([window, this.#clientKey(request.clientAddress)]);
    return this.#consume(counts);
  }

  afterAuthentication(
    request: CheckRequest,
    authenticated: Authenticated,
    operation: McpOperation | undefined,
  ): Limit | undefined | Promise<Limit | undefined> {
    if (this.#after.length === 0) return undefined;
    const counts: Count[] = [];
    for (const window of this.#after) {
      if (!window.matches(request.path)) continue;
      const key = this.#keyOf(window.config.by, request, authenticated, operation);
      if (key !== undefined) counts.push([window, namedKey(key)]);
    }
    return this.#consume(counts);
  }

  /** One attempt at the sign-in endpoints. @throws DependencyUnavailable where limits cannot be counted and must be */
  async allowSignIn(address: string): Promise<Limit | undefined> {
    return this.#consume(this.#signIn.map((window) => [window, this.#clientKey(address)] as const));
  }

  /** @returns undefined where there is nothing to count */
  #keyOf(
    by: LimitedBy,
    request: CheckRequest,
    { identity, apiKey }: Authenticated,
    operation: McpOperation | undefined,
  ): string | undefined {
    if (by === 'api-key') return apiKey;
    const user = identity.method === 'anonymous' ? this.#network(request.clientAddress) : ownerKey(identity);
    if (by === 'user') return user;
    const resource = this.#dependencies.resources.of(request);
    if (!resource.isMcp) return undefined;
    if (by === 'server') return JSON.stringify([user, resource.uri]);
    const tool = operation === undefined ? hiddenTool(request) : operation.tool;
    return tool === undefined ? undefined : JSON.stringify([user, resource.uri, looseName(tool)]);
  }

  #clientKey(address: string): LimitKey {
    this.#network(address);
    return clientKey(address);
  }

  /** @returns empty where nobody knows the address, which is said once */
  #network(address: string): string {
    const network = clientNetwork(address);
    if (network === '' && !this.#saidUnknown) {
      this.#saidUnknown = true;
      this.#dependencies.log.warn(
        'the proxy names no client address: limits by address count all such clients as one; let it send X-Forwarded-For',
      );
    }
    return network;
  }

  /** Counts everywhere, also where one window is over: otherwise its answer would tell what the others have left. */
  #consume(counts: readonly Count[]): undefined | Promise<Limit | undefined> {
    return counts.length === 0 ? undefined : this.#consumeAll(counts);
  }

  async #consumeAll(counts: readonly Count[]): Promise<Limit | undefined> {
    const results = await Promise.all(counts.map(([window, key]) => window.limiter.consume(key)));
    let longest: Limit | undefined;
    for (const [index, { allowed, resetIn }] of results.entries()) {
      if (allowed || (longest !== undefined && longest.resetIn >= resetIn)) continue;
      const { by, limit, per } = (counts[index] as Count)[0].config;
      longest = { kind: 'limit', reason: 'rate_limited', by, limit, window: per, resetIn, rule: '' };
    }
    if (longest !== undefined) this.#dependencies.onLimited(longest.by);
    return longest;
  }
}

/** A body that only its reader knows may call any tool: such calls share one count, or an old revision would have none. */
function hiddenTool(request: CheckRequest): string | undefined {
  return request.method === 'POST' ? '' : undefined;
}
