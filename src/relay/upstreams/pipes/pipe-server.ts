import { isRecord } from '../../../platform/is-record.ts';
import { INVALID_REQUEST, METHOD_NOT_FOUND, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { parseJson, writeJson } from '../../protocol/json.ts';
import { errorMessage, type Id, isId, type Json } from '../../protocol/json-rpc.ts';
import { nestsTooDeep } from '../../protocol/nesting.ts';
import type { OpenPipe, Pipe } from './pipe.ts';
import type { PipeSession } from './pipe-session.ts';

/** A request of a client that the server has not answered, by the id that the server knows it by. */
interface Asked {
  readonly session: PipeSession;
  /** The client's own id. */
  readonly id: Id;
  readonly method: unknown;
  /** The client's own progress token. */
  readonly token: unknown;
  /** Called when it has been answered or taken back. */
  readonly settled?: () => void;
}

/** A server that answers nothing must not fill the memory. */
const MAX_ASKED = 1_000;
/** Resources that one session may subscribe to. */
const MAX_RESOURCES = 1_000;
const TOO_MANY_RESOURCES = `a session may subscribe to ${MAX_RESOURCES} resources`;
const LIST_CHANGED = /^notifications\/(?:tools|prompts|resources)\/list_changed$/;

/**
 * One running server, and the sessions that use it. Ids and progress tokens are the relay's own towards the server, so that
 * no session can answer, cancel or move what is another's.
 */
export class PipeServer {
  readonly #sessions = new Set<PipeSession>();
  readonly #asked = new Map<number, Asked>();
  /** Requests of the server, and whom they were put to. */
  readonly #serverRequests = new Map<Id, PipeSession>();
  readonly #subscriptions = new Map<string, Set<PipeSession>>();
  readonly #oneOwner: boolean;
  readonly #onEnd: (server: PipeServer, why: Error) => void;
  #pipe: Pipe | undefined;
  #lastId = 0;
  /** What the server answered to the first `initialize`. */
  #described: Json | undefined;
  #initializing: Promise<void> | undefined;
  #initialized = false;
  #over = false;

  /**
   * @param oneOwner all sessions are of one identity, so what the server says to nobody in particular is for all of them
   * @param onEnd the server is gone by itself
   */
  constructor(oneOwner: boolean, onEnd: (server: PipeServer, why: Error) => void) {
    this.#oneOwner = oneOwner;
    this.#onEnd = onEnd;
  }

  /** It has answered `initialize`: it works. */
  get works(): boolean {
    return this.#described !== undefined;
  }

  get sessions(): ReadonlySet<PipeSession> {
    return this.#sessions;
  }

  /** Bytes on their way to the server. */
  get waiting(): number {
    return this.#pipe?.waiting ?? 0;
  }

  /** @throws Error where the server cannot be started or reached */
  async start(open: OpenPipe, fields: readonly string[]): Promise<void> {
    this.#pipe = await open({ message: (text) => this.#receive(text), closed: (why) => this.#ended(why) }, fields);
    if (this.#over) await this.#pipe.close();
  }

  join(session: PipeSession): void {
    this.#sessions.add(session);
  }

  /** Takes back what the session still waits for. */
  leave(session: PipeSession): void {
    if (!this.#sessions.delete(session)) return;
    for (const [id, asked] of this.#asked) if (asked.session === session) this.#takeBack(id, 'the session has ended');
    for (const [id, asked] of this.#serverRequests)
      if (asked === session) {
        this.#serverRequests.delete(id);
        this.#send(errorMessage(id, INVALID_REQUEST, 'the client has ended the session'));
      }
    for (const [uri, sessions] of this.#subscriptions) {
      sessions.delete(session);
      if (sessions.size === 0) this.#subscriptions.delete(uri);
    }
    session.end(new Error('the session has ended'));
  }

  async close(): Promise<void> {
    this.#over = true;
    for (const session of [...this.#sessions]) this.leave(session);
    await this.#pipe?.close();
  }

  /**
   * Answers `initialize`. The server knows one only: what it answered to the first holds for all that share it.
   *
   * @returns false where the server refused it, or is gone: the session has not begun, and the next one is asked anew
   */
  async begin(session: PipeSession, id: Id, message: Json): Promise<boolean> {
    while (this.#described === undefined && this.#initializing !== undefined) await this.#initializing;
    if (this.#described !== undefined) {
      session.answered(id, { jsonrpc: '2.0', id, result: this.#described });
      return true;
    }
    if (!this.#sessions.has(session)) return false;
    this.#initializing = new Promise((resolve) => {
      this.#ask(session, id, message, {}, resolve);
    });
    await this.#initializing;
    this.#initializing = undefined;
    return this.works;
  }

  /** A request of a client; its answer comes to `session.answered`. */
  ask(session: PipeSession, id: Id, message: Json): void {
    const params = isRecord(message.params) ? message.params : {};
    if (message.method === 'initialize') return void this.begin(session, id, message);
    const uri = typeof params.uri === 'string' ? params.uri : undefined;
    if (message.method === 'resources/subscribe' && uri !== undefined && !this.#subscribe(uri, session))
      return void session.answered(id, errorMessage(id, SERVER_ERROR, TOO_MANY_RESOURCES));
    if (message.method === 'resources/unsubscribe' && uri !== undefined && this.#stillWanted(uri, session))
      return void session.answered(id, { jsonrpc: '2.0', id, result: {} });
    this.#ask(session, id, message, params);
  }

  /** A notification of a client, or its answer to a request of the server. */
  tell(session: PipeSession, message: Json): void {
    const params = isRecord(message.params) ? message.params : {};
    if (typeof message.method !== 'string') {
      const { id } = message;
      if (!isId(id) || this.#serverRequests.get(id) !== session) return;
      this.#serverRequests.delete(id);
      this.#send(message);
    } else if (message.method === 'notifications/cancelled') {
      for (const [id, asked] of this.#asked)
        if (asked.session === session && asked.id === params.requestId) {
          this.#takeBack(id, params.reason);
          session.cancelled(asked.id);
        }
    } else if (message.method === 'notifications/initialized') {
      if (!this.#initialized) this.#send(message);
      this.#initialized = true;
    } else this.#send(message);
  }

  #ask(session: PipeSession, id: Id, message: Json, params: Json, settled?: () => void): void {
    if (this.#asked.size >= MAX_ASKED) return void this.#turnAway(session, id, settled);
    this.#lastId += 1;
    const own = this.#lastId;
    const meta = isRecord(params._meta) ? params._meta : {};
    const token = meta.progressToken;
    this.#asked.set(own, { session, id, method: message.method, token, ...(settled === undefined ? {} : { settled }) });
    this.#send(
      token === undefined
        ? { ...message, id: own }
        : { ...message, id: own, params: { ...params, _meta: { ...meta, progressToken: own } } },
    );
  }

  #turnAway(session: PipeSession, id: Id, settled?: () => void): void {
    session.answered(id, errorMessage(id, SERVER_ERROR, 'too many requests wait for this server'));
    settled?.();
  }

  #receive(text: string): void {
    let message: unknown;
    try {
      message = parseJson(text);
    } catch {
      // Programs print other things too. It is nothing of the protocol.
      return;
    }
    if (!isRecord(message) || nestsTooDeep(text)) return;
    if (typeof message.method !== 'string') this.#answer(message);
    else if (isId(message.id)) this.#question(message.id, message.method, message);
    else this.#notice(message.method, message);
  }

  #answer(message: Json): void {
    if (!isId(message.id)) return;
    const own = Number(message.id);
    const asked = this.#asked.get(own);
    if (asked === undefined) return;
    this.#asked.delete(own);
    if (asked.method === 'initialize' && isRecord(message.result)) this.#described = message.result;
    asked.session.answered(asked.id, { ...message, id: asked.id });
    asked.settled?.();
  }

  #question(id: Id, method: string, message: Json): void {
    if (method === 'ping') return void this.#send({ jsonrpc: '2.0', id, result: {} });
    const session = this.#spokenTo();
    if (session === undefined)
      return void this.#send(
        errorMessage(id, METHOD_NOT_FOUND, 'several clients share this server: none can be asked'),
      );
    this.#serverRequests.set(id, session);
    session.hear(message);
  }

  #notice(method: string, message: Json): void {
    const params = isRecord(message.params) ? message.params : {};
    if (method === 'notifications/progress') {
      const token = params.progressToken;
      const asked = isId(token) ? this.#asked.get(Number(token)) : undefined;
      if (asked?.token === undefined) return;
      return void asked.session.hear({ ...message, params: { ...params, progressToken: asked.token } }, asked.id);
    }
    if (method === 'notifications/cancelled') {
      const { requestId } = params;
      const session = isId(requestId) ? this.#serverRequests.get(requestId) : undefined;
      this.#serverRequests.delete(requestId as Id);
      return void session?.hear(message);
    }
    if (method === 'notifications/resources/updated' && this.#sessions.size > 1) {
      const { uri } = params;
      for (const session of (typeof uri === 'string' && this.#subscriptions.get(uri)) || []) session.hear(message);
      return;
    }
    if (LIST_CHANGED.test(method) || this.#oneOwner) {
      for (const session of this.#sessions) session.hear(message);
      return;
    }
    // What may be about one person's request must not reach another.
    this.#spokenTo()?.hear(message);
  }

  /** Whom a word of the server must be meant for; undefined: that cannot be known. */
  #spokenTo(): PipeSession | undefined {
    if (this.#sessions.size === 1) return this.#sessions.values().next().value;
    const busy = new Set([...this.#asked.values()].map(({ session }) => session));
    return busy.size === 1 ? busy.values().next().value : undefined;
  }

  /** @returns false where the session has too many already */
  #subscribe(uri: string, session: PipeSession): boolean {
    const sessions = this.#subscriptions.get(uri) ?? new Set();
    const own = [...this.#subscriptions.values()].filter((subscribed) => subscribed.has(session)).length;
    if (own >= MAX_RESOURCES && !sessions.has(session)) return false;
    this.#subscriptions.set(uri, sessions.add(session));
    return true;
  }

  /** @returns whether another session still wants to hear of it */
  #stillWanted(uri: string, session: PipeSession): boolean {
    const sessions = this.#subscriptions.get(uri);
    sessions?.delete(session);
    if (sessions !== undefined && sessions.size > 0) return true;
    this.#subscriptions.delete(uri);
    return false;
  }

  #takeBack(own: number, reason: unknown): void {
    const asked = this.#asked.get(own);
    this.#asked.delete(own);
    asked?.settled?.();
    const params = { requestId: own, ...(typeof reason === 'string' ? { reason } : {}) };
    this.#send({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
  }

  #send(message: Json): void {
    this.#pipe?.send(writeJson(message));
  }

  #ended(why: Error): void {
    if (this.#over) return;
    this.#over = true;
    for (const session of this.#sessions) session.end(why);
    this.#sessions.clear();
    for (const { settled } of this.#asked.values()) settled?.();
    this.#onEnd(this, why);
  }
}
