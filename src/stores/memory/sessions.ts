import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { Logger } from '../../platform/log.ts';
import { isAfter, nextPage, pagePlace } from '../expiry-page.ts';
import { recordBytes } from '../record-bytes.ts';
import type { SessionEntry, SessionPage, SessionStore } from '../stores.ts';

/** Share that is left once room was made. */
const ROOM = 0.95;

/** Sessions of this process only. Where there are too many, the one that was not used for longest is forgotten. */
export class MemorySessions implements SessionStore {
  readonly #now: () => number;
  readonly #entries: BoundedCache<string, SessionEntry>;
  readonly #byIndex = new Map<string, Set<string>>();
  readonly #bounds: { readonly max: number; readonly maxBytes: number } | undefined;
  readonly #tell: () => void;
  #bytes = 0;

  /**
   * @param maxBytes undefined: only their number is bounded
   * @param name of records of another kind, whose soonest to end are forgotten instead; for the log
   */
  constructor(max: number, log: Logger, now: () => number, maxBytes?: number, name?: string) {
    this.#now = now;
    this.#bounds = name === undefined || maxBytes === undefined ? undefined : { max, maxBytes };
    let told = false;
    this.#tell = () => {
      if (told) return;
      told = true;
      const which = name === undefined ? 'the least recently used' : 'those that end soonest';
      log.warn({ max, maxBytes }, `too many ${name ?? 'sessions'} for memory: ${which} are ended; configure Redis`);
    };
    this.#entries = new BoundedCache({
      max,
      ...(this.#bounds === undefined && maxBytes !== undefined && { maxSize: maxBytes, sizeCalculation: recordBytes }),
      noDisposeOnSet: true,
      dispose: (entry, _key, reason) => {
        this.#unindex(entry);
        this.#bytes -= recordBytes(entry);
        if (reason === 'evict') this.#tell();
      },
    });
  }

  async create(entry: SessionEntry): Promise<void> {
    this.#entries.delete(entry.key);
    if (entry.expiresAt <= this.#now()) return;
    this.#makeRoom(recordBytes(entry));
    this.#bytes += recordBytes(entry);
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

  async page(index: string, after: string | undefined, limit: number): Promise<SessionPage> {
    const place = pagePlace(after);
    const places = (await this.find(index)).map((entry) => {
      return { entry, key: entry.key, expiresAt: Math.ceil(entry.expiresAt) };
    });
    const page = places
      .filter((one) => isAfter(one, place))
      .sort((a, b) => (isAfter(a, b) ? 1 : -1))
      .slice(0, limit);
    return { entries: page.map(({ entry }) => entry), next: nextPage(page, limit) };
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
    if (entry.expiresAt <= this.#now()) return void this.#entries.delete(entry.key);
    const before = this.#entries.peek(entry.key);
    this.#bytes += recordBytes(entry) - (before === undefined ? 0 : recordBytes(before));
    this.#entries.set(entry.key, entry);
  }

  /** Some more than needed, so that sorting is rare. What is in use ends later than a flood of what is not. */
  #makeRoom(bytes: number): void {
    const { max = 0, maxBytes = 0 } = this.#bounds ?? {};
    if (this.#bounds === undefined || (this.#bytes + bytes <= maxBytes && this.#entries.size < max)) return;
    this.#tell();
    const soonest = [...this.#entries.values()].sort((a, b) => a.expiresAt - b.expiresAt);
    for (const { key } of soonest) {
      if (this.#bytes + bytes <= maxBytes * ROOM && this.#entries.size < max * ROOM) return;
      this.#entries.delete(key);
    }
  }

  #unindex(entry: SessionEntry): void {
    for (const term of entry.indexes) {
      const keys = this.#byIndex.get(term);
      keys?.delete(entry.key);
      if (keys?.size === 0) this.#byIndex.delete(term);
    }
  }
}
