import { linkSignals } from '../../platform/abort.ts';
import { INVALID_REQUEST } from '../protocol/error-codes.ts';
import { Cancelled, ServerError } from '../protocol/failures.ts';
import { type Id, idKey, type Json } from '../protocol/json-rpc.ts';

/** Requests of one session that wait for their answers, by the client's ids. */
export class RunningRequests {
  readonly #running = new Map<unknown, { readonly cancel: AbortController; readonly signal: AbortSignal }>();

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
    const { signal, release } = linkSignals([outer, cancel.signal]);
    this.#running.set(key, { cancel, signal });
    try {
      return await ask(signal);
    } catch (error) {
      cancel.signal.throwIfAborted();
      throw error;
    } finally {
      release();
      this.#running.delete(key);
    }
  }

  /** @param params of `notifications/cancelled` @returns false if the request does not wait here */
  cancel({ requestId, reason }: Json): boolean {
    const running = this.#running.get(idKey(requestId));
    if (running === undefined || running.signal.aborted) return false;
    running.cancel.abort(new Cancelled(reason));
    return true;
  }

  end(): void {
    for (const { cancel } of this.#running.values()) cancel.abort(new Error('the session has ended'));
  }
}
