import type { Logger } from '../../platform/log.ts';
import type { Limiter, Stores } from '../stores.ts';
import { Topics } from '../topics.ts';
import { MemoryDocuments } from './documents.ts';
import { MemoryLimiter } from './limiter.ts';
import { MemoryLocks } from './locks.ts';
import { MemoryPubSub } from './pub-sub.ts';
import { MemoryRecent } from './recent.ts';
import { MemorySessions } from './sessions.ts';

const SWEEP_EVERY = 60_000;

/** Everything in this process: it ends with it, and no other process knows of it. */
export function createMemoryStores(options: {
  readonly maxSessions: number;
  /** Of all sessions; absent: only their number is bounded. */
  readonly maxSessionBytes?: number;
  readonly log: Logger;
  readonly now: () => number;
}): Stores {
  const { maxSessions, maxSessionBytes, log, now } = options;
  const topics = new Topics(log);
  const sessions = new MemorySessions(maxSessions, log, now, maxSessionBytes);
  const locks = new MemoryLocks(now);
  const documents = new MemoryDocuments(now);
  const records = new Map<string, MemorySessions>();
  const sweeping = setInterval(() => {
    for (const part of [sessions, locks, documents, ...records.values()]) part.sweep();
  }, SWEEP_EVERY);
  sweeping.unref();
  const limiters = new Map<string, MemoryLimiter>();
  const recent = new Map<string, MemoryRecent>();
  return {
    kind: 'memory',
    sessions,
    locks,
    documents,
    records: (name, { maxRecords, maxBytes }) => {
      const store = records.get(name) ?? new MemorySessions(maxRecords, log, now, maxBytes, name);
      records.set(name, store);
      return store;
    },
    pubSub: new MemoryPubSub(topics),
    limiter: (name, limit, window): Limiter => {
      const id = `${name} ${limit} ${window}`;
      const limiter = limiters.get(id) ?? new MemoryLimiter(limit, window, now);
      limiters.set(id, limiter);
      return limiter;
    },
    stream: undefined,
    recent: (name, max) => {
      const entries = recent.get(name) ?? new MemoryRecent(max);
      recent.set(name, entries);
      return entries;
    },
    problem: async () => undefined,
    close: async () => {
      clearInterval(sweeping);
      topics.clear();
    },
  };
}
