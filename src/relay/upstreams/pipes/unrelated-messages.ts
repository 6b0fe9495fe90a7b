import type { PipeSession } from './pipe-session.ts';

/**
 * Finds the session for a message of the server that names no request. A pipe does not show which request a message belongs to, and
 * a server may send it after its answer or after the client has left, so no open request proves whom it means.
 */
export class UnrelatedMessages {
  readonly #oneOwner: boolean;
  /** The owner whose messages the server has been sent, while all were one owner's. */
  #onlySender: string | undefined;
  #hasSeveralSenders = false;

  /** @param oneOwner all sessions are of one identity */
  constructor(oneOwner: boolean) {
    this.#oneOwner = oneOwner;
  }

  /** The server is sent a message of this owner. */
  sentFor(owner: string): void {
    this.#hasSeveralSenders ||= this.#onlySender !== undefined && this.#onlySender !== owner;
    this.#onlySender = this.#hasSeveralSenders ? undefined : owner;
  }

  /** @param busy those that wait for an answer @returns undefined where it cannot be known */
  recipient(sessions: ReadonlySet<PipeSession>, busy: () => ReadonlySet<PipeSession>): PipeSession | undefined {
    const candidates = [...sessions].filter(({ owner }) => this.#oneOwner || owner === this.#onlySender);
    if (candidates.length <= 1) return candidates[0];
    const waiting = busy();
    const asking = candidates.filter((session) => waiting.has(session));
    return asking.length === 1 ? asking[0] : undefined;
  }
}
