import { randomUUID } from 'node:crypto';
import { SERVER_ERROR } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { SuspendedCall } from './suspended-call.ts';

/** Milliseconds that a call waits for its client's answers. */
const PATIENCE = 10 * 60_000;
/** Tells these states from those of servers. */
const PREFIX = 'postern.';

interface Waiting {
  readonly call: SuspendedCall;
  readonly owner: string;
  /** The request that may go on with it. */
  readonly what: string;
  readonly timer: NodeJS.Timeout;
}

/** Whether it is a state of these calls, and no server's. */
export function isSuspendedState(state: unknown): state is string {
  return typeof state === 'string' && state.startsWith(PREFIX);
}

/**
 * Calls that go on at their server while their clients are asked something. The state that a client comes back with is a name
 * that cannot be guessed; only who began a call can go on with it, by the same request.
 */
export class SuspendedCalls {
  readonly #waiting = new Map<string, Waiting>();
  /** States of each identity, the oldest first. */
  readonly #byOwner = new Map<string, Set<string>>();
  readonly #max: number;
  #closed = false;

  /** @param max calls of one identity that may wait */
  constructor(max: number) {
    this.#max = max;
  }

  /**
   * A person who dismisses a question never comes back to it: where too many wait, the oldest ends.
   *
   * @returns the `requestState` to come back with
   * @throws ServerError where the relay ends; the call is ended then
   */
  keep(call: SuspendedCall, owner: string, what: string): string {
    if (this.#closed) {
      call.end();
      throw new ServerError(SERVER_ERROR, 'the relay is shutting down: make the call again');
    }
    if ((this.#byOwner.get(owner)?.size ?? 0) >= this.#max) this.endOldest(owner);
    const own = this.#byOwner.get(owner) ?? new Set();
    const state = `${PREFIX}${randomUUID()}`;
    const timer = setTimeout(() => this.#remove(state)?.call.end(), PATIENCE).unref();
    this.#byOwner.set(owner, own.add(state));
    this.#waiting.set(state, { call, owner, what, timer });
    return state;
  }

  /** @returns false where none of this owner waits */
  endOldest(owner: string): boolean {
    const [oldest] = this.#byOwner.get(owner) ?? [];
    if (oldest === undefined) return false;
    this.#remove(oldest)?.call.end();
    return true;
  }

  /** @returns undefined where no such call of this owner waits here */
  take(state: string, owner: string, what: string): SuspendedCall | undefined {
    const found = this.#waiting.get(state);
    if (found === undefined || found.owner !== owner || found.what !== what) return undefined;
    return this.#remove(state)?.call;
  }

  close(): void {
    this.#closed = true;
    for (const state of [...this.#waiting.keys()]) this.#remove(state)?.call.end();
  }

  #remove(state: string): Waiting | undefined {
    const found = this.#waiting.get(state);
    if (found === undefined) return undefined;
    clearTimeout(found.timer);
    this.#waiting.delete(state);
    const own = this.#byOwner.get(found.owner);
    own?.delete(state);
    if (own?.size === 0) this.#byOwner.delete(found.owner);
    return found;
  }
}
