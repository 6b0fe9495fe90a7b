import type { RecentEntries } from '../stores.ts';

export class MemoryRecent implements RecentEntries {
  readonly #max: number;
  readonly #entries = new Map<string, { readonly at: number; readonly value: string }>();

  constructor(max: number) {
    this.#max = max;
  }

  async put(id: string, at: number, value: string): Promise<void> {
    this.#entries.set(id, { at, value });
    if (this.#entries.size <= this.#max) return;
    const oldest = this.#newestFirst().at(-1);
    if (oldest !== undefined) this.#entries.delete(oldest[0]);
  }

  async list(limit: number): Promise<string[]> {
    return this.#newestFirst()
      .slice(0, limit)
      .map(([, { value }]) => value);
  }

  #newestFirst() {
    return [...this.#entries].sort(([, a], [, b]) => b.at - a.at);
  }
}
