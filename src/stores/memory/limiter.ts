import { BoundedCache } from '../../platform/bounded-cache.ts';
import type { Consumption, Limiter } from '../stores.ts';

/** Keys counted at once, by limiter. Beyond it the least recently seen one begins anew: memory is worth more than its count. */
export const MAX_LIMITED_KEYS = 50_000;

/**
 * Fixed windows within this process. `RateLimiterMemory` keeps a timer and a record for every key it ever sees until the
 * window is over, so a flood of addresses would fill the memory.
 */
export class MemoryLimiter implements Limiter {
  readonly #limit: number;
  readonly #window: number;
  readonly #now: () => number;
  readonly #counts: BoundedCache<string, { used: number; readonly endsAt: number }>;

  constructor(limit: number, window: number, now: () => number, maxKeys = MAX_LIMITED_KEYS) {
    this.#limit = limit;
    this.#window = window;
    this.#now = now;
    this.#counts = new BoundedCache({ max: maxKeys });
  }

  get size(): number {
    return this.#counts.size;
  }

  async consume(key: string, points = 1): Promise<Consumption> {
    const now = this.#now();
    let count = this.#counts.get(key);
    if (count === undefined || count.endsAt <= now) {
      count = { used: 0, endsAt: now + this.#window };
      this.#counts.set(key, count);
    }
    count.used += points;
    return {
      allowed: count.used <= this.#limit,
      remaining: Math.max(0, this.#limit - count.used),
      resetIn: count.endsAt - now,
    };
  }
}
