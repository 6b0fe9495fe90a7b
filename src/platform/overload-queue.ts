import { Overloaded } from './errors.ts';

export interface OverloadQueueOptions {
  /** Milliseconds that work may wait for its turn; where the oldest waits longer, newer work is refused. */
  readonly timeout: number;
  /** Work under way at the same time, such as questions to a store; more of it waits. Absent: 1,000. */
  readonly maxRunning?: number;
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: () => number;
}

/** What runs work in its turn. */
export type Queue = Pick<OverloadQueue, 'run'>;

/** Where nothing is refused. */
export const NO_QUEUE: Queue = { run: (work) => work() };

/** Milliseconds of one turn of the event loop that strangers may take with their answers; the rest is for what needs no queue. */
const SHARE_OF_A_TURN = 0.5;
/** Work under way at the same time: more of it waits. */
const MAX_RUNNING = 1_000;
/** Work that waits, whatever its time: each entry is a request with its headers. */
const MAX_WAITING = 10_000;
/** Milliseconds between two looks at the delay of the event loop. */
const LOOK = 50;

interface Waiting {
  readonly since: number;
  /** @returns whether its end is still to come; otherwise its answer is written next */
  readonly begin: () => boolean;
}

/**
 * Work for strangers, whose credential was not seen before: a signature to verify, a question to the store. It runs at once
 * while the event loop has time; beyond that it waits, and each turn of the loop takes a bounded share of it, so that credentials
 * that are known pass it by; what goes on with work that ends, such as the writing of its answer, takes its share of a turn too,
 * because a store answers many questions at once. Once the oldest has waited for the time limit, or the loop itself is as late, what
 * comes new is refused.
 */
export class OverloadQueue {
  readonly #timeout: number;
  readonly #maxRunning: number;
  readonly #now: () => number;
  readonly #looks: NodeJS.Timeout;
  /** In order, from `#first` on: taking from the front of a list that is long costs as much as it is long. */
  #waiting: Waiting[] = [];
  #first = 0;
  /** What goes on with work that has come to its end, in order. */
  #ended: Array<() => void> = [];
  #running = 0;
  /** When this turn of the loop began to work for strangers: work is the small part, reading and answering count as well. */
  #turnSince: number | undefined;
  #turn: NodeJS.Immediate | undefined;
  #lookAt: number;
  #late = 0;
  #lateBefore = 0;

  constructor({ timeout, maxRunning = MAX_RUNNING, now = () => performance.now() }: OverloadQueueOptions) {
    this.#timeout = timeout;
    this.#maxRunning = maxRunning;
    this.#now = now;
    this.#lookAt = now() + LOOK;
    this.#looks = setInterval(() => this.#look(), LOOK);
    this.#looks.unref();
  }

  /** Work that waits. */
  get length(): number {
    return this.#waiting.length - this.#first;
  }

  /**
   * @returns what the work gives
   * @throws Overloaded where the work was refused
   */
  run<T>(work: () => T | Promise<T>): T | Promise<T> {
    if (this.length === 0 && this.#hasRoom() && !this.#isLate()) return this.#begin(work);
    if (this.length >= MAX_WAITING || this.#isLate()) throw new Overloaded();
    return new Promise<T>((resolve, reject) => {
      const begin = () => {
        try {
          const result = this.#begin(work);
          resolve(result);
          return result instanceof Promise;
        } catch (error) {
          reject(error);
          return false;
        }
      };
      this.#waiting.push({ since: this.#now(), begin });
      this.#schedule();
    });
  }

  close(): void {
    clearInterval(this.#looks);
  }

  #hasRoom(): boolean {
    return this.#hasTime() && this.#running < this.#maxRunning && this.#ended.length === 0;
  }

  #hasTime(): boolean {
    return this.#turnSince === undefined || this.#now() - this.#turnSince < SHARE_OF_A_TURN;
  }

  #isLate(): boolean {
    const oldest = this.#waiting[this.#first];
    return this.#late > this.#timeout || (oldest !== undefined && this.#now() - oldest.since > this.#timeout);
  }

  #begin<T>(work: () => T | Promise<T>): T | Promise<T> {
    this.#spend();
    const result = work();
    if (!(result instanceof Promise)) return result;
    this.#running += 1;
    return new Promise<T>((resolve, reject) => {
      result.then(
        (value) => this.#end(() => resolve(value)),
        (error) => this.#end(() => reject(error)),
      );
    });
  }

  #end(goOn: () => void): void {
    this.#running -= 1;
    this.#ended.push(goOn);
    this.#schedule();
  }

  /** From now on this turn works for strangers; the next begins with nothing spent. */
  #spend(): void {
    this.#turnSince ??= this.#now();
    this.#schedule();
  }

  #schedule(): void {
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.#turnSince = undefined;
      this.#drain();
    });
  }

  /** One turn's share, the oldest first: who has waited gets an answer, and who comes now hears that there is none. */
  #drain(): void {
    let goesOn = true;
    if (this.#ended.length > 0 && this.#hasTime()) {
      this.#spend();
      this.#ended.shift()?.();
      goesOn = false;
    }
    while (goesOn && this.length > 0 && this.#hasRoom()) {
      const next = this.#waiting[this.#first] as Waiting;
      this.#first += 1;
      goesOn = next.begin();
    }
    // Microtasks, which write the answer, all run before the tick that one of them asks for: the clock is read after the answer.
    if (!goesOn && this.#ended.length + this.length > 0) queueMicrotask(() => process.nextTick(() => this.#drain()));
    if (this.#first === this.#waiting.length || this.#first > MAX_WAITING) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
  }

  /** A timer that comes late says how late everything is; once alone it may have been one long pause, which is over by now. */
  #look(): void {
    const now = this.#now();
    const late = Math.max(0, now - this.#lookAt);
    this.#late = Math.min(late, this.#lateBefore);
    this.#lateBefore = late;
    this.#lookAt = now + LOOK;
  }
}
