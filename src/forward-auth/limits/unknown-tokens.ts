import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { RateLimitConfig } from '../../platform/config/schema.ts';
import { clientNetwork } from '../../platform/networks.ts';
import { namedKey } from '../../stores/limit-key.ts';
import type { Limiter } from '../../stores/stores.ts';
import type { Limit } from '../decision/decision.ts';
import type { CheckRequest } from '../decision/request.ts';
import type { RateLimitsDependencies } from './rate-limits.ts';

type Client = Pick<CheckRequest, 'clientAddress'>;

export type UnknownTokensDependencies = Pick<RateLimitsDependencies, 'stores' | 'onLimited'> & {
  /** Milliseconds. */
  readonly now: () => number;
};

interface Window {
  readonly config: RateLimitConfig;
  readonly limiter: Limiter;
}

/** Clients that are over the limit, remembered by this process. */
const MAX_BLOCKED = 10_000;
/** Questions of one client at the same time. */
const MAX_RUNNING = 32;
/** Milliseconds after which a client that has too many of them may try again. */
const SOON = 1_000;

/**
 * Bounds how often a client can have a provider asked about tokens that nobody ever saw: anybody can invent them, and each
 * costs the provider a question. Only those that were worth nothing count, and a client whose proxy names no address is
 * not counted, because all such clients are one.
 */
export class UnknownTokens {
  readonly #windows: readonly Window[];
  readonly #dependencies: UnknownTokensDependencies;
  readonly #blocked = new BoundedCache<string, { readonly limit: Limit; readonly until: number }>({ max: MAX_BLOCKED });
  readonly #running = new Map<string, number>();

  constructor(rateLimits: readonly RateLimitConfig[], dependencies: UnknownTokensDependencies) {
    this.#dependencies = dependencies;
    this.#windows = rateLimits
      .filter(({ by }) => by === 'unknown-token')
      .map((config) => ({
        config,
        limiter: dependencies.stores.limiter(`unknown-token:${config.limit}:${config.per}`, config.limit, config.per),
      }));
  }

  /** Asked before a question; with no limit in the answer, `end` must follow. */
  begin({ clientAddress }: Client): Limit | undefined {
    const network = clientNetwork(clientAddress);
    if (network === '') return undefined;
    const now = this.#dependencies.now();
    const blocked = this.#blocked.get(network);
    const running = this.#running.get(network) ?? 0;
    const over = blocked !== undefined && now < blocked.until;
    if (over || running >= MAX_RUNNING) {
      this.#dependencies.onLimited('unknown-token');
      return over ? { ...blocked.limit, resetIn: blocked.until - now } : tooMany(MAX_RUNNING, SOON, SOON);
    }
    this.#running.set(network, running + 1);
    return undefined;
  }

  /** @param worthless whether no provider knows the token; an outage says nothing about it */
  end({ clientAddress }: Client, worthless: boolean): void {
    const network = clientNetwork(clientAddress);
    if (network === '') return;
    const running = (this.#running.get(network) ?? 1) - 1;
    if (running === 0) this.#running.delete(network);
    else this.#running.set(network, running);
    if (worthless) for (const window of this.#windows) void this.#count(window, network);
  }

  async #count({ config, limiter }: Window, network: string): Promise<void> {
    try {
      const { allowed, remaining, resetIn } = await limiter.consume(namedKey(network));
      if (allowed && remaining > 0) return;
      const until = this.#dependencies.now() + resetIn;
      if (until > (this.#blocked.get(network)?.until ?? 0))
        this.#blocked.set(network, { limit: tooMany(config.limit, config.per, resetIn), until });
    } catch {
      // The store is away and the configuration has limits refused then: the request itself was answered already.
    }
  }
}

function tooMany(limit: number, window: number, resetIn: number): Limit {
  return { kind: 'limit', reason: 'rate_limited', by: 'unknown-token', limit, window, resetIn, rule: '' };
}
