import type { MessageReader } from '../protocol/message-reader.ts';

/** How often and how long a lost stream is tried again. */
export interface RetryTimes {
  /** Milliseconds before the first new attempt; doubled up to `longest`. */
  readonly first: number;
  readonly longest: number;
  /** Failures in a row after which the server is given up. */
  readonly attempts: number;
}

/**
 * Why a stream is not opened again: the server offers none, does not know the session any more, refuses the relay, or
 * does not answer.
 */
export type StreamEnd = 'not_offered' | 'session_lost' | 'refused' | 'unreachable';

export interface ResumableStreamEvents {
  /** Sends the GET request; `ended` of its reader must come to `ResumableStream.ended`. */
  open(lastEventId: string | undefined): MessageReader;
  finished(how: StreamEnd): void;
}

/** One GET stream that is opened again where it ended, from the last event on (basic/transports, resumability). */
export class ResumableStream {
  readonly #events: ResumableStreamEvents;
  readonly #times: RetryTimes;
  #reader: MessageReader | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastEventId: string | undefined;
  #failures = 0;
  #empty = 0;
  #worked = false;
  #stopped = false;

  constructor(events: ResumableStreamEvents, times: RetryTimes) {
    this.#events = events;
    this.#times = times;
  }

  /** Opens a stream of its own, or takes up one that ended: `retry` in milliseconds. */
  start(from?: { lastEventId: string; retry: number | undefined }): void {
    this.#lastEventId = from?.lastEventId;
    if (from === undefined) this.#open();
    else this.#later(Math.max(from.retry ?? 0, this.#times.first));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#reader?.abort();
  }

  ended(reader: MessageReader, error: Error | undefined): void {
    if (this.#stopped) return;
    this.#lastEventId = reader.lastEventId ?? this.#lastEventId;
    const { status } = reader;
    if (status === 405) return void this.#finish('not_offered');
    // From the first answer on these mean that there is no such stream; later, that the server has forgotten the session.
    if (status === 404 || status === 400) return void this.#finish(this.#worked ? 'session_lost' : 'not_offered');
    const again = status === 0 || status === 409 || status === 429 || status >= 500;
    if (!reader.isStream && !again) return void this.#finish(status < 300 ? 'not_offered' : 'refused');
    if (reader.isStream && !(error instanceof RangeError)) {
      this.#worked = true;
      this.#failures = 0;
      this.#empty = reader.delivered ? 0 : this.#empty + 1;
      return void this.#later(Math.max(reader.retry ?? 0, this.#delay(this.#empty)));
    }
    this.#failures += 1;
    if (this.#failures >= this.#times.attempts)
      return void this.#finish(status === 409 || status === 429 ? 'refused' : 'unreachable');
    this.#later(this.#delay(this.#failures));
  }

  #delay(count: number): number {
    return Math.min(this.#times.longest, this.#times.first * 2 ** count);
  }

  #later(delay: number): void {
    this.#timer = setTimeout(() => this.#open(), Math.min(delay, this.#times.longest));
  }

  #open(): void {
    if (!this.#stopped) this.#reader = this.#events.open(this.#lastEventId);
  }

  #finish(how: StreamEnd): void {
    this.#stopped = true;
    this.#events.finished(how);
  }
}
