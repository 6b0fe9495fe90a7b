import type { RedisConfig } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import type { StoreMetrics } from '../../platform/metrics.ts';
import type { Tracing } from '../../platform/tracing/span.ts';
import type { Limiter, RecordStore, Stores } from '../stores.ts';
import { Topics } from '../topics.ts';
import { boundRecords } from './bounded-records.ts';
import { readTarget } from './connection-options.ts';
import { createRedisDocuments } from './documents.ts';
import { createRedisLimiter } from './limiter.ts';
import { RedisLink } from './link.ts';
import { createRedisLocks } from './locks.ts';
import { RedisPubSub } from './pub-sub.ts';
import { createRedisRecent } from './recent.ts';
import { createRecordQuota } from './record-quota.ts';
import { createRedisSessions } from './sessions.ts';
import { appendLines } from './stream.ts';

/** The start waits so long for Redis, in milliseconds, and goes on without it. */
const START_WAIT = 2_000;

/** @throws ConfigurationError */
export async function openRedisStores(
  config: RedisConfig,
  options: {
    readonly log: Logger;
    readonly metrics: StoreMetrics;
    readonly now: () => number;
    readonly withoutRedis: 'local' | 'refuse';
    readonly heartbeat?: number;
    readonly tracing?: Tracing | undefined;
  },
): Promise<Stores> {
  const { log, metrics, now, withoutRedis, tracing } = options;
  const prefix = config.keyPrefix;
  const target = await readTarget(config);
  const link = new RedisLink(target, { log, metrics, timeout: config.timeout, prefix, tracing });
  const wait = Math.min(START_WAIT, config.connectTimeout);
  await link.settled(wait);
  const pubSub = new RedisPubSub(link, target, prefix, new Topics(log), options.heartbeat);
  if (link.client.status === 'ready') await pubSub.settled(wait);
  const limiters = new Map<string, Limiter>();
  const records = new Map<string, RecordStore>();
  return {
    kind: 'redis',
    sessions: createRedisSessions(link, prefix),
    records: (name, { maxBytes }) => {
      const own = `${prefix}${name}:`;
      const store =
        records.get(name) ?? boundRecords(createRedisSessions(link, own), createRecordQuota(link, own, maxBytes, now));
      records.set(name, store);
      return store;
    },
    locks: createRedisLocks(link, prefix),
    pubSub,
    documents: createRedisDocuments(link, prefix, now),
    limiter: (name, limit, window) => {
      const id = `${name} ${limit} ${window}`;
      const limiter = limiters.get(id) ?? createRedisLimiter(link, { prefix, name, limit, window, withoutRedis, now });
      limiters.set(id, limiter);
      return limiter;
    },
    stream: (name, maxLength) => (lines) =>
      link.run('stream_append', (client) => appendLines(client, `${prefix}${name}`, maxLength, lines)),
    recent: (name, max) => createRedisRecent(link, prefix, name, max),
    problem: async () => {
      try {
        await link.run('ping', (client) => client.ping());
      } catch {
        return 'Redis does not answer';
      }
      const { refusesWrites } = link;
      if (refusesWrites !== undefined) return `Redis takes no writes (${refusesWrites})`;
      return pubSub.complete ? undefined : 'announcements are not heard';
    },
    close: async () => {
      pubSub.close();
      link.close();
    },
  };
}
