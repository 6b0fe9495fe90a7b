import { randomUUID } from 'node:crypto';
import { errors } from 'undici';
import type { Budget, Budgets, Hold } from '../../gate/budgets/budgets.ts';
import { type Id, idKey, type Json } from '../../protocol/json-rpc.ts';
import { weightOfMessage } from '../../protocol/json-weight.ts';
import type { LocalResponse } from '../local-response.ts';
import type { MessageFields } from './pipe.ts';

export interface SessionTimes {
  /** Milliseconds until the first word of an answer. */
  readonly timeout: number;
  /** Milliseconds of silence in an answer that has begun. */
  readonly idle: number;
}

interface Open {
  readonly response: LocalResponse;
  timer: NodeJS.Timeout;
}

/** One MCP session (2025-11-25) with a server that knows none: where each of its messages is said to the client. */
export class PipeSession {
  readonly id: string = randomUUID();
  /** From `ownerKey(identity)`: nobody else may use the session. */
  readonly owner: string;
  readonly budget: Budget;
  /** Of the last request in it; undefined: as the server was opened with. */
  fields: MessageFields | undefined;
  readonly #times: SessionTimes;
  readonly #now: () => number;
  /** What waits for an answer, by the client's id of it. */
  readonly #open = new Map<unknown, Open>();
  #listening: LocalResponse | undefined;
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

  /** Whether a request waits for its answer. */
  get busy(): boolean {
    return this.#open.size > 0;
  }

  /** @returns whether the response now waits for the answer; not where the id waits already (JSON-RPC 2.0 §4) */
  await(id: Id, response: LocalResponse): boolean {
    if (this.#open.has(idKey(id))) return false;
    const timer = setTimeout(() => response.abort(new errors.HeadersTimeoutError()), this.#times.timeout);
    this.#open.set(idKey(id), { response, timer });
    response.signal.addEventListener('abort', () => this.#forget(id, response), { once: true });
    return true;
  }

  /** Says what the server says unasked there from now on. @returns whether it does; only one such stream is */
  listen(response: LocalResponse): boolean {
    if (this.#listening !== undefined) return false;
    this.#listening = response;
    response.signal.addEventListener(
      'abort',
      () => {
        this.#listening = undefined;
        this.#lastUsed = this.#now();
      },
      { once: true },
    );
    response.stream();
    const kept = this.#kept;
    this.#kept = [];
    for (const { message, hold } of kept) {
      hold.release();
      response.event(message);
    }
    return true;
  }

  /** The answer to a request of the client. */
  answered(id: Id, message: Json): void {
    this.#open.get(idKey(id))?.response.answer(message);
  }

  /** There is no answer. */
  failed(id: Id, why: Error): void {
    this.#open.get(idKey(id))?.response.abort(why);
  }

  /**
   * Says a notification or request of the server to the client.
   *
   * @param about the client's request that it is known to belong to
   * @returns false where the client will not hear it
   */
  hear(message: Json, about?: Id): boolean {
    const open = (about === undefined ? undefined : this.#open.get(idKey(about))) ?? this.#onlyOne();
    if (open !== undefined) {
      clearTimeout(open.timer);
      open.timer = setTimeout(() => open.response.abort(new errors.BodyTimeoutError()), this.#times.idle);
      open.response.event(message);
    } else if (this.#listening !== undefined) this.#listening.event(message);
    else {
      const [last] = [...this.#open.values()].slice(-1);
      if (last === undefined) return this.#keep(message);
      last.response.event(message);
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
    for (const { response } of [...this.#open.values()]) response.abort(why);
    this.#listening?.abort(why);
    for (const { hold } of this.#kept) hold.release();
    this.#kept = [];
    this.#hold.release();
  }

  /** A pipe does not say what a message belongs to; where one request is open, it is most likely that one. */
  #onlyOne(): Open | undefined {
    return this.#open.size === 1 ? this.#open.values().next().value : undefined;
  }

  #forget(id: Id, response: LocalResponse): void {
    const open = this.#open.get(idKey(id));
    if (open?.response !== response) return;
    clearTimeout(open.timer);
    this.#open.delete(idKey(id));
    this.#lastUsed = this.#now();
  }
}
