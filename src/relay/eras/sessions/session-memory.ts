import { INTERNAL_ERROR, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Id, Json } from '../../protocol/json-rpc.ts';

/** Questions of one session that may wait for answers. */
const MAX_QUESTIONS = 100;
/** Sessions of one identity, and of all, of which something is remembered. */
const MAX_PER_OWNER = 100;
const MAX = 20_000;

/** The stream on which a session hears what changes. */
export interface StandingListener {
  /** @returns resources of which the server will tell @throws as `post` does */
  relisten(): Promise<ReadonlySet<string>>;
  end(): void;
}

/** What a process remembers of one session between two requests; without it the session goes on, but has to say it again. */
export class SessionMemory {
  /** Least severe level of logs that the client wants (`logging/setLevel`); undefined: none. */
  level: string | undefined;
  readonly resources = new Set<string>();
  /** By the client's id: ends a request that is under way. */
  readonly running = new Map<Id, AbortController>();
  /** By the relay's id: takes the client's answer to a question. */
  readonly #questions = new Map<Id, (answer: Json) => void>();
  listener: StandingListener | undefined;

  get busy(): boolean {
    return this.running.size > 0 || this.listener !== undefined;
  }

  /** Waits for the client's answer to a question. @throws ServerError where too many wait; the signal's reason */
  async answerTo(id: Id, signal: AbortSignal, ask: () => void): Promise<Json> {
    if (this.#questions.size >= MAX_QUESTIONS)
      throw new ServerError(INTERNAL_ERROR, 'too many questions wait for this client');
    let onAbort = () => {};
    try {
      return await new Promise<Json>((resolve, reject) => {
        this.#questions.set(id, resolve);
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        if (signal.aborted) onAbort();
        else ask();
      });
    } finally {
      this.#questions.delete(id);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** The client has answered. @returns false where nobody here asked for it */
  answered(message: Json): boolean {
    const waiting = this.#questions.get(message.id as Id);
    waiting?.(message);
    return waiting !== undefined;
  }

  /** Ends a request that is under way. @returns false where it is not here */
  cancelled(id: Id): boolean {
    const request = this.running.get(id);
    request?.abort(new ServerError(SERVER_ERROR, 'the request was taken back'));
    return request !== undefined;
  }

  end(): void {
    for (const request of this.running.values()) request.abort(new Error('the session has ended'));
    this.listener?.end();
  }
}

/** The sessions of which something is remembered, each for its owner alone. */
export class SessionMemories {
  /** By owner, then by session, the least recently used first. */
  readonly #owners = new Map<string, Map<string, SessionMemory>>();
  /** The last to end are the last to be forgotten. */
  readonly #ended = new Set<string>();
  #count = 0;

  of(owner: string, id: string): SessionMemory {
    const sessions = this.#owners.get(owner) ?? new Map<string, SessionMemory>();
    const known = sessions.get(id);
    const memory = known ?? new SessionMemory();
    sessions.delete(id);
    sessions.set(id, memory);
    this.#owners.delete(owner);
    this.#owners.set(owner, sessions);
    if (known === undefined) this.#count += 1;
    if (sessions.size > MAX_PER_OWNER) this.#forgetIdle(owner, sessions, memory);
    if (this.#count > MAX)
      for (const [other, theirs] of this.#owners) if (this.#forgetIdle(other, theirs, memory)) break;
    return memory;
  }

  /** @returns undefined where nothing of the session is remembered */
  known(owner: string, id: string): SessionMemory | undefined {
    return this.#owners.get(owner)?.get(id);
  }

  /** Whether the client has ended the session: its id opens still, and must not. */
  hasEnded(owner: string, id: string): boolean {
    return this.#ended.has(JSON.stringify([owner, id]));
  }

  end(owner: string, id: string): void {
    this.#ended.add(JSON.stringify([owner, id]));
    const [first] = this.#ended;
    if (this.#ended.size > MAX && first !== undefined) this.#ended.delete(first);
    const sessions = this.#owners.get(owner);
    const memory = sessions?.get(id);
    if (sessions === undefined || memory === undefined) return;
    this.#forget(owner, sessions, id);
    memory.end();
  }

  close(): void {
    for (const sessions of this.#owners.values()) for (const memory of sessions.values()) memory.end();
    this.#owners.clear();
    this.#count = 0;
  }

  #forgetIdle(owner: string, sessions: Map<string, SessionMemory>, spared: SessionMemory): boolean {
    for (const [id, memory] of sessions)
      if (memory !== spared && !memory.busy) {
        this.#forget(owner, sessions, id);
        return true;
      }
    return false;
  }

  #forget(owner: string, sessions: Map<string, SessionMemory>, id: string): void {
    sessions.delete(id);
    this.#count -= 1;
    if (sessions.size === 0) this.#owners.delete(owner);
  }
}
