import type { RedisConfig } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import type { StoreMetrics } from '../platform/metrics.ts';
import type { Tracing } from '../platform/tracing/span.ts';
import { createMemoryStores } from './memory/memory-stores.ts';
import { openRedisStores } from './redis/redis-stores.ts';
import type { Stores } from './stores.ts';

export interface StoreOptions {
  readonly log: Logger;
  readonly metrics: StoreMetrics;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  readonly memory: { readonly maxSessions: number; readonly maxSessionBytes?: number };
  /** What limiters do while Redis is away: count in this process, or reject with `DependencyUnavailable`. */
  readonly withoutRedis: 'local' | 'refuse';
  /** Milliseconds between two heartbeats of the announcements. */
  readonly heartbeat?: number;
  /** Absent: traces are off. */
  readonly tracing?: Tracing | undefined;
}

/**
 * The stores that the configuration names, in memory where it names none. A Redis that is away does not fail the start:
 * `problem()` says so until it answers.
 *
 * @throws ConfigurationError where the settings are wrong, such as a certificate that cannot be read
 */
export async function openStores(redis: RedisConfig | undefined, options: StoreOptions): Promise<Stores> {
  const now = options.now ?? Date.now;
  if (redis !== undefined) return openRedisStores(redis, { ...options, now });
  options.metrics.up.set(1);
  return createMemoryStores({ ...options.memory, log: options.log, now });
}
