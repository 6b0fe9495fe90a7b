import type { Hold } from '../../gate/budgets/budgets.ts';
import { type Id, isSameId } from '../../protocol/json-rpc.ts';
import type { PipeSession, Waiting } from './pipe-session.ts';

/** A request of a client that the server has not answered. */
export interface PendingRequest {
  readonly session: PipeSession;
  /** The client's own id. */
  readonly id: Id;
  readonly method: unknown;
  /** The client's own progress token. */
  readonly token: unknown;
  /** Undefined: nobody waits for the answer any more. */
  readonly waiting: Waiting | undefined;
  /** What the client is subscribed to as soon as the server has accepted it. */
  readonly subscribing: Subscribing | undefined;
}

export interface Subscribing {
  readonly uri: string;
  readonly hold: Hold;
}

/** Requests of one session that go on at the server though nobody waits for their answers any more. */
const MAX_ABANDONED = 64;

/** Requests of all sessions that one server has not answered, by the id that the server knows each by. */
export class PendingRequests {
  readonly #requests = new Map<number, PendingRequest>();
  /** Of each session, the oldest first. */
  readonly #abandoned = new Map<PipeSession, Set<number>>();
  #lastId = 0;

  nextId(): number {
    this.#lastId += 1;
    return this.#lastId;
  }

  /** Whether the server was sent a request with this id, which it may have answered since. @param key `idKey` of the id */
  wasSent(key: unknown): boolean {
    return typeof key === 'number' && Number.isInteger(key) && key > 0 && key <= this.#lastId;
  }

  add(id: number, request: PendingRequest): void {
    this.#requests.set(id, request);
  }

  /** @param key `idKey` of what the server gives as an id or token */
  get(key: unknown): PendingRequest | undefined {
    return this.#requests.get(key as number);
  }

  /** @param clientId absent: all of the session */
  idsOf(session: PipeSession, clientId?: unknown): number[] {
    const isMeant = (request: PendingRequest) =>
      request.session === session && (clientId === undefined || isSameId(request.id, clientId));
    return [...this.#requests].filter(([, request]) => isMeant(request)).map(([id]) => id);
  }

  /** Those that wait for an answer. */
  get sessions(): ReadonlySet<PipeSession> {
    return new Set([...this.#requests.values()].map(({ session }) => session));
  }

  /** Whether the server has yet to answer another session which subscribes to this. */
  isSubscribing(uri: string, than: PipeSession): boolean {
    for (const { session, subscribing } of this.#requests.values())
      if (session !== than && subscribing?.uri === uri) return true;
    return false;
  }

  /** @param key `idKey` of its id @returns the request, whose subscription is the caller's; undefined where it is not pending */
  take(key: unknown): PendingRequest | undefined {
    const id = key as number;
    const request = this.#requests.get(id);
    if (request === undefined) return undefined;
    this.#requests.delete(id);
    const abandoned = this.#abandoned.get(request.session);
    abandoned?.delete(id);
    if (abandoned?.size === 0) this.#abandoned.delete(request.session);
    return request;
  }

  /** Takes one that will not be answered. */
  drop(key: unknown): PendingRequest | undefined {
    const request = this.take(key);
    request?.subscribing?.hold.release();
    return request;
  }

  /** Nobody waits for this one any more, so little is kept of it. @returns one of the session that is too many, the oldest */
  abandon(id: number, request: PendingRequest): number | undefined {
    const { session } = request;
    this.#requests.set(id, { ...request, token: undefined, waiting: undefined });
    const abandoned = this.#abandoned.get(session) ?? new Set();
    this.#abandoned.set(session, abandoned.add(id));
    const [oldest] = abandoned;
    return abandoned.size > MAX_ABANDONED ? oldest : undefined;
  }

  clear(): void {
    for (const id of [...this.#requests.keys()]) this.drop(id);
  }
}
