import { createHash } from 'node:crypto';
import { type Identity, ownerKey } from '../../identity/identity.ts';
import type { RelayConfig } from '../../platform/config/schema.ts';
import type { Limiter, Stores } from '../../stores/stores.ts';
import { looseName, Names } from '../policy/names.ts';
import type { Refusal } from '../refusal.ts';
import { tooMany } from './denials.ts';

type RateLimitConfig = RelayConfig['rateLimits'][number];
type LimitedBy = RateLimitConfig['by'];

interface Window {
  readonly config: RateLimitConfig;
  readonly servers: Names;
  readonly tools: Names;
  readonly limiter: Limiter;
}

/** Limits on what a user sends, at each server and to each tool. All that match count, also where one is over. */
export class RelayRateLimits {
  readonly #windows: readonly Window[];
  readonly #onLimited: (by: LimitedBy) => void;

  constructor(
    configs: readonly RateLimitConfig[],
    stores: Pick<Stores, 'limiter'>,
    onLimited: (by: LimitedBy) => void,
  ) {
    this.#onLimited = onLimited;
    this.#windows = configs.map((config) => {
      const { by, limit, per, servers, tools } = config;
      // All replicas, and this one with the next configuration, count together what is limited in the same way.
      const name = `relay:${by}:${limit}:${per}:${JSON.stringify([servers, tools])}`;
      return {
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
    const counts: Array<readonly [Window, string]> = [];
    for (const window of this.#windows) {
      const { by } = window.config;
      if (!window.servers.has(server)) continue;
      if (by === 'tool' && (tool === undefined || !window.tools.hasLike(tool))) continue;
      const parts = [ownerKey(identity)];
      if (by !== 'user') parts.push(server);
      if (by === 'tool') parts.push(looseName(tool as string));
      counts.push([window, opaque(parts)]);
    }
    return counts.length === 0 ? undefined : this.#consume(counts);
  }

  async #consume(counts: ReadonlyArray<readonly [Window, string]>): Promise<Refusal | undefined> {
    const results = await Promise.all(counts.map(([window, key]) => window.limiter.consume(key)));
    let longest: { by: LimitedBy; resetIn: number } | undefined;
    for (const [index, { allowed, resetIn }] of results.entries()) {
      if (allowed || (longest !== undefined && longest.resetIn >= resetIn)) continue;
      longest = { by: (counts[index] as (typeof counts)[number])[0].config.by, resetIn };
    }
    if (longest === undefined) return undefined;
    this.#onLimited(longest.by);
    return tooMany(longest.by, longest.resetIn);
  }
}

/** The store learns nothing about a person, and a key has one length, whatever a client made of a tool's name. */
function opaque(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
}
