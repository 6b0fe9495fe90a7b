import { BoundedCache } from '../platform/bounded-cache.ts';
import type { SecurityEvent } from './security-event.ts';
import type { SharedWatch } from './shared-watch.ts';

const PURPOSE = 'security event';

/** What was reported lately, for those who look. */
export interface RecentSecurityEvents {
  /**
   * Newest first: of both processes and all replicas where they share them, otherwise of this process. Where Redis is away,
   * what this process saw itself.
   */
  list(limit?: number): Promise<readonly SecurityEvent[]>;
}

/** Keeps the events of this process, and writes them to where all processes look. */
export class RecentEvents implements RecentSecurityEvents {
  readonly #own: BoundedCache<string, SecurityEvent>;
  readonly #shared: Pick<SharedWatch, 'events' | 'sealing'> | undefined;
  readonly #unwritten = new Set<string>();
  readonly #max: number;

  /** @param max events kept; the oldest goes first */
  constructor(max: number, shared: Pick<SharedWatch, 'events' | 'sealing'> | undefined) {
    this.#max = max;
    // What is kept no longer cannot be written either: without Redis for hours, more and more would wait.
    this.#own = new BoundedCache({ max, dispose: (_event, id, why) => why === 'evict' && this.#unwritten.delete(id) });
    this.#shared = shared;
  }

  /** Events that wait for the store. */
  get unwritten(): number {
    return this.#unwritten.size;
  }

  /** Keeps a new event, or one that happened again in place of what it was. */
  put(event: SecurityEvent): void {
    this.#own.set(event.id, event);
    if (this.#shared !== undefined) this.#unwritten.add(event.id);
  }

  /** Writes what is new. Never rejects: where the store is away, the next time tries again. */
  async write(): Promise<void> {
    for (const id of [...this.#unwritten]) {
      const event = this.#own.peek(id);
      if (event !== undefined && !(await this.#written(event))) return;
      // It may have happened again meanwhile.
      if (this.#own.peek(id) === event) this.#unwritten.delete(id);
    }
  }

  async #written(event: SecurityEvent): Promise<boolean> {
    try {
      const sealed = this.#shared?.sealing.seal(PURPOSE, JSON.stringify(event));
      if (sealed !== undefined) await this.#shared?.events.put(event.id, event.firstAt, sealed);
      return true;
    } catch {
      return false;
    }
  }

  async list(limit = this.#max): Promise<readonly SecurityEvent[]> {
    const events = new Map((await this.#listShared(limit)).map((event) => [event.id, event]));
    for (const event of this.#own.values()) events.set(event.id, event);
    return [...events.values()].sort((a, b) => b.firstAt - a.firstAt).slice(0, limit);
  }

  async #listShared(limit: number): Promise<SecurityEvent[]> {
    if (this.#shared === undefined) return [];
    const { events, sealing } = this.#shared;
    try {
      const opened = (await events.list(limit)).map((text) => sealing.open(PURPOSE, text));
      // What another key sealed, or somebody else wrote, is none of ours.
      return opened.flatMap((text) => (text === undefined ? [] : [JSON.parse(text.toString()) as SecurityEvent]));
    } catch {
      return [];
    }
  }
}
