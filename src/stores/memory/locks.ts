import { DependencyUnavailable } from '../../platform/errors.ts';
import type { Lock, Locks } from '../stores.ts';

/** So many names of each kind; a flood must not exhaust memory, and forgetting a name early would let a replay pass. */
const MAX_NAMES = 100_000;
/** Milliseconds between two looks for room where there is none: each goes through all names. */
const NO_ROOM = 1_000;

type Names = Map<string, { readonly until: number }>;

export class MemoryLocks implements Locks {
  readonly #now: () => number;
  readonly #held: Names = new Map();
  /** Apart, because strangers fill it by beginning to sign in, and sessions must still be refreshed then. */
  readonly #taken: Names = new Map();
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(now: () => number) {
    this.#now = now;
  }

  async acquire(name: string, lifetime: number): Promise<Lock | undefined> {
    const held = this.#take(this.#held, name, lifetime);
    if (held === undefined) return undefined;
    return {
      release: async () => {
        if (this.#held.get(name) === held) this.#held.delete(name);
      },
    };
  }

  async once(name: string, lifetime: number): Promise<boolean> {
    return this.#take(this.#taken, name, lifetime) !== undefined;
  }

  sweep(): void {
    const now = this.#now();
    this.#sweptAt = now;
    for (const names of [this.#held, this.#taken])
      for (const [name, { until }] of names) if (until <= now) names.delete(name);
  }

  #take(names: Names, name: string, lifetime: number): { readonly until: number } | undefined {
    const now = this.#now();
    const before = names.get(name);
    if (before !== undefined && before.until > now) return undefined;
    if (names.size >= MAX_NAMES && now - this.#sweptAt >= NO_ROOM) this.sweep();
    if (names.size >= MAX_NAMES) throw new DependencyUnavailable('the session store', new Error('too many names'));
    const held = { until: now + lifetime };
    names.set(name, held);
    return held;
  }
}
