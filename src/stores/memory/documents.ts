import { DependencyUnavailable } from '../../platform/errors.ts';
import type { Documents } from '../stores.ts';

const MAX_DOCUMENTS = 100_000;

interface Kept {
  readonly value: string;
  readonly expiresAt: number;
}

export class MemoryDocuments implements Documents {
  readonly #now: () => number;
  readonly #collections = new Map<string, Map<string, Kept>>();

  constructor(now: () => number) {
    this.#now = now;
  }

  async put(collection: string, id: string, value: string, expiresAt?: number): Promise<void> {
    const kept = this.#collections.get(collection) ?? new Map<string, Kept>();
    if (kept.size >= MAX_DOCUMENTS && !kept.has(id)) this.sweep();
    if (kept.size >= MAX_DOCUMENTS && !kept.has(id))
      throw new DependencyUnavailable('the session store', new Error(`too many ${collection}`));
    this.#collections.set(collection, kept.set(id, { value, expiresAt: expiresAt ?? Number.POSITIVE_INFINITY }));
  }

  async get(collection: string, id: string): Promise<string | undefined> {
    return this.#live(this.#collections.get(collection)?.get(id))?.value;
  }

  async remove(collection: string, id: string): Promise<boolean> {
    const live = (await this.get(collection, id)) !== undefined;
    this.#collections.get(collection)?.delete(id);
    return live;
  }

  async list(collection: string): Promise<Array<{ readonly id: string; readonly value: string }>> {
    return [...(this.#collections.get(collection) ?? [])]
      .filter(([, kept]) => this.#live(kept) !== undefined)
      .map(([id, { value }]) => ({ id, value }));
  }

  sweep(): void {
    for (const kept of this.#collections.values())
      for (const [id, entry] of kept) if (this.#live(entry) === undefined) kept.delete(id);
  }

  #live(kept: Kept | undefined): Kept | undefined {
    return kept !== undefined && kept.expiresAt > this.#now() ? kept : undefined;
  }
}
