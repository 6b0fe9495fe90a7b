import { BoundedCache } from '../platform/bounded-cache.ts';

interface Slot {
  window: number;
  current: number;
  previous: number;
}

/**
 * Counts by key within a sliding window: this window's count, and of the one before as much as the sliding window still
 * covers. That is exact where things come evenly and needs two numbers a key.
 */
export class SlidingCounts {
  readonly #window: number;
  readonly #slots: BoundedCache<string, Slot>;

  /**
   * @param window milliseconds
   * @param max keys; the least recently counted is forgotten first
   */
  constructor(window: number, max: number) {
    this.#window = window;
    this.#slots = new BoundedCache({ max });
  }

  /** @returns how many there were within the window, about */
  add(key: string, count: number, now: number): number {
    const window = Math.floor(now / this.#window);
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      slot = { window, current: 0, previous: 0 };
      this.#slots.set(key, slot);
    }
    if (slot.window !== window) {
      slot.previous = slot.window === window - 1 ? slot.current : 0;
      slot.current = 0;
      slot.window = window;
    }
    slot.current += count;
    return Math.floor(slot.current + slot.previous * (1 - (now % this.#window) / this.#window));
  }
}
