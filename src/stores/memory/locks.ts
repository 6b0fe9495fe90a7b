import { DependencyUnavailable } from '../../platform/errors.ts';
import type { Lock, Locks } from '../stores.ts';

/** So many names at once; a flood must not exhaust memory, and forgetting a name early would let a replay pass. */
const MAX_NAMES = 100_000;

export class MemoryLocks implements Locks {
  readonly #now: () => number;
  readonly #held = new Map<string, { readonly until: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  async acquire(name: string, lifetime: number): Promise<Lock | undefined> {
    const key = `lock:${name}`;
    const held = this.#take(key, lifetime);
    if (held === undefined) return undefined;
    return {
      release: async () => {
        if (this.#held.get(key) === held) this.#held.delete(key);
      },
    };
  }

  async once(name: string, lifetime: number): Promise<boolean> {
    return this.#take(`once:${name}`, lifetime) !== undefined;
  }

  sweep(): void {
    const now = this.#now();
    for (const [key, { until }] of this.#held) if (until <= now) this.#held.delete(key);
  }

  #take(key: string, lifetime: number): { readonly until: number } | undefined {
    const now = this.#now();
    const before = this.#held.get(key);
    if (before !== undefined && before.until > now) return undefined;
    if (this.#held.size >= MAX_NAMES) this.sweep();
    if (this.#held.size >= MAX_NAMES) throw new DependencyUnavailable('the session store', new Error('too many names'));
    const held = { until: now + lifetime };
    this.#held.set(key, held);
    return held;
  }
}
