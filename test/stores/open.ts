import pino from 'pino';
import { Registry } from 'prom-client';
import { redisSchema } from '../../src/platform/config/redis-schema.ts';
import { createStoreMetrics } from '../../src/platform/metrics.ts';
import { openStores, type StoreOptions } from '../../src/stores/open-stores.ts';
import type { Stores } from '../../src/stores/stores.ts';

/** Opens stores as the processes do. `redis` is the configuration as a person writes it; undefined: in memory. */
export async function open(redis: unknown, options: Partial<StoreOptions> = {}): Promise<Stores> {
  return openStores(redis === undefined ? undefined : redisSchema.parse(redis), {
    log: pino({ level: 'silent' }),
    metrics: createStoreMetrics(new Registry()),
    memory: { maxSessions: 10_000 },
    withoutRedis: 'local',
    ...options,
  });
}

/** A name that no other test uses. */
export function fresh(what: string): string {
  return `${what}-${crypto.randomUUID()}`;
}
