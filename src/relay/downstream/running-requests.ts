import { INVALID_REQUEST } from '../protocol/error-codes.ts';
import { Cancelled, ServerError } from '../protocol/failures.ts';
import { type Id, idKey, type Json } from '../protocol/json-rpc.ts';

/** Requests of one session that wait for their answers, by the client's ids. */
export class RunningRequests {
  readonly #running = new Map<unknown, AbortController>();

  get size(): number {
    return this.#running.size;
  }

  /**
   * @param outer ends the request too
   * @throws ServerError if the id waits already (JSON-RPC 2.0 §4); Cancelled; what `ask` throws
   */
  async run<T>(id: Id, outer: AbortSignal, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const key = idKey(id);
    if (this.#running.has(key)) throw new ServerError(INVALID_REQUEST, 'a request with this id waits for its answer');
    const cancel = new AbortController();
    this.#running.set(key, cancel);
    try {
      return await ask(AbortSignal.any([outer, cancel.signal]));
    } catch (error) {
      cancel.signal.throwIfAborted();
      throw error;
    } finally {
      this.#running.delete(key);
    }
  }

  /** @param params of `notifications/cancelled` @returns false if the request is not here */
  cancel({ requestId, reason }: Json): boolean {
    const running = this.#running.get(idKey(requestId));
    running?.abort(new Cancelled(reason));
    return running !== undefined;
  }

  end(): void {
    for (const running of this.#running.values()) running.abort(new Error('the session has ended'));
  }
}
