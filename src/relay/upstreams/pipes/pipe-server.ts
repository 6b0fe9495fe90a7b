import { isRecord } from '../../../platform/is-record.ts';
import type { Budget, Hold } from '../../gate/budgets/budgets.ts';
import { heldBytes } from '../../gate/budgets/held-bytes.ts';
import { holdOrThrow } from '../../gate/budgets/hold-or-throw.ts';
import { INVALID_REQUEST, METHOD_NOT_FOUND, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { parseJson, writeJson } from '../../protocol/json.ts';
import { errorMessage, type Id, isId, isSameId, type Json } from '../../protocol/json-rpc.ts';
import { isTooLongId } from '../../protocol/message-bounds.ts';
import { nestsTooDeep } from '../../protocol/nesting.ts';
import type { OversizedMessage } from '../../protocol/oversized-message.ts';
import { RefusedError } from '../../refusal.ts';
import { NoiseBudget } from './noise-budget.ts';
import { PacedQueue } from './paced-queue.ts';
import type { MessageFields, OpenPipe, Pipe } from './pipe.ts';
import type { PipeSession } from './pipe-session.ts';
import { ProgramEnded, ServerNotStarted } from './server-not-started.ts';

/** A request of a client that the server has not answered, by the id that the server knows it by. */
interface Asked {
  readonly session: PipeSession;
  /** The client's own id. */
  readonly id: Id;
  readonly method: unknown;
  /** The client's own progress token. */
  readonly token: unknown;
  /** Nobody waits for the answer any more. */
  readonly abandoned?: boolean;
  /** What the client is subscribed to as soon as the server has accepted it. */
  readonly subscribing?: Subscribing | undefined;
  /** Called when it has been answered or taken back. */
  readonly settled?: (() => void) | undefined;
}

interface Subscribing {
  readonly uri: string;
  readonly hold: Hold;
}

/** A request of the server, and whom it was put to. */
interface Question {
  readonly session: PipeSession;
  readonly hold: Hold;
}

/** What a server said, in the order in which it did. */
type Heard =
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'oversized'; readonly message: OversizedMessage }
  | { readonly kind: 'undelivered'; readonly text: string; readonly why: Error }
  | { readonly kind: 'closed'; readonly why: Error };

export interface PipeServerOptions {
  /** All sessions are of one identity, so what the server says to nobody in particular is for all of them. */
  readonly oneOwner: boolean;
  /** Of whom all sessions are, for messages that have come by half. */
  readonly budget: Budget;
  /** Characters of one message of the server, for the error that says so. */
  readonly limit: number;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** The server is gone by itself, after it has been started. */
  readonly onEnd: (server: PipeServer, why: Error) => void;
  /** The first text of the server that is no message of the protocol. */
  readonly onStray: (text: string) => void;
  /** The first answer of the server to what it was never asked. */
  readonly onUnasked: () => void;
  readonly onOversized: (message: OversizedMessage) => void;
}

/** Requests of one session that go on at the server though nobody waits for their answers any more. */
const MAX_ABANDONED = 64;
const LIST_CHANGED = /^notifications\/(?:tools|prompts|resources)\/list_changed$/;

/**
 * One running server, and the sessions that use it. Ids and progress tokens are the relay's own towards the server, so that
 * no session can answer, cancel or move what is another's.
 */
export class PipeServer {
  readonly #sessions = new Set<PipeSession>();
  readonly #asked = new Map<number, Asked>();
  readonly #serverRequests = new Map<Id, Question>();
  readonly #subscriptions = new Map<string, Map<PipeSession, Hold>>();
  /** Of each session, the oldest first. */
  readonly #abandoned = new Map<PipeSession, Set<number>>();
  readonly #options: PipeServerOptions;
  readonly #heard: PacedQueue<Heard>;
  readonly #noise: NoiseBudget;
  /** Of a message that has come by half. */
  #half: Hold | undefined;
  #strayed = false;
  #unasked = false;
  /** The owner whose messages it has been sent, where all were one owner's. */
  #onlySender: string | undefined;
  #hasSeveralSenders = false;
  /** Why it ended by itself. */
  #why: Error | undefined;
  #pipe: Pipe | undefined;
  #lastId = 0;
  /** What the server answered to the first `initialize`. */
  #described: Json | undefined;
  #initializing: Promise<void> | undefined;
  #initialized = false;
  #over = false;

  constructor(options: PipeServerOptions) {
    this.#options = options;
    this.#noise = new NoiseBudget(options.now);
    this.#heard = new PacedQueue<Heard>(
      { pause: () => this.#pipe?.pause(), resume: () => this.#pipe?.resume() },
      (heard) => this.#take(heard),
      (error) => this.#fail(error),
    );
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

  /** @throws Error where the server cannot be started or reached, or ends at once */
  async start(open: OpenPipe, fields: readonly string[]): Promise<void> {
    const heard = this.#heard;
    const hold = holdOrThrow(this.#options.budget, {});
    this.#half = hold;
    const half = heldBytes(hold, 'keptBytes');
    const pipe = await open(
      {
        read: (work) => heard.read(work),
        spent: (milliseconds) => heard.spent(milliseconds),
        message: (text) => heard.push({ kind: 'message', text }),
        oversized: (message) => heard.push({ kind: 'oversized', message }),
        undelivered: (text, why) => heard.push({ kind: 'undelivered', text, why }),
        closed: (why) => heard.push({ kind: 'closed', why }),
        pending: (bytes) => {
          const spent = half(bytes);
          if (spent !== undefined) this.#fail(new RefusedError(spent));
        },
        noise: (bytes) => {
          if (!this.#noise.add(bytes)) this.#fail(new Error('the server sends little that is a message'));
        },
      },
      fields,
    ).catch((error: unknown) => {
      hold.release();
      throw error;
    });
    this.#pipe = pipe;
    if (heard.holds) pipe.pause();
    if (!this.#over) return;
    await pipe.close();
    if (this.#why !== undefined) throw this.#why;
  }

  join(session: PipeSession): void {
    this.#sessions.add(session);
  }

  /** Takes back what the session still waits for. */
  leave(session: PipeSession): void {
    if (!this.#sessions.delete(session)) return;
    for (const [id, asked] of this.#asked) if (asked.session === session) this.#takeBack(id, 'the session has ended');
    for (const [id, asked] of this.#serverRequests)
      if (asked.session === session) this.#refuseQuestion(id, 'the client has ended the session');
    for (const uri of [...this.#subscriptions.keys()]) this.#unsubscribe(uri, session);
    this.#abandoned.delete(session);
    session.end(new Error('the session has ended'));
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#heard.stop();
    this.#half?.release();
    for (const session of [...this.#sessions]) this.leave(session);
    await this.#pipe?.close();
  }

  /**
   * Answers `initialize`. The server knows one only: what it answered to the first holds for all that share it.
   *
   * @param signal aborted where no client waits for the answer any more
   * @returns false where the server refused it, does not answer in time or is gone: the session has not begun, and the next one
   *   is asked anew
   */
  async begin(session: PipeSession, id: Id, message: Json, signal: AbortSignal): Promise<boolean> {
    while (this.#described === undefined && this.#initializing !== undefined && !signal.aborted)
      await Promise.race([this.#initializing, aborted(signal)]);
    if (this.#over) session.end(this.#why ?? new Error('the server has ended'));
    if (this.#over || signal.aborted || !this.#sessions.has(session)) return false;
    if (this.#described !== undefined) {
      session.answered(id, { jsonrpc: '2.0', id, result: this.#described });
      return true;
    }
    const asked = new Promise<void>((resolve) => {
      const own = this.#ask(session, id, message, {}, { settled: resolve });
      signal.addEventListener('abort', () => this.#forgetInitialize(own), { once: true });
    });
    this.#initializing = asked;
    await asked;
    if (this.#initializing === asked) this.#initializing = undefined;
    return this.works;
  }

  /**
   * A request of a client; its answer comes to `session.answered`.
   *
   * @param signal aborted where no client waits for the answer any more
   */
  ask(session: PipeSession, id: Id, message: Json, signal: AbortSignal): void {
    const params = isRecord(message.params) ? message.params : {};
    if (message.method === 'initialize')
      return void session.answered(id, { jsonrpc: '2.0', id, result: this.#described });
    const uri = typeof params.uri === 'string' ? params.uri : undefined;
    let subscribing: Subscribing | undefined;
    const isNew = uri !== undefined && this.#subscriptions.get(uri)?.has(session) !== true;
    if (message.method === 'resources/subscribe' && isNew) {
      const hold = session.budget.take({ subscriptions: 1, requestBytes: Buffer.byteLength(uri) });
      if ('status' in hold)
        return void session.answered(id, errorMessage(id, SERVER_ERROR, hold.message, { ...hold.data }));
      subscribing = { uri, hold };
    }
    if (message.method === 'resources/unsubscribe' && uri !== undefined && this.#stillWanted(uri, session))
      return void session.answered(id, { jsonrpc: '2.0', id, result: {} });
    const own = this.#ask(session, id, message, params, { subscribing });
    signal.addEventListener('abort', () => this.#abandon(own), { once: true });
  }

  /** A notification of a client, or its answer to a request of the server. */
  tell(session: PipeSession, message: Json): void {
    const params = isRecord(message.params) ? message.params : {};
    if (typeof message.method !== 'string') {
      const { id } = message;
      if (!isId(id) || this.#serverRequests.get(id)?.session !== session) return;
      this.#forgetQuestion(id);
      this.#sendFor(session, message);
    } else if (message.method === 'notifications/cancelled') {
      for (const [id, asked] of this.#asked)
        if (asked.session === session && isSameId(asked.id, params.requestId)) {
          this.#takeBack(id, params.reason);
          session.failed(asked.id, new Error('the client has cancelled the request'));
        }
    } else if (message.method === 'notifications/initialized') {
      if (!this.#initialized) this.#sendFor(session, message);
      this.#initialized = true;
    } else this.#sendFor(session, message);
  }

  /** @returns the id that the server knows it by */
  #ask(
    session: PipeSession,
    id: Id,
    message: Json,
    params: Json,
    { settled, subscribing }: Pick<Asked, 'settled' | 'subscribing'>,
  ): number {
    this.#lastId += 1;
    const own = this.#lastId;
    const meta = isRecord(params._meta) ? params._meta : {};
    const token = meta.progressToken;
    this.#asked.set(own, { session, id, method: message.method, token, settled, subscribing });
    this.#sendFor(
      session,
      token === undefined
        ? { ...message, id: own }
        : { ...message, id: own, params: { ...params, _meta: { ...meta, progressToken: own } } },
    );
    return own;
  }

  /** It may not be cancelled (basic/utilities/cancellation): the next session that needs it asks anew. */
  #forgetInitialize(own: number): void {
    const asked = this.#asked.get(own);
    if (asked === undefined) return;
    this.#asked.delete(own);
    asked.settled?.();
  }

  /**
   * The client has gone, which takes nothing back (2025-11-25, basic/transports): the request goes on, and little is kept of it.
   * Of too many the oldest is taken back all the same.
   */
  #abandon(own: number): void {
    const asked = this.#asked.get(own);
    if (asked === undefined) return;
    const { session } = asked;
    this.#asked.set(own, { ...asked, token: undefined, abandoned: true });
    const abandoned = this.#abandoned.get(session) ?? new Set();
    this.#abandoned.set(session, abandoned.add(own));
    const [oldest] = abandoned;
    if (abandoned.size > MAX_ABANDONED && oldest !== undefined)
      this.#takeBack(oldest, 'no client waits for the answer');
  }

  #forgetQuestion(id: Id): void {
    this.#serverRequests.get(id)?.hold.release();
    this.#serverRequests.delete(id);
  }

  #refuseQuestion(id: Id, why: string): void {
    this.#forgetQuestion(id);
    this.#send(errorMessage(id, INVALID_REQUEST, why));
  }

  #take(heard: Heard): void {
    if (this.#over) return;
    switch (heard.kind) {
      case 'message':
        return void this.#receive(heard.text);
      case 'oversized':
        return void this.#refuseOversized(heard.message);
      case 'undelivered':
        return void this.#undelivered(heard.text, heard.why);
      case 'closed':
        return void this.#ended(heard.why);
      default:
        heard satisfies never;
    }
  }

  /** Programs print other things too, and some begin with a byte order mark. A batch is of 2025-03-26. */
  #receive(text: string): void {
    const message = readMessage(text);
    if (message === undefined || nestsTooDeep(text)) return void this.#stray(text);
    for (const one of Array.isArray(message) ? message : [message]) {
      if (!isRecord(one)) this.#stray(writeJson(one));
      else if (typeof one.method !== 'string') this.#answer(one);
      else if (isId(one.id)) this.#question(one.id, one.method, one);
      else this.#notice(one.method, one);
    }
  }

  #stray(text: string): void {
    if (!this.#strayed) this.#options.onStray(text);
    this.#strayed = true;
    if (!this.#noise.add(text.length)) this.#fail(new Error('the server sends little that is a message'));
  }

  /** That one message is refused to whom it was for; everything else goes on. */
  #refuseOversized(message: OversizedMessage): void {
    this.#options.onOversized(message);
    const { id, isRequest, size } = message;
    if (id === undefined) return;
    const why = `a message of the MCP server has ${size} characters, of which ${this.#options.limit} may be (relay.limits.maxServerMessage)`;
    const error = errorMessage(id, SERVER_ERROR, why);
    if (isRequest) this.#send(error);
    else this.#answer(error);
  }

  #undelivered(text: string, why: Error): void {
    const message = readMessage(text);
    if (!isRecord(message) || !isId(message.id) || message.method === undefined) return;
    if (!(why instanceof RefusedError))
      return void this.#answer(
        errorMessage(message.id, SERVER_ERROR, `the MCP server did not take the message: ${why.message}`),
      );
    const asked = this.#drop(Number(message.id));
    if (asked?.abandoned !== true) asked?.session.failed(asked.id, why);
  }

  #answer(message: Json): void {
    if (!isId(message.id)) return;
    const own = Number(message.id);
    const asked = this.#asked.get(own);
    if (asked === undefined) return void this.#answersNothing(own);
    this.#forgetAsked(own);
    if (asked.subscribing !== undefined && isRecord(message.result)) this.#subscribe(asked.subscribing, asked.session);
    else asked.subscribing?.hold.release();
    if (asked.method === 'initialize' && isRecord(message.result)) this.#described = message.result;
    // Its id may be that of another request by now.
    if (asked.abandoned !== true) asked.session.answered(asked.id, { ...message, id: asked.id });
    asked.settled?.();
  }

  /** What was taken back may be answered all the same; what was never asked may not. */
  #answersNothing(own: number): void {
    if (Number.isInteger(own) && own > 0 && own <= this.#lastId) return;
    if (!this.#unasked) this.#options.onUnasked();
    this.#unasked = true;
  }

  #forgetAsked(own: number): void {
    const asked = this.#asked.get(own);
    if (asked === undefined) return;
    this.#asked.delete(own);
    const abandoned = this.#abandoned.get(asked.session);
    abandoned?.delete(own);
    if (abandoned?.size === 0) this.#abandoned.delete(asked.session);
  }

  /** @returns what will not be answered */
  #drop(own: number): Asked | undefined {
    const asked = this.#asked.get(own);
    this.#forgetAsked(own);
    asked?.subscribing?.hold.release();
    asked?.settled?.();
    return asked;
  }

  #question(id: Id, method: string, message: Json): void {
    if (method === 'ping') return void this.#send({ jsonrpc: '2.0', id, result: {} });
    const session = this.#spokenTo();
    if (session === undefined)
      return void this.#send(
        errorMessage(id, METHOD_NOT_FOUND, 'several clients share this server: none can be asked'),
      );
    if (isTooLongId(id)) return void this.#stray(method);
    const hold = this.#questionHold(id, session);
    if (hold === undefined)
      return void this.#send(errorMessage(id, SERVER_ERROR, 'too many requests wait for this client'));
    this.#forgetQuestion(id);
    this.#serverRequests.set(id, { session, hold });
    if (!session.hear(message)) this.#refuseQuestion(id, 'no client is connected to answer this request');
  }

  /** A question that nobody answers must not keep out those that come after it: of too many the oldest goes. */
  #questionHold(id: Id, session: PipeSession): Hold | undefined {
    const charge = { questions: 1, keptBytes: Buffer.byteLength(String(id)) };
    const hold = session.budget.take(charge);
    if (!('status' in hold)) return hold;
    const [oldest] = [...this.#serverRequests].find(([, asked]) => asked.session === session) ?? [];
    if (oldest === undefined) return undefined;
    this.#refuseQuestion(oldest, 'the client has not answered this request');
    const again = session.budget.take(charge);
    return 'status' in again ? undefined : again;
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
      const question = isId(requestId) ? this.#serverRequests.get(requestId) : undefined;
      if (isId(requestId)) this.#forgetQuestion(requestId);
      return void question?.session.hear(message);
    }
    if (method === 'notifications/resources/updated') {
      const { uri } = params;
      const subscribers = typeof uri === 'string' ? this.#subscriptions.get(uri) : undefined;
      for (const session of subscribers?.keys() ?? []) session.hear(message);
      if (subscribers !== undefined || this.#sessions.size > 1) return;
    }
    if (LIST_CHANGED.test(method) || this.#options.oneOwner) {
      for (const session of this.#sessions) session.hear(message);
      return;
    }
    // What may be about one person's request must not reach another.
    this.#spokenTo()?.hear(message);
  }

  /**
   * The session that an unrelated message of the server is for; undefined: unknown. A pipe does not show which request a message
   * belongs to, and a server may speak after its answer or after the client has left, so no open request proves whom it means.
   */
  #spokenTo(): PipeSession | undefined {
    const { oneOwner } = this.#options;
    const candidates = [...this.#sessions].filter(({ owner }) => oneOwner || owner === this.#onlySender);
    if (candidates.length <= 1) return candidates[0];
    const busy = new Set([...this.#asked.values()].map(({ session }) => session));
    const asking = candidates.filter((session) => busy.has(session));
    return asking.length === 1 ? asking[0] : undefined;
  }

  #subscribe({ uri, hold }: Subscribing, session: PipeSession): void {
    this.#unsubscribe(uri, session);
    if (!this.#sessions.has(session)) return void hold.release();
    const sessions = this.#subscriptions.get(uri) ?? new Map<PipeSession, Hold>();
    this.#subscriptions.set(uri, sessions.set(session, hold));
  }

  #unsubscribe(uri: string, session: PipeSession): void {
    const sessions = this.#subscriptions.get(uri);
    sessions?.get(session)?.release();
    sessions?.delete(session);
    if (sessions?.size === 0) this.#subscriptions.delete(uri);
  }

  /** @returns whether another session still wants to hear of it */
  #stillWanted(uri: string, session: PipeSession): boolean {
    this.#unsubscribe(uri, session);
    return this.#subscriptions.has(uri);
  }

  #takeBack(own: number, reason: unknown): void {
    this.#drop(own);
    const params = { requestId: own, ...(typeof reason === 'string' ? { reason } : {}) };
    this.#send({ jsonrpc: '2.0', method: 'notifications/cancelled', params });
  }

  #sendFor({ owner, fields }: PipeSession, message: Json): void {
    this.#hasSeveralSenders ||= this.#onlySender !== undefined && this.#onlySender !== owner;
    this.#onlySender = this.#hasSeveralSenders ? undefined : owner;
    this.#send(message, fields);
  }

  #send(message: Json, fields?: MessageFields): void {
    this.#pipe?.send(writeJson(message), fields);
  }

  /** The server does what no server may. */
  #fail(why: Error): void {
    this.#ended(why);
    // Where it is being started yet, whoever starts it closes it.
    void this.#pipe?.close();
  }

  #ended(why: Error): void {
    if (this.#over) return;
    this.#over = true;
    this.#heard.stop();
    this.#half?.release();
    this.#why = this.works || !(why instanceof ProgramEnded) ? why : new ServerNotStarted(why.message, why);
    for (const session of this.#sessions) session.end(this.#why);
    this.#sessions.clear();
    for (const { settled, subscribing } of this.#asked.values()) {
      subscribing?.hold.release();
      settled?.();
    }
    for (const { hold } of this.#serverRequests.values()) hold.release();
    for (const sessions of this.#subscriptions.values()) for (const hold of sessions.values()) hold.release();
    if (this.#pipe !== undefined) this.#options.onEnd(this, why);
  }
}

function readMessage(text: string): unknown {
  try {
    return parseJson(text.startsWith('\ufeff') ? text.slice(1) : text);
  } catch {
    return undefined;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
