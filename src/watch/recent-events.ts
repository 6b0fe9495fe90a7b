import { LRUCache } from 'lru-cache';
import type { RecentEntries } from '../stores/stores.ts';
import type { SecurityEvent } from './security-event.ts';

/** What was reported lately, for those who look. */
export interface RecentSecurityEvents {
  /**
   * Newest first: of both processes and all replicas where there is Redis, otherwise of this process. Where Redis is away, what
   * this process saw itself.
   */
  list(limit?: number): Promise<readonly SecurityEvent[]>;
}

/** Keeps the events of this process, and writes them to where all processes look. */
export class RecentEvents implements RecentSecurityEvents {
  readonly #own: LRUCache<string, SecurityEvent>;
  readonly #shared: RecentEntries | undefined;
  readonly #unwritten = new Set<string>();
  readonly #max: number;

  /** @param max events kept; the oldest goes first */
  constructor(max: number, shared: RecentEntries | undefined) {
    this.#max = max;
    this.#own = new LRUCache({ max });
    this.#shared = shared;
  }

  /** Keeps a new event, or one that happened again in place of what it was. */
  put(event: SecurityEvent): void {
    this.#own.set(event.id, event);
    if (this.#shared !== undefined) this.#unwritten.add(event.id);
  }

  /** Writes what is new. Never rejects: where the store is away, the next time tries again. */
  async write(): Promise<void> {
    for (const id of [...this.#unwritten]) {
      const event = this.#own.get(id);
      if (event !== undefined && !(await this.#written(event))) return;
      // It may have happened again meanwhile.
      if (this.#own.get(id) === event) this.#unwritten.delete(id);
    }
  }

  async #written(event: SecurityEvent): Promise<boolean> {
    try {
      await this.#shared?.put(event.id, event.firstAt, JSON.stringify(event));
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
    try {
      return ((await this.#shared?.list(limit)) ?? []).map((text) => JSON.parse(text) as SecurityEvent);
    } catch {
      return [];
    }
  }
}
