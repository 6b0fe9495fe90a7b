import { type Identity, ownerKey } from '../../identity/identity.ts';
import type { RelayConfig } from '../../platform/config/schema.ts';
import { digestOf } from '../../platform/digest.ts';
import { looseName, Names } from '../../platform/names.ts';
import { namedKey } from '../../stores/limit-key.ts';
import type { Limiter, Stores } from '../../stores/stores.ts';
import type { Refusal } from '../refusal.ts';
import { tooMany } from './denials.ts';
import type { RateLimitState, RateLimitStates } from './rate-limit-states.ts';

type RateLimitConfig = RelayConfig['rateLimits'][number];
type LimitedBy = RateLimitConfig['by'];

/** What is counted in a window. */
interface Count {
  readonly window: Window;
  readonly key: string;
  readonly about: Pick<RateLimitState, 'person' | 'server' | 'tool'>;
}

interface Window {
  readonly name: string;
  readonly config: RateLimitConfig;
  readonly servers: Names;
  readonly tools: Names;
  readonly limiter: Limiter;
}

/** Limits on what a user sends, at each server and to each tool. All that match count, also where one is over. */
export class RelayRateLimits {
  readonly #windows: readonly Window[];
  readonly #onLimited: (by: LimitedBy) => void;
  readonly #states: RateLimitStates | undefined;

  /** @param states told of every window that is counted */
  constructor(
    configs: readonly RateLimitConfig[],
    stores: Pick<Stores, 'limiter'>,
    onLimited: (by: LimitedBy) => void,
    states?: RateLimitStates,
  ) {
    this.#onLimited = onLimited;
    this.#states = states;
    this.#windows = configs.map((config) => {
      const { by, limit, per, servers, tools } = config;
      // All replicas, and this one with the next configuration, count together what is limited in the same way.
      const name = `relay:${by}:${limit}:${per}:${JSON.stringify([servers, tools])}`;
      return {
        name,
        config,
        servers: new Names(servers),
        tools: new Names(tools),
        limiter: stores.limiter(name, limit, per),
      };
    });
  }

  /**
   * @param tool of a call; another spelling of it counts as the same
   * @throws DependencyUnavailable where limits cannot be counted and must be
   */
  consume(identity: Identity, server: string, tool: string | undefined): undefined | Promise<Refusal | undefined> {
    const counts: Count[] = [];
    for (const window of this.#windows) {
      const { by } = window.config;
      if (!window.servers.has(server)) continue;
      if (by === 'tool' && (tool === undefined || !window.tools.hasLike(tool))) continue;
      const about = {
        person: identity,
        server: by === 'user' ? undefined : server,
        tool: by === 'tool' ? looseName(tool as string) : undefined,
      };
      const parts = [ownerKey(identity), about.server, about.tool].filter((part) => part !== undefined);
      counts.push({ window, key: opaque(parts), about });
    }
    return counts.length === 0 ? undefined : this.#consume(counts);
  }

  async #consume(counts: readonly Count[]): Promise<Refusal | undefined> {
    const results = await Promise.all(counts.map(({ window, key }) => window.limiter.consume(namedKey(key))));
    let longest: { by: LimitedBy; resetIn: number } | undefined;
    for (const [index, result] of results.entries()) {
      const { window, key, about } = counts[index] as Count;
      const { by, limit } = window.config;
      this.#states?.note(`${window.name} ${key}`, { ...about, by, limit }, result);
      const { allowed, resetIn } = result;
      if (allowed || (longest !== undefined && longest.resetIn >= resetIn)) continue;
      longest = { by, resetIn };
    }
    if (longest === undefined) return undefined;
    this.#onLimited(longest.by);
    return tooMany(longest.by, longest.resetIn);
  }
}

/** The store learns nothing about a person, and a key has one length, whatever a client made of a tool's name. */
function opaque(parts: readonly string[]): string {
  return digestOf(JSON.stringify(parts));
}
