import { whenAborted } from '../../../platform/abort.ts';
import { isRecord } from '../../../platform/is-record.ts';
import type { Budget, Hold } from '../../gate/budgets/budgets.ts';
import { heldBytes } from '../../gate/budgets/held-bytes.ts';
import { holdOrThrow } from '../../gate/budgets/hold-or-throw.ts';
import { METHOD_NOT_FOUND, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { Cancelled, NoAnswer, ServerError, SessionLost } from '../../protocol/failures.ts';
import { writeJson } from '../../protocol/json.ts';
import { errorMessage, type Id, idKey, isId, type Json } from '../../protocol/json-rpc.ts';
import { changedList } from '../../protocol/list-changes.ts';
import { isTooLongId } from '../../protocol/message-bounds.ts';
import { metaOf, progressTokenOf } from '../../protocol/meta.ts';
import { INITIALIZED, isAboutTasks } from '../../protocol/methods.ts';
import type { OversizedMessage } from '../../protocol/oversized-message.ts';
import { RefusedError } from '../../refusal.ts';
import type { ClientRequest } from '../mcp-server.ts';
import { answered } from '../post-message.ts';
import type { TracedRequests } from '../traced-requests.ts';
import { ignoreMessage, type RequestOptions } from '../upstream-request.ts';
import { NoiseBudget } from './noise-budget.ts';
import { PacedQueue } from './paced-queue.ts';
import { PendingRequests, type Subscribing } from './pending-requests.ts';
import type { MessageFields, OpenPipe, Pipe } from './pipe.ts';
import type { PipeSession } from './pipe-session.ts';
import { ResourceSubscriptions } from './resource-subscriptions.ts';
import { parseMessage, readServerMessages } from './server-message.ts';
import { ProgramEnded, ServerNotStarted } from './server-not-started.ts';
import { ServerRequests } from './server-requests.ts';
import { UnrelatedMessages } from './unrelated-messages.ts';

/** What a pipe tells of its server, in the order in which it happened. */
type PipeEvent =
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'oversized'; readonly message: OversizedMessage }
  | { readonly kind: 'undelivered'; readonly text: string; readonly why: Error }
  | { readonly kind: 'closed'; readonly why: Error };

const TASKS_OF_ALL = 'all users share this server, which does not know whose a task is: none can be asked about';

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

/**
 * One running server, and the sessions that use it. Ids and progress tokens are the relay's own towards the server, so that
 * no session can answer, cancel or move what is another's.
 */
export class PipeServer {
  readonly #sessions = new Set<PipeSession>();
  readonly #pending = new PendingRequests();
  readonly #serverRequests = new ServerRequests((answer) => this.#send(answer));
  readonly #subscriptions = new ResourceSubscriptions();
  readonly #unrelated: UnrelatedMessages;
  readonly #options: PipeServerOptions;
  readonly #events: PacedQueue<PipeEvent>;
  readonly #noise: NoiseBudget;
  /** Of a message that has come by half. */
  #half: Hold | undefined;
  #strayed = false;
  #unasked = false;
  /** Why it ended by itself. */
  #why: Error | undefined;
  #pipe: Pipe | undefined;
  /** What the server answered to the first `initialize`. */
  #described: Json | undefined;
  #initializing: Promise<unknown> | undefined;
  #initialized = false;
  #over = false;

  constructor(options: PipeServerOptions) {
    this.#options = options;
    this.#noise = new NoiseBudget(options.now);
    this.#unrelated = new UnrelatedMessages(options.oneOwner);
    this.#events = new PacedQueue<PipeEvent>(
      { pause: () => this.#pipe?.pause(), resume: () => this.#pipe?.resume() },
      (event) => this.#onEvent(event),
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
    const events = this.#events;
    const hold = holdOrThrow(this.#options.budget, {});
    this.#half = hold;
    const half = heldBytes(hold, 'keptBytes');
    const pipe = await open(
      {
        read: (work) => events.read(work),
        spent: (milliseconds) => events.spent(milliseconds),
        message: (text) => events.push({ kind: 'message', text }),
        oversized: (message) => events.push({ kind: 'oversized', message }),
        undelivered: (text, why) => events.push({ kind: 'undelivered', text, why }),
        closed: (why) => events.push({ kind: 'closed', why }),
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
    if (events.holds) pipe.pause();
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
    for (const id of this.#pending.idsOf(session)) this.#cancel(id, 'the session has ended');
    this.#serverRequests.leave(session);
    this.#subscriptions.end(session);
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#events.stop();
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
    const answer = this.#ask(session, request, { signal, onMessage: ignoreMessage });
    const settled = answer.then(
      () => {},
      () => {},
    );
    this.#initializing = settled;
    void settled.then(() => {
      if (this.#initializing === settled) this.#initializing = undefined;
    });
    await answer;
    if (!this.works) throw new NoAnswer(200);
    return this.described;
  }

  /** @throws ServerError; why there is no answer; the signal's reason */
  async request(session: PipeSession, request: ClientRequest, options: RequestOptions): Promise<Json> {
    const { method, params } = request;
    if (method === 'initialize') return this.described;
    options.signal.throwIfAborted();
    this.#mustRead();
    if (!this.#options.oneOwner && isAboutTasks(method)) throw new ServerError(METHOD_NOT_FOUND, TASKS_OF_ALL);
    const { uri } = params;
    if (typeof uri !== 'string') return this.#ask(session, request, options);
    if (method === 'resources/unsubscribe' && this.#unsubscribed(uri, session)) return {};
    const isNew = method === 'resources/subscribe' && this.#subscriptions.of(uri)?.has(session) !== true;
    if (!isNew) return this.#ask(session, request, options);
    const hold = holdOrThrow(session.budget, { subscriptions: 1, requestBytes: Buffer.byteLength(uri) });
    return this.#ask(session, request, options, { uri, hold });
  }

  /** @returns whether the server has nothing to be told of it, as others hear of the resource or are about to */
  #unsubscribed(uri: string, session: PipeSession): boolean {
    const isWanted = this.#subscriptions.remove(uri, session);
    return isWanted || this.#pending.isSubscribing(uri, session);
  }

  /** A notification of a client, or its answer to a request of the server. @throws Error where the server does not read */
  notify(session: PipeSession, message: Json): void {
    this.#mustRead();
    const { id, method, params } = message;
    if (typeof method !== 'string') {
      if (isId(id) && this.#serverRequests.take(id, session) !== undefined) this.#sendFor(session, message);
    } else if (method === 'notifications/cancelled') {
      const { requestId, reason } = isRecord(params) ? params : {};
      if (isId(requestId)) for (const own of this.#pending.idsOf(session, requestId)) this.#cancel(own, reason);
    } else if (method === INITIALIZED ? !this.#initialized : this.#mayTell(session, method, params)) {
      this.#initialized ||= method === INITIALIZED;
      this.#sendFor(session, message);
    }
  }

  /** Whether a notification is about nothing that another identity has been asked, or has under way. */
  #mayTell(session: PipeSession, method: string, params: unknown): boolean {
    if (this.#options.oneOwner) return true;
    if (isAboutTasks(method)) return false;
    if (method !== 'notifications/progress') return true;
    return isRecord(params) && this.#serverRequests.hasToken(params.progressToken, session);
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
    const own = this.#pending.nextId();
    const token = progressTokenOf(params);
    const told = this.#toServer(params, token === undefined ? undefined : own);
    const send = (sent: Json) =>
      session.wait(method, options, (waiting) => {
        this.#pending.add(own, { session, id, method, token, waiting, subscribing });
        this.#sendFor(session, { jsonrpc: '2.0', id: own, method, params: sent });
      });
    const { traced } = this.#options;
    try {
      return await (traced === undefined ? send(told) : traced.message({ id, method, params: told }, send));
    } catch (error) {
      this.#giveUp(own, error);
      throw error;
    }
  }

  /** @param progressToken the relay's own; undefined: the client gave none */
  #toServer(params: Json, progressToken: number | undefined): Json {
    // What a server does not offer, it must ignore (2025-11-25, basic/utilities/tasks); this one does not know that it offers none.
    const { task, ...rest } = params;
    const mine = this.#options.oneOwner || task === undefined ? params : rest;
    return progressToken === undefined ? mine : { ...mine, _meta: { ...metaOf(mine), progressToken } };
  }

  /**
   * Nobody waits for the answer to a request any more, if it has none. A client that has gone takes nothing back (2025-11-25,
   * basic/transports): its request goes on. Of too many the oldest is taken back all the same.
   */
  #giveUp(own: number, why: unknown): void {
    const request = this.#pending.get(own);
    if (request === undefined) return;
    // It may not be cancelled (basic/utilities/cancellation): the next session that needs it asks anew.
    if (request.method === 'initialize') return void this.#pending.take(own);
    const cancelled = Cancelled.by(why);
    if (cancelled !== undefined) return void this.#cancel(own, cancelled.reason);
    const oldest = this.#pending.abandon(own, request);
    if (oldest !== undefined) this.#cancel(oldest, 'no client waits for the answer');
  }

  #onEvent(event: PipeEvent): void {
    if (this.#over) return;
    switch (event.kind) {
      case 'message':
        return void this.#receive(event.text);
      case 'oversized':
        return void this.#refuseOversized(event.message);
      case 'undelivered':
        return void this.#undelivered(event.text, event.why);
      case 'closed':
        return void this.#ended(event.why);
      default:
        event satisfies never;
    }
  }

  #receive(text: string): void {
    for (const received of readServerMessages(text))
      switch (received.kind) {
        case 'response':
          this.#onResponse(received.message);
          break;
        case 'request':
          this.#onRequest(received.id, received.method, received.message);
          break;
        case 'notification':
          this.#onNotification(received.method, received.message);
          break;
        case 'stray':
          this.#stray(received.text);
          break;
        default:
          received satisfies never;
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
    else this.#onResponse(error);
  }

  #undelivered(text: string, why: Error): void {
    const message = parseMessage(text);
    if (!isRecord(message) || !isId(message.id) || message.method === undefined) return;
    if (!(why instanceof RefusedError || why instanceof SessionLost))
      return void this.#onResponse(
        errorMessage(message.id, SERVER_ERROR, `the MCP server did not take the message: ${why.message}`),
      );
    this.#pending.drop(idKey(message.id))?.waiting?.failed(why);
  }

  #onResponse(message: Json): void {
    if (!isId(message.id)) return;
    const request = this.#pending.take(idKey(message.id));
    if (request === undefined) return void this.#answersNothing(idKey(message.id));
    const { session, method, waiting, subscribing } = request;
    const isDone = isRecord(message.result);
    if (isDone && method === 'initialize') this.#described = this.#offered(message.result as Json);
    if (isDone && subscribing !== undefined && this.#sessions.has(session))
      this.#subscriptions.add(subscribing.uri, session, subscribing.hold);
    else subscribing?.hold.release();
    const result = answered(message);
    if (result instanceof Error) waiting?.failed(result);
    else waiting?.answered(result);
  }

  /** Of what the server says that it offers, what it can offer to all that share it: whose a task is, it does not know. */
  #offered(described: Json): Json {
    if (this.#options.oneOwner || !isRecord(described.capabilities)) return described;
    const { tasks: _, ...capabilities } = described.capabilities;
    return { ...described, capabilities };
  }

  /** What was taken back may be answered all the same; what was never asked may not. */
  #answersNothing(key: unknown): void {
    if (this.#pending.wasSent(key)) return;
    if (!this.#unasked) this.#options.onUnasked();
    this.#unasked = true;
  }

  #onRequest(id: Id, method: string, message: Json): void {
    if (method === 'ping') return void this.#send({ jsonrpc: '2.0', id, result: {} });
    const session = this.#recipient();
    if (session === undefined)
      return void this.#send(
        errorMessage(id, METHOD_NOT_FOUND, 'several clients share this server: none can be asked'),
      );
    if (isTooLongId(id)) return void this.#stray(method);
    this.#serverRequests.put(id, session, message);
  }

  #onNotification(method: string, message: Json): void {
    const params = isRecord(message.params) ? message.params : {};
    if (method === 'notifications/progress') {
      const token = params.progressToken;
      const { session, token: own, waiting } = this.#pending.get(idKey(token)) ?? {};
      if (own === undefined) return;
      return void session?.hear({ ...message, params: { ...params, progressToken: own } }, waiting);
    }
    if (method === 'notifications/cancelled') {
      const { requestId } = params;
      return void (isId(requestId) && this.#serverRequests.take(requestId)?.hear(message));
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
    this.#recipient()?.hear(message);
  }

  #recipient(): PipeSession | undefined {
    return this.#unrelated.recipient(this.#sessions, () => this.#pending.sessions);
  }

  #cancel(own: number, reason: unknown): void {
    const cancelled = new Cancelled(reason);
    this.#pending.drop(own)?.waiting?.failed(cancelled);
    this.#send(Cancelled.notification(own, cancelled.reason));
  }

  #sendFor({ owner, fields }: PipeSession, message: Json): void {
    this.#unrelated.sentFor(owner);
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
    this.#events.stop();
    this.#half?.release();
    this.#why = this.works || !(why instanceof ProgramEnded) ? why : new ServerNotStarted(why.message, why);
    for (const session of this.#sessions) session.end(this.#why);
    this.#sessions.clear();
    this.#pending.clear();
    this.#serverRequests.end();
    this.#subscriptions.end();
    if (this.#pipe !== undefined) this.#options.onEnd(this, why);
  }
}
