import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Logger } from '../../../platform/log.ts';
import type { Stores } from '../../../stores/stores.ts';

const COLLECTION = 'oauth-ended-grants';
const TOPIC = 'oauth-grant-ended';
/** Ids remembered; far more than end while one access token lives. */
const MAX_KNOWN = 100_000;

export interface EndedGrantsDependencies {
  readonly stores: Pick<Stores, 'documents' | 'announcements'>;
  readonly log: Logger;
  readonly now: () => number;
  /** Milliseconds that an access token lives: longer nobody needs to know. */
  readonly lifetime: number;
}

/**
 * Grants that ended while access tokens of theirs may still be about. Asked for each request, so it is in memory: announced to all
 * replicas, and read from the store by one that starts or may have missed something.
 */
export class EndedGrants {
  readonly #deps: EndedGrantsDependencies;
  readonly #known = new LRUCache<string, true>({ max: MAX_KNOWN });
  readonly #subscriptions: ReadonlyArray<() => void>;

  constructor(deps: EndedGrantsDependencies) {
    this.#deps = deps;
    const { announcements } = deps.stores;
    this.#subscriptions = [
      announcements.subscribe(TOPIC, (name) => void this.#known.set(name, true)),
      announcements.onGap(() => void this.#read()),
    ];
    void this.#read();
  }

  has(grantId: string): boolean {
    return this.#known.has(nameOf(grantId));
  }

  async add(grantId: string): Promise<void> {
    const { stores, now, lifetime } = this.#deps;
    const name = nameOf(grantId);
    this.#known.set(name, true);
    await stores.documents.put(COLLECTION, name, '1', now() + lifetime);
    await stores.announcements.publish(TOPIC, name);
  }

  close(): void {
    for (const end of this.#subscriptions) end();
  }

  async #read(): Promise<void> {
    const { stores, log } = this.#deps;
    try {
      for (const { id } of await stores.documents.list(COLLECTION)) this.#known.set(id, true);
    } catch (error) {
      log.warn({ error }, 'ended grants cannot be read; their access tokens end in their time');
    }
  }
}

/** The store learns no id by which a grant could be named. */
function nameOf(grantId: string): string {
  return createHash('sha256').update(`postern ended grant 1\0${grantId}`).digest('base64url');
}
