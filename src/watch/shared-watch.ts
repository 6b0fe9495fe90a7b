import { createHmac, hkdfSync } from 'node:crypto';
import type { WatchConfig } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import { type Sealing, sealingKey, sealingWith } from '../platform/sealing/sealing.ts';
import type { Documents, Locks, RecentEntries, Stores } from '../stores/stores.ts';

/** What the processes know together, in a store that learns nothing of whom it is about. */
export interface SharedWatch {
  readonly documents: Documents;
  readonly locks: Pick<Locks, 'once'>;
  readonly events: RecentEntries;
  /** Seals what a document or an event says. */
  readonly sealing: Sealing;
  /** What stands for a name in the store: without the key nobody can try which names it may be. */
  alias(name: string): string;
}

/** @returns undefined where each process is on its own: there is no Redis, or no key to seal with */
export function openSharedWatch(
  { key, maxEvents }: Pick<WatchConfig, 'key' | 'maxEvents'>,
  { stores, log }: { readonly stores: Pick<Stores, 'kind' | 'documents' | 'locks' | 'recent'>; readonly log: Logger },
): SharedWatch | undefined {
  if (stores.kind !== 'redis') return undefined;
  if (key === undefined) {
    log.warn(
      'watch.key is not set: each process keeps security events and networks of users for itself, and forgets them at a ' +
        'restart; set one key for all, such as `postern secrets` makes',
    );
    return undefined;
  }
  const secret = Buffer.from(key, 'base64url');
  const [sealed, named] = ['sealing', 'names'].map((use) =>
    Buffer.from(hkdfSync('sha256', secret, '', `postern watch ${use}`, 32)),
  ) as [Buffer, Buffer];
  const keys = [sealingKey(sealed)];
  return {
    documents: stores.documents,
    locks: stores.locks,
    events: stores.recent('security-events', maxEvents),
    sealing: sealingWith(() => keys),
    alias: (name) => createHmac('sha256', named).update(name).digest('base64url'),
  };
}
