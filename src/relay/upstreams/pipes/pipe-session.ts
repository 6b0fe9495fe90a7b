import { randomUUID } from 'node:crypto';
import { errors } from 'undici';
import { untilAborted } from '../../../platform/abort.ts';
import type { Budget, Budgets, Hold } from '../../gate/budgets/budgets.ts';
import { INVALID_REQUEST } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { weightOfMessage } from '../../protocol/json-weight.ts';
import { RunningRequests } from '../running-requests.ts';
import type { OnMessage, RequestOptions } from '../upstream-request.ts';
import type { MessageFields } from './pipe.ts';

export interface SessionTimes {
  /** Milliseconds until the first word of an answer. */
  readonly timeout: number;
  /** Milliseconds until the answer to `initialize`. */
  readonly start: number;
  /** Milliseconds of silence in an answer that has begun. */
  readonly idle: number;
}

/** A request of the client that waits for its answer. */
export interface Waiting {
  readonly answered: (result: Json) => void;
  /** There is no answer. */
  readonly failed: (why: Error) => void;
}

interface Open extends Waiting {
  readonly onMessage: OnMessage;
  timer: NodeJS.Timeout;
}

interface Listening extends Pick<Waiting, 'failed'> {
  readonly onMessage: OnMessage;
}

/** One MCP session (2025-11-25) with a server that knows none: where each of its messages is said to the client. */
export class PipeSession {
  readonly id: string = randomUUID();
  /** From `ownerKey(identity)`: nobody else may use the session. */
  readonly owner: string;
  readonly budget: Budget;
  readonly running = new RunningRequests();
  /** Of the last request in it; undefined: as the server was opened with. */
  fields: MessageFields | undefined;
  readonly #times: SessionTimes;
  readonly #now: () => number;
  readonly #open = new Set<Open>();
  #listening: Listening | undefined;
  /** What the client has not heard because it listens nowhere just now. */
  #kept: Array<{ readonly message: Json; readonly hold: Hold }> = [];
  readonly #hold: Hold;
  #lastUsed: number;

  /** @param hold of the session itself; released with it */
  constructor(owner: string, budgets: Budgets, hold: Hold, times: SessionTimes, now: () => number) {
    this.owner = owner;
    this.budget = budgets.of(owner, this.id);
    this.#hold = hold;
    this.#times = times;
    this.#now = now;
    this.#lastUsed = now();
  }

  /** Milliseconds since its client used it, whatever the server says meanwhile; 0 while something is open. */
  get unused(): number {
    return this.#open.size > 0 || this.#listening !== undefined ? 0 : this.#now() - this.#lastUsed;
  }

  /**
   * Waits for the answer to a request.
   *
   * @param ask sends the request
   * @throws what `failed` is told; the signal's reason; HeadersTimeoutError, BodyTimeoutError
   */
  async wait(method: string, { signal, onMessage }: RequestOptions, ask: (waiting: Waiting) => void): Promise<Json> {
    const timeout = method === 'initialize' ? this.#times.start : this.#times.timeout;
    let open: Open | undefined;
    try {
      return await untilAborted<Json>(signal, (answered, failed) => {
        const timer = setTimeout(() => failed(new errors.HeadersTimeoutError()), timeout);
        open = { onMessage, timer, answered, failed };
        this.#open.add(open);
        ask(open);
      });
    } finally {
      if (open !== undefined) {
        clearTimeout(open.timer);
        this.#open.delete(open);
      }
      this.#lastUsed = this.#now();
    }
  }

  /** Says what the server says unasked there from now on. @throws ServerError for a second stream; why the session ended */
  async listen({ signal, onMessage, onOpen }: RequestOptions): Promise<'lost'> {
    if (this.#listening !== undefined) throw new ServerError(INVALID_REQUEST, 'the session has such a stream already');
    try {
      return await new Promise<'lost'>((resolve, failed) => {
        signal.addEventListener('abort', () => resolve('lost'), { once: true });
        this.#listening = { onMessage, failed };
        onOpen?.();
        const kept = this.#kept;
        this.#kept = [];
        for (const { message, hold } of kept) {
          hold.release();
          onMessage(message);
        }
      });
    } finally {
      this.#listening = undefined;
      this.#lastUsed = this.#now();
    }
  }

  /**
   * Says a notification or request of the server to the client.
   *
   * @param about the client's request that it is known to belong to
   * @returns false where the client will not hear it
   */
  hear(message: Json, about?: Waiting): boolean {
    const open = [...this.#open].find((one) => one === about) ?? this.#onlyOne();
    if (open !== undefined) {
      clearTimeout(open.timer);
      open.timer = setTimeout(() => open.failed(new errors.BodyTimeoutError()), this.#times.idle);
      open.onMessage(message);
    } else if (this.#listening !== undefined) this.#listening.onMessage(message);
    else {
      const last = [...this.#open].at(-1);
      if (last === undefined) return this.#keep(message);
      last.onMessage(message);
    }
    return true;
  }

  #keep(message: Json): boolean {
    const hold = this.budget.take({ messages: 1, keptBytes: weightOfMessage(message) });
    if ('status' in hold) return false;
    this.#kept.push({ message, hold });
    return true;
  }

  /** The session is over: everything open ends with this error. */
  end(why: Error): void {
    for (const open of this.#open) open.failed(why);
    this.#listening?.failed(why);
    for (const { hold } of this.#kept) hold.release();
    this.#kept = [];
    this.#hold.release();
  }

  /** A pipe does not say what a message belongs to; where one request is open, it is most likely that one. */
  #onlyOne(): Open | undefined {
    return this.#open.size === 1 ? this.#open.values().next().value : undefined;
  }
}
