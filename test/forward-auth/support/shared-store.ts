import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import type { Limiter, Stores } from '../../../src/stores/stores.ts';

/** One store for several replicas in one process, whose connection a test can cut. */
export class SharedStore {
  readonly documents = new Map<string, string>();
  readonly #counts = new Map<string, { count: number; over: number }>();
  readonly #listeners = new Set<(topic: string, message: string) => void>();
  away = false;
  reads = 0;
  /** Waited for before a read answers with what it found. */
  slowly: Promise<void> | undefined;
  now = 1_000_000;

  #check(): void {
    if (this.away) throw new DependencyUnavailable('the store');
  }

  readonly limiter = (name: string, limit: number, window: number): Limiter => ({
    consume: async (key) => {
      this.#check();
      const id = `${name} ${key}`;
      let entry = this.#counts.get(id);
      if (entry === undefined || entry.over <= this.now) {
        entry = { count: 0, over: this.now + window };
        this.#counts.set(id, entry);
      }
      entry.count += 1;
      return {
        allowed: entry.count <= limit,
        remaining: Math.max(0, limit - entry.count),
        resetIn: entry.over - this.now,
      };
    },
  });

  /** A replica's own view, which can be deaf to announcements. */
  replica() {
    const gaps = new Set<() => void>();
    const replica: {
      complete: boolean;
      gap: () => void;
      readonly stores: Pick<Stores, 'limiter' | 'pubSub' | 'documents'>;
    } = {
      complete: true,
      gap: () => {
        for (const listener of gaps) listener();
      },
      stores: {
        limiter: this.limiter,
        pubSub: {
          publish: async (topic: string, message: string) => {
            this.#check();
            for (const listener of this.#listeners) listener(topic, message);
          },
          subscribe: (topic: string, listener: (message: string) => void) => {
            const heard = (said: string, message: string) => {
              if (said === topic && replica.complete) listener(message);
            };
            this.#listeners.add(heard);
            return () => void this.#listeners.delete(heard);
          },
          get complete() {
            return replica.complete;
          },
          onGap: (listener: () => void) => {
            gaps.add(listener);
            return () => void gaps.delete(listener);
          },
        },
        documents: {
          put: async (collection: string, id: string, value: string) => {
            this.#check();
            this.documents.set(`${collection}/${id}`, value);
          },
          get: async (collection: string, id: string) => {
            this.reads += 1;
            this.#check();
            const found = this.documents.get(`${collection}/${id}`);
            await this.slowly;
            return found;
          },
          remove: async (collection: string, id: string) => {
            this.#check();
            return this.documents.delete(`${collection}/${id}`);
          },
          list: async (collection: string) => {
            this.#check();
            return [...this.documents]
              .filter(([name]) => name.startsWith(`${collection}/`))
              .map(([name, value]) => ({ id: name.slice(collection.length + 1), value }));
          },
        },
      },
    };
    return replica;
  }
}
