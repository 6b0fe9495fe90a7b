import { Pace, type PaceOptions, type Source } from '../pace.ts';

/** Takes what a source says in its order, within the source's share of the event loop; more waits, and the source with it. */
export class PacedQueue<Item> {
  readonly #take: (item: Item) => void;
  readonly #pace: Pace;
  readonly #onError: (error: Error) => void;
  #waiting: Item[] = [];
  #next = 0;
  #stopped = false;

  /** @param onError what `take` threw: nothing more is taken */
  constructor(source: Source, take: (item: Item) => void, onError: (error: Error) => void, options: PaceOptions = {}) {
    this.#take = take;
    this.#onError = onError;
    this.#pace = new Pace(source, () => this.#drain(), options);
  }

  /** Nothing is taken for now, and the source is paused. */
  get holds(): boolean {
    return this.#pace.holds;
  }

  /** Does the work that finds the items. */
  read(work: () => void): void {
    if (this.#stopped) return;
    this.#guarded(work);
    this.#drain();
  }

  /** Counts what was done elsewhere for the source. @param milliseconds of the event loop */
  spent(milliseconds: number): void {
    if (!this.#stopped) this.#pace.spent(milliseconds);
  }

  push(item: Item): void {
    if (this.#stopped) return;
    this.#waiting.push(item);
    if (!this.#pace.running) this.#drain();
  }

  /** Drops what waits. */
  stop(): void {
    this.#stopped = true;
    this.#waiting = [];
    this.#pace.stop();
  }

  #drain(): void {
    while (!this.#stopped && !this.#pace.holds && this.#next < this.#waiting.length) {
      const item = this.#waiting[this.#next] as Item;
      this.#next += 1;
      this.#guarded(() => this.#take(item));
    }
    if (this.#next < this.#waiting.length && !this.#stopped) return;
    this.#waiting = [];
    this.#next = 0;
  }

  #guarded(work: () => void): void {
    try {
      this.#pace.run(work);
    } catch (error) {
      this.stop();
      this.#onError(error as Error);
    }
  }
}
