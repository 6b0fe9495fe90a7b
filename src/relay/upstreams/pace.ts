/** What can be told to send nothing for now. */
export interface Source {
  pause(): void;
  resume(): void;
}

export interface PaceOptions {
  /** Milliseconds, of any origin. */
  readonly now?: () => number;
}

/** Part of the event loop's time that a source may take for long, and all together that have used up theirs. */
const SHARE = 0.15;
/** Milliseconds of work that may be done at once by a source that has been quiet: an honest burst is not held up. */
const BURST = 250;
/** Milliseconds of work at a time, after which the others have their turn. */
const SLICE = 2;

/**
 * Holds one source of work to its share of the event loop: between slices every other connection has its turn, and a source that
 * has used up its share is paused until it has some again. Those that have used it up share one: a thousand of them take no more
 * than one.
 */
export class Pace {
  static readonly #overdrawn = new Set<Pace>();
  readonly #source: Source;
  readonly #now: () => number;
  readonly #resumed: () => void;
  #credit = BURST;
  /** Of the time until it is counted next. */
  #share = SHARE;
  #countedAt: number;
  #slice = 0;
  #paused = false;
  #running = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param resumed called when work may go on, before the source is resumed */
  constructor(source: Source, resumed: () => void = () => {}, { now = () => performance.now() }: PaceOptions = {}) {
    this.#source = source;
    this.#now = now;
    this.#resumed = resumed;
    this.#countedAt = now();
  }

  /** Nothing should be done for now; the source is paused. */
  get holds(): boolean {
    return this.#paused;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Does a piece of work, and pauses the source where that used up a slice. */
  run(work: () => void): void {
    const startedAt = this.#now();
    this.#running = true;
    try {
      work();
    } finally {
      this.#running = false;
      this.spent(this.#now() - startedAt);
    }
  }

  /** Counts work that was done elsewhere. @param milliseconds of the event loop */
  spent(milliseconds: number): void {
    const now = this.#now();
    this.#credit = Math.min(BURST, this.#credit + (now - this.#countedAt) * this.#share) - milliseconds;
    this.#countedAt = now;
    this.#share = SHARE;
    this.#slice += milliseconds;
    if (this.#slice >= SLICE) this.#hold();
  }

  stop(): void {
    clearTimeout(this.#timer);
    Pace.#overdrawn.delete(this);
  }

  #hold(): void {
    if (this.#paused) return;
    this.#slice = 0;
    this.#paused = true;
    this.#source.pause();
    // Never `setImmediate`: it would come before connections that have something to read.
    this.#timer = setTimeout(() => this.#release(), this.#credit > 0 ? 0 : this.#overdraft());
  }

  /** @returns milliseconds until nothing is owed any more */
  #overdraft(): number {
    Pace.#overdrawn.add(this);
    this.#share = SHARE / Pace.#overdrawn.size;
    return -this.#credit / this.#share;
  }

  #release(): void {
    Pace.#overdrawn.delete(this);
    this.#paused = false;
    this.#resumed();
    if (!this.#paused) this.#source.resume();
  }
}
