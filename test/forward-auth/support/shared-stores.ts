import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import type { Locks, PubSub, SessionEntry, SessionStore, Stores } from '../../../src/stores/stores.ts';

type View = Pick<Stores, 'sessions' | 'locks' | 'pubSub'>;

/** One store for several processes, each with a view of its own, all of whose failures a test can plant. */
export class SharedStores {
  readonly entries = new Map<string, SessionEntry>();
  readonly #locks = new Set<string>();
  readonly #listeners = new Set<(topic: string, message: string) => void>();
  /** The store does not answer. */
  away = false;
  /** Locks cannot be taken, as where the store only reads. */
  locksAway = false;
  /** Announcements go nowhere. */
  mute = false;
  reads = 0;
  extensions = 0;
  /** Waited for before each read answers with what it found. */
  slowly: Promise<void> | undefined;

  async #reach(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.away) throw new DependencyUnavailable('the store');
  }

  readonly sessions: SessionStore = {
    create: async (entry) => {
      await this.#reach();
      this.entries.set(entry.key, entry);
    },
    read: async (key) => {
      this.reads += 1;
      await this.#reach();
      const found = this.entries.get(key);
      await this.slowly;
      return found;
    },
    replace: async (entry) => {
      await this.#reach();
      if (this.entries.get(entry.key)?.version !== entry.version - 1) return false;
      this.entries.set(entry.key, entry);
      return true;
    },
    extend: async (key, expiresAt) => {
      this.extensions += 1;
      await this.#reach();
      const entry = this.entries.get(key);
      if (entry !== undefined) this.entries.set(key, { ...entry, expiresAt });
      return entry !== undefined;
    },
    end: async (key) => {
      await this.#reach();
      return this.entries.delete(key);
    },
    find: async (index) => {
      await this.#reach();
      return [...this.entries.values()].filter((entry) => entry.indexes.includes(index));
    },
    page: async (index, after, limit) => {
      const all = await this.sessions.find(index);
      const end = Number(after ?? 0) + limit;
      return { entries: all.slice(Number(after ?? 0), end), next: end < all.length ? String(end) : undefined };
    },
  };

  readonly locks: Locks = {
    acquire: async (name) => {
      await this.#reach();
      if (this.locksAway) throw new DependencyUnavailable('the store');
      if (this.#locks.has(name)) return undefined;
      this.#locks.add(name);
      return { release: async () => void this.#locks.delete(name) };
    },
    once: async () => true,
  };

  view(): View & { missed(): void; pubSub: PubSub & { complete: boolean } } {
    const gaps = new Set<() => void>();
    const pubSub = {
      complete: true,
      publish: async (topic: string, message: string) => {
        await this.#reach();
        if (!this.mute) for (const listener of [...this.#listeners]) listener(topic, message);
      },
      subscribe: (topic: string, listener: (message: string) => void) => {
        const hear = (of: string, message: string) => {
          if (of === topic) listener(message);
        };
        this.#listeners.add(hear);
        return () => void this.#listeners.delete(hear);
      },
      onGap: (listener: () => void) => {
        gaps.add(listener);
        return () => void gaps.delete(listener);
      },
    };
    const missed = () => {
      for (const gap of gaps) gap();
    };
    return { sessions: this.sessions, locks: this.locks, pubSub, missed };
  }
}
