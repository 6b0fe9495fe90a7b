import { untilAborted } from '../../../platform/abort.ts';
import type { Budget, Budgets, Hold } from '../../gate/budgets/budgets.ts';
import { holdOrThrow } from '../../gate/budgets/hold-or-throw.ts';
import { SERVER_ERROR } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Id, Json } from '../../protocol/json-rpc.ts';
import { RunningRequests } from '../../upstreams/running-requests.ts';

/** Sessions of all identities of which something is remembered. */
const MAX = 20_000;

/** The stream on which a session hears what changes. */
export interface ChangeListener {
  /** @returns resources of which the server will tell @throws as `post` does */
  relisten(): Promise<ReadonlySet<string>>;
  end(): void;
}

/** What a process remembers of one session between two requests; without it the session goes on, but has to say it again. */
export class SessionMemory {
  /** Least severe level of logs that the client wants (`logging/setLevel`); undefined: none. */
  level: string | undefined;
  readonly running = new RunningRequests();
  /** By the relay's id: takes the client's answer to a question. */
  readonly #questions = new Map<Id, (answer: Json) => void>();
  /** Those to which the client is subscribed. */
  readonly #resources = new Map<string, Hold>();
  readonly #budget: Budget;
  readonly #hold: Hold;
  listener: ChangeListener | undefined;

  /** @param hold of the session itself; released when it is forgotten */
  constructor(budget: Budget, hold: Hold) {
    this.#budget = budget;
    this.#hold = hold;
  }

  get resources(): readonly string[] {
    return [...this.#resources.keys()];
  }

  /** @returns false where the client is subscribed already @throws ServerError where it may not be to more */
  subscribe(uri: string): boolean {
    if (this.#resources.has(uri)) return false;
    this.#resources.set(uri, holdOrThrow(this.#budget, { subscriptions: 1, requestBytes: Buffer.byteLength(uri) }));
    return true;
  }

  /** @returns whether the client was subscribed */
  unsubscribe(uri: string): boolean {
    this.#resources.get(uri)?.release();
    return this.#resources.delete(uri);
  }

  get busy(): boolean {
    return this.running.size > 0 || this.listener !== undefined;
  }

  /**
   * Waits for the client's answer to a question.
   *
   * @param size bytes of it
   * @throws ServerError where too many wait; the signal's reason
   */
  async answerTo(id: Id, size: number, signal: AbortSignal, ask: () => void): Promise<Json> {
    const hold = holdOrThrow(this.#budget, { questions: 1, keptBytes: size });
    try {
      return await untilAborted<Json>(signal, (resolve) => {
        this.#questions.set(id, resolve);
        ask();
      });
    } finally {
      hold.release();
      this.#questions.delete(id);
    }
  }

  /** The client has answered. @returns false where nobody here asked for it */
  answered(message: Json): boolean {
    const waiting = this.#questions.get(message.id as Id);
    waiting?.(message);
    return waiting !== undefined;
  }

  end(): void {
    this.running.end();
    this.listener?.end();
    this.forget();
  }

  /** Gives back all that it holds. */
  forget(): void {
    for (const uri of this.resources) this.unsubscribe(uri);
    this.#hold.release();
  }
}

/** The sessions of which something is remembered, each for its owner alone. */
export class SessionMemories {
  /** By owner, then by session, the least recently used first. */
  readonly #owners = new Map<string, Map<string, SessionMemory>>();
  /** The last to end are the last to be forgotten. */
  readonly #ended = new Set<string>();
  readonly #budgets: Budgets;
  #count = 0;

  constructor(budgets: Budgets) {
    this.#budgets = budgets;
  }

  /** @throws ServerError where the identity may have no further session, and all that it has are in use */
  of(owner: string, id: string): SessionMemory {
    const sessions = this.#owners.get(owner) ?? new Map<string, SessionMemory>();
    const known = sessions.get(id);
    const memory = known ?? this.#begin(owner, id, sessions);
    sessions.delete(id);
    sessions.set(id, memory);
    this.#owners.delete(owner);
    this.#owners.set(owner, sessions);
    if (known === undefined) this.#count += 1;
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

  #begin(owner: string, id: string, sessions: Map<string, SessionMemory>): SessionMemory {
    const identity = this.#budgets.of(owner);
    let hold = identity.take({ sessions: 1 });
    if ('status' in hold && this.#forgetIdle(owner, sessions)) hold = identity.take({ sessions: 1 });
    if ('status' in hold) throw new ServerError(SERVER_ERROR, hold.message, hold.data);
    return new SessionMemory(this.#budgets.of(owner, id), hold);
  }

  #forgetIdle(owner: string, sessions: Map<string, SessionMemory>, spared?: SessionMemory): boolean {
    for (const [id, memory] of sessions)
      if (memory !== spared && !memory.busy) {
        memory.forget();
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
