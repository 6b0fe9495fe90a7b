import { whenAborted } from '../../../platform/abort.ts';
import { isRecord } from '../../../platform/is-record.ts';
import type { Budget, Hold } from '../../gate/budgets/budgets.ts';
import { heldBytes } from '../../gate/budgets/held-bytes.ts';
import { holdOrThrow } from '../../gate/budgets/hold-or-throw.ts';
import { METHOD_NOT_FOUND, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { Cancelled, NoAnswer, SessionLost } from '../../protocol/failures.ts';
import { parseJson, writeJson } from '../../protocol/json.ts';
import { errorMessage, type Id, isId, isSameId, type Json } from '../../protocol/json-rpc.ts';
import { changedList } from '../../protocol/list-changes.ts';
import { isTooLongId } from '../../protocol/message-bounds.ts';
import { INITIALIZED } from '../../protocol/methods.ts';
import { nestsTooDeep } from '../../protocol/nesting.ts';
import type { OversizedMessage } from '../../protocol/oversized-message.ts';
import { RefusedError } from '../../refusal.ts';
import type { ClientRequest } from '../mcp-server.ts';
import { answered } from '../post-message.ts';
import type { TracedRequests } from '../traced-requests.ts';
import { ignoreMessage, type RequestOptions } from '../upstream-request.ts';
import { NoiseBudget } from './noise-budget.ts';
import { PacedQueue } from './paced-queue.ts';
import type { MessageFields, OpenPipe, Pipe } from './pipe.ts';
import type { PipeSession, Waiting } from './pipe-session.ts';
import { ResourceSubscriptions } from './resource-subscriptions.ts';
import { ProgramEnded, ServerNotStarted } from './server-not-started.ts';
import { ServerRequests } from './server-requests.ts';

/** A request of a client that the server has not answered, by the id that the server knows it by. */
interface Asked {
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

interface Subscribing {
  readonly uri: string;
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
  /** Absent: traces are off. */
  readonly traced: TracedRequests | undefined;
}

/** Requests of one session that go on at the server though nobody waits for their answers any more. */
const MAX_ABANDONED = 64;

/**
 * One running server, and the sessions that use it. Ids and progress tokens are the relay's own towards the server, so that
 * no session can answer, cancel or move what is another's.
 */
export class PipeServer {
  readonly #sessions = new Set<PipeSession>();
  readonly #asked = new Map<number, Asked>();
  readonly #questions = new ServerRequests((answer) => this.#send(answer));
  readonly #subscriptions = new ResourceSubscriptions();
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
  #initializing: Promise<unknown> | undefined;
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

  /** What it answered to `initialize`. */
  get described(): Json {
    return this.#described ?? {};
  }

  get sessions(): ReadonlySet<PipeSession> {
    return this.#sessions;
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
    session.end(new Error('the session has ended'));
    for (const [id, asked] of this.#asked) if (asked.session === session) this.#takeBack(id, 'the session has ended');
    this.#questions.leave(session);
    this.#subscriptions.end(session);
    this.#abandoned.delete(session);
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
   * @throws as `request` does, where the session has not begun: the next one is asked anew
   */
  async initialize(session: PipeSession, params: Json, signal: AbortSignal): Promise<Json> {
    while (this.#described === undefined && this.#initializing !== undefined && !signal.aborted)
      await Promise.race([this.#initializing, whenAborted(signal)]);
    signal.throwIfAborted();
    if (this.#over || !this.#sessions.has(session)) throw this.#why ?? new Error('the server has ended');
    if (this.#described !== undefined) return this.#described;
    const request = { id: 'initialize', method: 'initialize', params };
    const asked = this.#ask(session, request, { signal, onMessage: ignoreMessage });
    const settled = asked.then(
      () => {},
      () => {},
    );
    this.#initializing = settled;
    void settled.then(() => {
      if (this.#initializing === settled) this.#initializing = undefined;
    });
    const result = await asked;
    if (!this.works) throw new NoAnswer(200);
    return result;
  }

  /** @throws ServerError; why there is no answer; the signal's reason */
  async request(session: PipeSession, request: ClientRequest, options: RequestOptions): Promise<Json> {
    const { method, params } = request;
    if (method === 'initialize') return this.described;
    options.signal.throwIfAborted();
    this.#mustRead();
    const { uri } = params;
    if (typeof uri !== 'string') return this.#ask(session, request, options);
    if (method === 'resources/unsubscribe' && this.#subscriptions.remove(uri, session)) return {};
    const isNew = method === 'resources/subscribe' && this.#subscriptions.of(uri)?.has(session) !== true;
    if (!isNew) return this.#ask(session, request, options);
    const hold = holdOrThrow(session.budget, { subscriptions: 1, requestBytes: Buffer.byteLength(uri) });
    return this.#ask(session, request, options, { uri, hold });
  }

  /** A notification of a client, or its answer to a request of the server. @throws Error where the server does not read */
  notify(session: PipeSession, message: Json): void {
    this.#mustRead();
    const { id, method, params } = message;
    if (typeof method !== 'string') {
      if (isId(id) && this.#questions.take(id, session) !== undefined) this.#sendFor(session, message);
    } else if (method === 'notifications/cancelled') {
      const { requestId, reason } = isRecord(params) ? params : {};
      for (const [own, asked] of this.#asked)
        if (asked.session === session && isSameId(asked.id, requestId)) this.#takeBack(own, reason);
    } else if (method !== INITIALIZED || !this.#initialized) {
      this.#initialized ||= method === INITIALIZED;
      this.#sendFor(session, message);
    }
  }

  /** @throws Error where it lets too much wait */
  #mustRead(): void {
    if ((this.#pipe?.waiting ?? 0) > this.#options.limit)
      throw new Error('the MCP server does not read what it is sent');
  }

  async #ask(
    session: PipeSession,
    { id, method, params }: ClientRequest,
    options: RequestOptions,
    subscribing?: Subscribing,
  ): Promise<Json> {
    this.#lastId += 1;
    const own = this.#lastId;
    const meta = isRecord(params._meta) ? params._meta : {};
    const token = meta.progressToken;
    const told = token === undefined ? params : { ...params, _meta: { ...meta, progressToken: own } };
    const send = (sent: Json) =>
      session.wait(method, options, (waiting) => {
        this.#asked.set(own, { session, id, method, token, waiting, subscribing });
        this.#sendFor(session, { jsonrpc: '2.0', id: own, method, params: sent });
      });
    const { traced } = this.#options;
    try {
      return await (traced === undefined ? send(told) : traced.message({ id, method, params: told }, send));
    } catch (error) {
      this.#left(own, error);
      throw error;
    }
  }

  /** Nobody waits for the answer to a request any more, if it has none. */
  #left(own: number, why: unknown): void {
    const asked = this.#asked.get(own);
    if (asked === undefined) return;
    // It may not be cancelled (basic/utilities/cancellation): the next session that needs it asks anew.
    const cancelled = Cancelled.by(why);
    if (asked.method === 'initialize') this.#forget(own);
    else if (cancelled !== undefined) this.#takeBack(own, cancelled.reason);
    else this.#abandon(own, asked);
  }

  /**
   * The client has gone, which takes nothing back (2025-11-25, basic/transports): the request goes on, and little is kept of it.
   * Of too many the oldest is taken back all the same.
   */
  #abandon(own: number, asked: Asked): void {
    const { session } = asked;
    this.#asked.set(own, { ...asked, token: undefined, waiting: undefined });
    const abandoned = this.#abandoned.get(session) ?? new Set();
    this.#abandoned.set(session, abandoned.add(own));
    const [oldest] = abandoned;
    if (abandoned.size > MAX_ABANDONED && oldest !== undefined)
      this.#takeBack(oldest, 'no client waits for the answer');
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
    if (!(why instanceof RefusedError || why instanceof SessionLost))
      return void this.#answer(
        errorMessage(message.id, SERVER_ERROR, `the MCP server did not take the message: ${why.message}`),
      );
    this.#drop(Number(message.id))?.waiting?.failed(why);
  }

  #answer(message: Json): void {
    if (!isId(message.id)) return;
    const own = Number(message.id);
    const asked = this.#asked.get(own);
    if (asked === undefined) return void this.#answersNothing(own);
    this.#forget(own);
    const { session, method, waiting, subscribing } = asked;
    const isDone = isRecord(message.result);
    if (isDone && method === 'initialize') this.#described = message.result as Json;
    if (isDone && subscribing !== undefined && this.#sessions.has(session))
      this.#subscriptions.add(subscribing.uri, session, subscribing.hold);
    else subscribing?.hold.release();
    const result = answered(message);
    if (result instanceof Error) waiting?.failed(result);
    else waiting?.answered(result);
  }

  /** What was taken back may be answered all the same; what was never asked may not. */
  #answersNothing(own: number): void {
    if (Number.isInteger(own) && own > 0 && own <= this.#lastId) return;
    if (!this.#unasked) this.#options.onUnasked();
    this.#unasked = true;
  }

  /** @returns what will not be answered */
  #drop(own: number): Asked | undefined {
    const asked = this.#asked.get(own);
    this.#forget(own);
    asked?.subscribing?.hold.release();
    return asked;
  }

  #forget(own: number): void {
    const asked = this.#asked.get(own);
    if (asked === undefined) return;
    this.#asked.delete(own);
    const abandoned = this.#abandoned.get(asked.session);
    abandoned?.delete(own);
    if (abandoned?.size === 0) this.#abandoned.delete(asked.session);
  }

  #question(id: Id, method: string, message: Json): void {
    if (method === 'ping') return void this.#send({ jsonrpc: '2.0', id, result: {} });
    const session = this.#spokenTo();
    if (session === undefined)
      return void this.#send(
        errorMessage(id, METHOD_NOT_FOUND, 'several clients share this server: none can be asked'),
      );
    if (isTooLongId(id)) return void this.#stray(method);
    this.#questions.put(id, session, message);
  }

  #notice(method: string, message: Json): void {
    const params = isRecord(message.params) ? message.params : {};
    if (method === 'notifications/progress') {
      const token = params.progressToken;
      const { session, token: own, waiting } = (isId(token) && this.#asked.get(Number(token))) || {};
      if (own === undefined) return;
      return void session?.hear({ ...message, params: { ...params, progressToken: own } }, waiting);
    }
    if (method === 'notifications/cancelled') {
      const { requestId } = params;
      return void (isId(requestId) && this.#questions.take(requestId)?.hear(message));
    }
    if (method === 'notifications/resources/updated') {
      const subscribers = this.#subscriptions.of(params.uri);
      for (const session of subscribers?.keys() ?? []) session.hear(message);
      if (subscribers !== undefined || this.#sessions.size > 1) return;
    }
    if (changedList(method) !== undefined || this.#options.oneOwner) {
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

  #takeBack(own: number, reason: unknown): void {
    const cancelled = new Cancelled(reason);
    this.#drop(own)?.waiting?.failed(cancelled);
    this.#send(Cancelled.notification(own, cancelled.reason));
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
    for (const { subscribing } of this.#asked.values()) subscribing?.hold.release();
    this.#asked.clear();
    this.#questions.end();
    this.#subscriptions.end();
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
