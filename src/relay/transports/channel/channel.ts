import { isRecord } from '../../../platform/is-record.ts';
import { chargeOf } from '../../gate/budgets/request-hold.ts';
import type { Permit } from '../../gate/gate.ts';
import { insufficientScope } from '../../gate/insufficient-scope.ts';
import { AnswerRefused, type Passing } from '../../gate/response-guard.ts';
import { elicitsUrls } from '../../protocol/elicitation.ts';
import { INVALID_REQUEST } from '../../protocol/error-codes.ts';
import { AnswerCut, Cancelled, NoAnswer, ServerError, SessionLost } from '../../protocol/failures.ts';
import { writeJson } from '../../protocol/json.ts';
import { isId, isSameId, type Json, type MessageId } from '../../protocol/json-rpc.ts';
import { weightOf } from '../../protocol/json-weight.ts';
import type { Message } from '../../protocol/message.ts';
import { INITIALIZED } from '../../protocol/methods.ts';
import { sessionVersion } from '../../protocol/versions.ts';
import { errorOf, type Refusal, refusalOf } from '../../refusal.ts';
import { type LegacySession, type LegacySessions, notifyIn, requestIn } from '../../upstreams/legacy-sessions.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';
import { messageOf } from '../../upstreams/upstream.ts';
import { failureOf, SESSION_LOST } from '../../upstreams/upstream-error.ts';
import type { OnMessage, RequestContext } from '../../upstreams/upstream-request.ts';
import type { ChannelOptions, ChannelSink, ReportDetails } from './channel-sink.ts';
import { type Exchange, end, isRequest, mustGoFirst } from './exchange.ts';
import { ALREADY_INITIALIZED, claimsModern, DRAINING, ID_IN_USE, MAX_POSTS, MODERN_NOT_HERE } from './refusals.ts';
import { SinkQueue } from './sink-queue.ts';

/**
 * One long-lived connection of one client of the sessions' era: it carries one session with a server, and all that the server says
 * comes back through one sink. Never throws.
 */
export class Channel {
  readonly #sink: ChannelSink;
  readonly #sessions: LegacySessions;
  readonly #options: ChannelOptions;
  readonly #queue: SinkQueue;
  /** Every message that is not dealt with yet. */
  readonly #exchanges = new Set<Exchange>();
  /** When the next message may follow: in parallel it could overtake those before it. */
  #turn: Promise<void> = Promise.resolve();
  #session: LegacySession | undefined;
  #listening: AbortController | undefined;
  #initialized = false;
  /** The client said at `initialize` that it can lead its person to an address. */
  #elicitsUrls: RequestContext['elicitsUrls'] = false;
  #requests = 0;
  /** Those of the exchanges that are sent. */
  #underWay = 0;
  #hasRoom = () => {};
  #draining = false;
  #lost = false;
  #closed = false;

  constructor(sessions: LegacySessions, sink: ChannelSink, options: ChannelOptions) {
    this.#sessions = sessions;
    this.#sink = sink;
    this.#options = options;
    this.#queue = new SinkQueue(sink, options.budget, options.limit);
  }

  /** No request waits for its answer, and no answer for its client. */
  get idle(): boolean {
    return this.#requests === 0 && this.#queue.isEmpty;
  }

  /** The client should send nothing more until `settled`. */
  get saturated(): boolean {
    // Requests are bounded by their budget: what their servers ask back must be read all the same.
    return this.#queue.flow.paused || this.#exchanges.size - this.#requests >= MAX_POSTS;
  }

  /** Takes one message of the client, `bytes` as it came. @returns when it is on its way; never rejects */
  async accept(message: Message, bytes: Buffer): Promise<void> {
    if (this.#closed) return;
    const { gate, budget } = this.#options;
    const hold = this.#judge(message) ?? budget.take({ ...chargeOf(message), requestBytes: weightOf(bytes) });
    if ('status' in hold) {
      gate.recordRefusal(hold);
      this.#sink.report('refused', { refusal: hold });
      if (isRequest(message)) this.#fail(message.id ?? null, hold);
      return;
    }
    const cancel = new AbortController();
    const exchange: Exchange = {
      message,
      bytes,
      startedAt: performance.now(),
      hold,
      cancel,
      permit: undefined,
      ended: false,
    };
    this.#exchanges.add(exchange);
    if (isRequest(message)) this.#requests += 1;
    if (message.method === 'initialize') {
      this.#initialized = true;
      this.#elicitsUrls = elicitsUrls(message);
    }
    const authorized = Promise.resolve(gate.authorize(message, bytes)).catch(refusalOf);
    this.#turn = this.#turn.then(() => this.#take(exchange, authorized));
    await this.#turn;
  }

  /** Answers what was no message, or none that may pass. */
  refuse(id: MessageId, refusal: Refusal): void {
    this.#options.gate.recordRefusal(refusal);
    this.#sink.report('refused', { refusal });
    this.#fail(id, refusal);
  }

  /** The client has read what was sent. */
  resume(): void {
    this.#queue.resume();
    this.#sink.settled();
  }

  /** New requests are refused from now on. */
  drain(): void {
    this.#draining = true;
  }

  /** Cancels what is under way and ends the server's session. Resolves when the server knows, or after a short while. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#listening?.abort();
    this.#queue.clear();
    for (const exchange of this.#exchanges) {
      end(exchange, 'client_gone');
      this.#sink.report('client_gone', {});
    }
    this.#exchanges.clear();
    this.#requests = 0;
    this.#hasRoom();
    await this.#session?.server.close();
  }

  #judge(message: Message): Refusal | undefined {
    if (claimsModern(message)) return MODERN_NOT_HERE;
    const unheld = insufficientScope(this.#options.caller.demand, message);
    if (unheld !== undefined) return unheld;
    if (!isRequest(message)) return undefined;
    if (this.#draining) return DRAINING;
    if (message.method === 'initialize' && this.#initialized) return ALREADY_INITIALIZED;
    const isInUse = [...this.#exchanges].some((one) => isRequest(one.message) && isSameId(one.message.id, message.id));
    return isInUse ? ID_IN_USE : undefined;
  }

  /** What makes the session must be through before the next message follows, and what waits to be let in holds up the others. */
  async #take(exchange: Exchange, authorized: Promise<Permit | Refusal>): Promise<void> {
    const permit = await authorized;
    while (this.#underWay >= MAX_POSTS + this.#requests && !this.#closed)
      await new Promise<void>((resolve) => {
        this.#hasRoom = resolve;
      });
    if (this.#closed || exchange.ended) return;
    if ('status' in permit) return this.#failed(exchange, permit, 'refused', undefined);
    exchange.permit = permit;
    this.#underWay += 1;
    permit.guard?.start((refusal) => this.#stop(exchange, refusal));
    const sent = this.#send(exchange);
    if (mustGoFirst(exchange.message)) await sent;
  }

  async #send(exchange: Exchange): Promise<void> {
    const { message } = exchange;
    // As it came, where it comes so: what the guard does not let pass then must not pass in the relay's own words.
    let isJudged = false;
    const onAnswer: OnMessage = (value, text = writeJson(value)) => {
      isJudged = true;
      this.#answered(exchange, text, value);
    };
    try {
      const answer = await this.#ask(exchange, onAnswer).catch((error: unknown) => {
        if (!(error instanceof ServerError) || !isRequest(message)) throw error;
        return { jsonrpc: '2.0', id: message.id, error: error.json };
      });
      if (answer !== undefined && !isJudged && !exchange.ended && !this.#closed) onAnswer(answer);
      if (exchange.ended || this.#closed) return;
      // The guard has let none pass.
      if (isRequest(message)) throw new NoAnswer(200);
      if (message.method === INITIALIZED) this.#listen();
      this.#finish(exchange, 'relayed', {});
    } catch (error) {
      if (exchange.ended || this.#closed) return;
      // It gets no answer (2025-11-25, cancellation), so nothing else would end it.
      if (error instanceof Cancelled) return this.#finish(exchange, 'client_gone', {});
      const { refusal, outcome, cause } = failureOf(error as Error);
      this.#failed(exchange, refusal, outcome, cause);
      if (error instanceof SessionLost || (error instanceof AnswerCut && error.sessionLost)) this.#lose('session_lost');
    }
  }

  /** @param onAnswer is told of the answer to a request as it came @returns that answer */
  async #ask(exchange: Exchange, onAnswer: OnMessage): Promise<Json | undefined> {
    const { bytes, cancel } = exchange;
    const whole = messageOf({ body: bytes });
    const { id, method, params: given } = whole;
    const params = isRecord(given) ? given : {};
    const { caller, userAgent } = this.#options;
    const kept = userAgent === undefined ? [] : ['user-agent', userAgent];
    const context = { caller, kept, elicitsUrls: this.#elicitsUrls, flow: this.#queue.flow };
    if (method === 'initialize' && isId(id)) {
      const opened = await this.#sessions.open({ id, method, params }, { ...context, bytes }, cancel.signal);
      this.#session = this.#sessions.find(opened.id, { ...context, version: sessionVersion(opened.result) });
      if (this.#closed) void this.#session?.server.close();
      return { jsonrpc: '2.0', id, result: opened.result };
    }
    // Some servers do without a session.
    this.#session ??= this.#sessions.find('', context);
    if (this.#session === undefined) throw new ServerError(INVALID_REQUEST, 'begin with initialize');
    if (typeof method !== 'string' || !isId(id)) return void (await notifyIn(this.#session, whole));
    const result = await requestIn(
      this.#session,
      { id, method, params },
      {
        signal: cancel.signal,
        elicitsUrls: this.#elicitsUrls,
        bytes,
        onMessage: (value, text = writeJson(value)) => this.#pass(exchange, text, value),
        onAnswer,
      },
    );
    return { jsonrpc: '2.0', id, result };
  }

  #answered(exchange: Exchange, text: string, value: Json): void {
    // Before it counts as finished: a connection that drains closes with its last answer.
    const passing = this.#pass(exchange, text, value);
    if (passing === undefined || exchange.ended) return;
    if (exchange.message.method === 'initialize') {
      this.#initialized = isRecord(passing.value.result);
      if (this.#initialized) this.#listen();
    }
    this.#finish(exchange, 'relayed', { seconds: (performance.now() - exchange.startedAt) / 1000 });
  }

  /** @returns undefined where the message does not go on, and perhaps the whole call is stopped */
  #pass(exchange: Exchange, text: string, value: Json): Passing | undefined {
    const guard = exchange.permit?.guard;
    try {
      guard?.count(Buffer.byteLength(text));
      const passing = guard === undefined ? { text, value } : guard.pass(value, text);
      if (passing !== undefined) this.#say(passing.text);
      return passing;
    } catch (error) {
      if (!(error instanceof AnswerRefused)) throw error;
      this.#stop(exchange, error.refusal);
      return undefined;
    }
  }

  /** A call that is over one of its limits. */
  #stop(exchange: Exchange, refusal: Refusal): void {
    if (exchange.ended) return;
    exchange.cancel.abort(new Cancelled(refusal.message));
    this.#failed(exchange, refusal, 'answer_refused', undefined);
  }

  #failed(exchange: Exchange, refusal: Refusal, outcome: Outcome, error: Error | undefined): void {
    if (exchange.message.method === 'initialize') this.#initialized = false;
    if (isRequest(exchange.message)) this.#fail(exchange.message.id ?? null, refusal);
    this.#finish(exchange, outcome, { refusal, ...(error === undefined ? {} : { error }) });
  }

  #finish(exchange: Exchange, outcome: Outcome, details: ReportDetails): void {
    if (exchange.ended) return;
    end(exchange, outcome);
    this.#exchanges.delete(exchange);
    if (isRequest(exchange.message)) this.#requests -= 1;
    if (exchange.permit !== undefined) this.#underWay -= 1;
    this.#hasRoom();
    this.#sink.report(outcome, details);
    this.#sink.settled();
  }

  /** Opens the stream of what the server says unasked. */
  #listen(): void {
    if (this.#listening !== undefined || this.#closed || this.#session === undefined) return;
    const guard = this.#options.gate.listening();
    const listening = new AbortController();
    this.#listening = listening;
    const onMessage: OnMessage = (value, text = writeJson(value)) => {
      const passing = guard === undefined ? { text } : guard.pass(value, text);
      if (passing !== undefined) this.#say(passing.text);
    };
    this.#session.server.listen(undefined, { signal: listening.signal, onMessage }).then(
      (how) => {
        if (how !== 'not_offered') return this.#lose(how === 'lost' ? 'session_lost' : how);
        // Refused before `notifications/initialized`, it is asked for once more after that.
        this.#listening = undefined;
      },
      () => this.#lose('session_lost'),
    );
  }

  #lose(how: 'session_lost' | 'unreachable'): void {
    if (this.#closed || this.#lost) return;
    this.#session = undefined;
    this.#lost = true;
    this.#queue.flush();
    // What waits is answered as well and must not be sent.
    for (const exchange of [...this.#exchanges].reverse()) {
      this.#failed(exchange, SESSION_LOST, 'upstream_cut', undefined);
    }
    this.#sink.lost(how);
  }

  #fail(id: MessageId, refusal: Refusal): void {
    if (!this.#closed) this.#say(writeJson(errorOf(refusal, id)));
  }

  #say(text: string): void {
    if (this.#closed || this.#queue.send(text) || this.#lost) return;
    // The server does not know that its client is too slow for it.
    void this.#session?.server.close();
    this.#lose('session_lost');
  }
}
