/** Bytes that are no message: blank lines, banners, comments, pings, unreadable text. */
const CAPACITY = 1024 * 1024;
/** Bytes for each second that are forgotten again: signs of life are no fault. */
const FORGOTTEN = 16 * 1024;

/** Tells a server that sends now and then what is no message from one that sends little else. */
export class NoiseBudget {
  readonly #now: () => number;
  #noise = 0;
  #countedAt: number;

  /** @param now milliseconds */
  constructor(now: () => number) {
    this.#now = now;
    this.#countedAt = now();
  }

  /** @returns whether that is still bearable */
  add(bytes: number): boolean {
    const at = this.#now();
    this.#noise = Math.max(0, this.#noise - ((at - this.#countedAt) / 1000) * FORGOTTEN) + bytes;
    this.#countedAt = at;
    return this.#noise <= CAPACITY;
  }
}
