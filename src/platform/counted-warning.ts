import type { Logger } from './log.ts';

/** Milliseconds between two lines about the same. */
const EVERY = 10_000;

/**
 * One line for what happens to many requests at once: the first time at once and whole, then every ten seconds with the number
 * since the line before. A line for each would fill the disk while a dependency is away.
 */
export class CountedWarning {
  readonly #log: Pick<Logger, 'warn'>;
  readonly #message: string;
  readonly #now: () => number;
  #count = 0;
  #saidAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #last: Readonly<Record<string, unknown>> = {};

  /** @param now milliseconds of a clock that nobody sets */
  constructor(log: Pick<Logger, 'warn'>, message: string, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#message = message;
    this.#now = now;
  }

  /** @param details of this time; only those of the last one before a line are in it */
  warn(details: Readonly<Record<string, unknown>>): void {
    this.#count += 1;
    this.#last = details;
    if (this.#now() - this.#saidAt >= EVERY) this.#say();
    // The last of them are told as well where no more come.
    else this.#timer ??= setTimeout(() => this.#say(), EVERY).unref();
  }

  #say(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#saidAt = this.#now();
    this.#log.warn({ ...this.#last, count: this.#count }, this.#message);
    this.#count = 0;
  }
}
