import { LRUCache } from 'lru-cache';
import type { Logger } from '../../platform/log.ts';
import type { SessionEntry, SessionStore } from '../stores.ts';

/** Sessions of this process only. Where there are too many, the one that was not used for longest is forgotten. */
export class MemorySessions implements SessionStore {
  readonly #now: () => number;
  readonly #entries: LRUCache<string, SessionEntry>;
  readonly #byIndex = new Map<string, Set<string>>();

  /** @param name what is kept, for the log */
  constructor(max: number, log: Logger, now: () => number, name = 'sessions') {
    this.#now = now;
    let told = false;
    this.#entries = new LRUCache({
      max,
      noDisposeOnSet: true,
      dispose: (entry, _key, reason) => {
        this.#unindex(entry);
        if (reason !== 'evict' || told) return;
        told = true;
        log.warn({ max }, `too many ${name} for memory: the least recently used are ended; configure Redis`);
      },
    });
  }

  async create(entry: SessionEntry): Promise<void> {
    this.#entries.delete(entry.key);
    if (entry.expiresAt <= this.#now()) return;
    this.#entries.set(entry.key, entry);
    for (const term of entry.indexes) {
      const keys = this.#byIndex.get(term) ?? new Set();
      this.#byIndex.set(term, keys.add(entry.key));
    }
  }

  async read(key: string): Promise<SessionEntry | undefined> {
    return this.#live(key);
  }

  async replace(entry: SessionEntry): Promise<boolean> {
    const before = this.#live(entry.key);
    if (before?.version !== entry.version - 1) return false;
    this.#keep({ ...entry, indexes: before.indexes });
    return true;
  }

  async extend(key: string, expiresAt: number): Promise<boolean> {
    const before = this.#live(key);
    if (before === undefined) return false;
    this.#keep({ ...before, expiresAt });
    return true;
  }

  async end(key: string): Promise<boolean> {
    const live = this.#live(key) !== undefined;
    return this.#entries.delete(key) && live;
  }

  async find(index: string): Promise<SessionEntry[]> {
    const now = this.#now();
    return [...(this.#byIndex.get(index) ?? [])]
      .map((key) => this.#entries.peek(key))
      .filter((entry) => entry !== undefined && entry.expiresAt > now) as SessionEntry[];
  }

  /** Forgets what is over. */
  sweep(): void {
    const now = this.#now();
    for (const [key, entry] of [...this.#entries.entries()]) if (entry.expiresAt <= now) this.#entries.delete(key);
  }

  // No pause between reading and writing, or two would replace the same version.
  #live(key: string): SessionEntry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiresAt > this.#now()) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  #keep(entry: SessionEntry): void {
    if (entry.expiresAt <= this.#now()) this.#entries.delete(entry.key);
    else this.#entries.set(entry.key, entry);
  }

  #unindex(entry: SessionEntry): void {
    for (const term of entry.indexes) {
      const keys = this.#byIndex.get(term);
      keys?.delete(entry.key);
      if (keys?.size === 0) this.#byIndex.delete(term);
    }
  }
}
