import { INVALID_REQUEST } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import { type Id, idKey } from '../protocol/json-rpc.ts';

/** Why a request's signal was aborted if its client has taken the request back; otherwise the client is gone. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

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

  /** @returns false if the request is not here */
  cancel(id: unknown): boolean {
    const running = this.#running.get(idKey(id));
    running?.abort(new Cancelled('the client has cancelled the request'));
    return running !== undefined;
  }

  end(): void {
    for (const running of this.#running.values()) running.abort(new Error('the session has ended'));
  }
}
