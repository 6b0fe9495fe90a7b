import { BoundedCache } from '../platform/bounded-cache.ts';
import type { Config } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import type { Stores } from './stores.ts';

const COLLECTION = 'ended-credentials';
const TOPIC = 'credential-ended';
/** Handles remembered; far more than end while one of them matters. */
const MAX_KNOWN = 100_000;

/** Milliseconds: what is announced is known at once, and this long to a process that was away. */
const SHORTEST = 3_600_000;

/** For as long as anything may live that was made for a credential: an access token, or a connection. */
export function revocationLifetime({ auth, relay }: Config): number {
  return Math.max(SHORTEST, auth.broker.accessTokenLifetime, relay.limits.connectionLifetime);
}

export interface RevokedCredentialsOptions {
  readonly stores: Pick<Stores, 'documents' | 'pubSub'>;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** Milliseconds for which somebody may still hold what was made for the credential, such as a token or a stream. */
  readonly lifetime: () => number;
}

/**
 * Credentials that were taken back before their time, by handle. Asked for each request, so they are in memory: announced to all
 * processes, and read from the store by one that starts or may have missed something.
 */
export class RevokedCredentials {
  readonly #options: RevokedCredentialsOptions;
  readonly #known = new BoundedCache<string, true>({ max: MAX_KNOWN });
  readonly #listeners = new Set<(handle: string) => void>();
  readonly #subscriptions: ReadonlyArray<() => void>;

  constructor(options: RevokedCredentialsOptions) {
    this.#options = options;
    const { pubSub } = options.stores;
    this.#subscriptions = [
      pubSub.subscribe(TOPIC, (handle) => this.#learn(handle)),
      pubSub.onGap(() => void this.#read()),
    ];
    void this.#read();
  }

  has(handle: string): boolean {
    return this.#known.has(handle);
  }

  /** Told once of each, whichever process ended it. @returns ends the subscription */
  onEnd(listener: (handle: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** @throws DependencyUnavailable where not all processes may have been told */
  async end(handle: string): Promise<void> {
    const { stores, now, lifetime } = this.#options;
    this.#learn(handle);
    await stores.documents.put(COLLECTION, handle, '1', now() + lifetime());
    await stores.pubSub.publish(TOPIC, handle);
  }

  close(): void {
    for (const end of this.#subscriptions) end();
    this.#listeners.clear();
  }

  #learn(handle: string): void {
    if (this.#known.has(handle)) return;
    this.#known.set(handle, true);
    for (const listener of [...this.#listeners]) listener(handle);
  }

  async #read(): Promise<void> {
    const { stores, log } = this.#options;
    try {
      for (const { id } of await stores.documents.list(COLLECTION)) this.#learn(id);
    } catch (error) {
      log.warn({ error }, 'revoked credentials cannot be read from the store; what was made for them expires as usual');
    }
  }
}
