import { isRecord } from '../../../platform/is-record.ts';
import { chargeOf } from '../../gate/budgets/request-hold.ts';
import type { Permit } from '../../gate/gate.ts';
import { insufficientScope } from '../../gate/insufficient-scope.ts';
import { AnswerRefused, type Passing } from '../../gate/response-guard.ts';
import { elicitsUrls } from '../../protocol/elicitation.ts';
import { AnswerCut, Cancelled, NoAnswer, SessionLost } from '../../protocol/failures.ts';
import { writeJson } from '../../protocol/json.ts';
import { isSameId, type Json, type MessageId } from '../../protocol/json-rpc.ts';
import { weightOf } from '../../protocol/json-weight.ts';
import type { Message } from '../../protocol/message.ts';
import { errorOf, type Refusal, refusalOf } from '../../refusal.ts';
import { LegacyClient } from '../../upstreams/legacy-client.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';
import type { ResumableStream } from '../../upstreams/resumable-stream.ts';
import type { Upstream } from '../../upstreams/upstream.ts';
import { failureOf, SESSION_LOST } from '../../upstreams/upstream-error.ts';
import type { RequestContext } from '../../upstreams/upstream-request.ts';
import type { ChannelOptions, ChannelSink, ReportDetails } from './channel-sink.ts';
import { cancelledId, type Exchange, end, guardOf, isRequest, mustGoFirst } from './exchange.ts';
import { ALREADY_INITIALIZED, claimsModern, DRAINING, ID_IN_USE, MAX_POSTS, MODERN_NOT_HERE } from './refusals.ts';

/**
 * One long-lived connection of one client with a streamable HTTP server of the sessions' era: each message becomes a POST,
 * and all that the server says comes back through one sink. Never throws.
 */
export class Channel {
  readonly #sink: ChannelSink;
  readonly #session: LegacyClient;
  readonly #options: ChannelOptions;
  /** Every message that is not dealt with yet, the waiting ones at the end. */
  readonly #exchanges = new Set<Exchange>();
  readonly #waiting: Exchange[] = [];
  /** What must be through before the next message may follow: a parallel POST could overtake it. */
  #first: Exchange | undefined;
  #standing: ResumableStream | undefined;
  #initialized = false;
  /** The client said at `initialize` that it can lead its person to an address. */
  #elicitsUrls: RequestContext['elicitsUrls'] = false;
  #requests = 0;
  #draining = false;
  #closed = false;

  constructor(upstream: Upstream, sink: ChannelSink, options: ChannelOptions) {
    this.#sink = sink;
    this.#options = options;
    const { limit, retry, caller, userAgent } = options;
    const kept = userAgent === undefined ? [] : ['user-agent', userAgent];
    this.#session = new LegacyClient({ upstream, limit, retry, budgetOf: () => options.budget }, { caller, kept });
  }

  /** No request waits for its answer. */
  get idle(): boolean {
    return this.#requests === 0;
  }

  /** The client should send nothing more until `settled`. */
  get saturated(): boolean {
    // Requests are bounded by their budget: what their servers ask back must be read all the same.
    return this.#session.full || this.#exchanges.size - this.#requests >= MAX_POSTS;
  }

  get #underWay(): number {
    return this.#exchanges.size - this.#waiting.length;
  }

  /** Takes one message of the client, `bytes` as it came. */
  accept(message: Message, bytes: Buffer): void {
    if (this.#closed) return;
    const refusal = this.#judge(message);
    if (refusal !== undefined) {
      this.#options.gate.recordRefusal(refusal);
      return void this.#refuseMessage(message, refusal);
    }
    const hold = this.#options.budget.take({ ...chargeOf(message), requestBytes: weightOf(bytes) });
    if ('status' in hold) {
      this.#options.gate.recordRefusal(hold);
      return void this.#refuseMessage(message, hold);
    }
    const startedAt = performance.now();
    const entered = this.#options.gate.authorize(message, bytes);
    if ('status' in entered) {
      hold.release();
      return void this.#refuseMessage(message, entered);
    }
    const permit =
      entered instanceof Promise
        ? entered.catch(refusalOf).then((settled) => this.#settle(exchange, settled))
        : entered;
    const exchange: Exchange = {
      message,
      bytes,
      startedAt,
      hold,
      permit,
      cancel: new AbortController(),
      ended: false,
    };
    this.#exchanges.add(exchange);
    if (isRequest(message)) this.#requests += 1;
    if (message.method === 'initialize') {
      this.#initialized = true;
      this.#elicitsUrls = elicitsUrls(message);
    }
    this.#waiting.push(exchange);
    this.#next();
  }

  /** Answers what was no message, or none that may pass. */
  refuse(id: MessageId, refusal: Refusal): void {
    this.#options.gate.recordRefusal(refusal);
    this.#answerRefusal(id, refusal);
  }

  /** The client has read what was sent. */
  resume(): void {
    this.#session.resume();
  }

  /** New requests are refused from now on. */
  drain(): void {
    this.#draining = true;
  }

  /** Cancels what is under way and ends the server's session. Resolves when the server knows, or after a short while. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#standing?.stop();
    for (const exchange of this.#exchanges) {
      end(exchange, 'client_gone');
      this.#sink.report('client_gone', {});
    }
    this.#exchanges.clear();
    this.#requests = 0;
    await this.#session.close();
  }

  #refuseMessage(message: Message, refusal: Refusal): void {
    if (isRequest(message)) this.#answerRefusal(message.id ?? null, refusal);
    else this.#sink.report('refused', { refusal });
  }

  #answerRefusal(id: MessageId, refusal: Refusal): void {
    this.#sink.report('refused', { refusal });
    this.#fail(id, refusal);
  }

  /** Limits were counted elsewhere meanwhile. */
  #settle(exchange: Exchange, entered: Permit | Refusal): void {
    if (this.#closed || exchange.ended) return;
    if ('status' in entered) return void this.#failed(exchange, entered, 'refused', undefined);
    exchange.permit = entered;
    this.#next();
  }

  #judge(message: Message): Refusal | undefined {
    if (claimsModern(message)) return MODERN_NOT_HERE;
    const unheld = insufficientScope(this.#options.caller.demand, message);
    if (unheld !== undefined) return unheld;
    if (!isRequest(message)) return undefined;
    if (this.#draining) return DRAINING;
    if (message.method === 'initialize' && this.#initialized) return ALREADY_INITIALIZED;
    return this.#running(message.id).length > 0 ? ID_IN_USE : undefined;
  }

  /** Sends what waits, in the order in which it came. */
  #next(): void {
    while (!this.#closed && this.#first === undefined && this.#underWay < MAX_POSTS + this.#requests) {
      const [exchange] = this.#waiting;
      // In the order in which they came: what waits to be let in holds up what came after it.
      if (exchange === undefined || (exchange.permit instanceof Promise && !exchange.ended)) return;
      this.#waiting.shift();
      if (exchange.ended) continue;
      guardOf(exchange)?.start((refusal) => this.#stop(exchange, refusal));
      if (mustGoFirst(exchange.message)) this.#first = exchange;
      void this.#send(exchange);
    }
  }

  async #send(exchange: Exchange): Promise<void> {
    const { message, bytes, cancel } = exchange;
    try {
      await this.#session.post(
        message,
        {
          signal: cancel.signal,
          elicitsUrls: this.#elicitsUrls,
          onMessage: (value, text = writeJson(value)) => this.#pass(exchange, text, value),
          onAnswer: (value, text = writeJson(value)) => this.#answered(exchange, text, value),
        },
        bytes,
      );
      if (exchange.ended || this.#closed) return;
      // The guard has let none pass.
      if (isRequest(message)) throw new NoAnswer(200);
      if (message.method === 'notifications/initialized') this.#listen();
      this.#cancel(cancelledId(message));
      this.#finish(exchange, 'relayed', {});
    } catch (error) {
      if (exchange.ended || this.#closed) return;
      const { refusal, outcome, cause } = failureOf(error as Error);
      this.#failed(exchange, refusal, outcome, cause);
      if (error instanceof SessionLost || (error instanceof AnswerCut && error.sessionLost)) this.#lose('session_lost');
    }
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

  /** A cancelled request gets no answer, so nothing would end its stream. */
  #cancel(id: unknown): void {
    if (id !== undefined) for (const exchange of this.#running(id)) this.#finish(exchange, 'client_gone', {});
  }

  #running(id: unknown): Exchange[] {
    return [...this.#exchanges].filter(({ message }) => isRequest(message) && isSameId(message.id, id));
  }

  /** @returns undefined where the message does not go on, and perhaps the whole call is stopped */
  #pass(exchange: Exchange, text: string, value: Json): Passing | undefined {
    const guard = guardOf(exchange);
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
    this.#failed(exchange, refusal, 'answer_refused', undefined);
    if (isRequest(exchange.message))
      void this.#session.notify(Cancelled.notification(exchange.message.id, refusal.message));
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
    if (this.#first === exchange) this.#first = undefined;
    this.#sink.report(outcome, details);
    this.#next();
    this.#sink.settled();
  }

  /** Opens the stream of what the server says unasked. */
  #listen(): void {
    if (this.#standing !== undefined || this.#closed) return;
    const guard = this.#options.gate.listening();
    this.#standing = this.#session.stream({
      message: (value, text = writeJson(value)) => {
        const passing = guard === undefined ? { text } : guard.pass(value, text);
        if (passing !== undefined) this.#say(passing.text);
      },
      finished: (how) => {
        if (how === 'session_lost' || how === 'unreachable') return this.#lose(how);
        // Refused before `notifications/initialized`, it is asked for once more after that.
        this.#standing = undefined;
      },
    });
    this.#standing.start();
  }

  #lose(how: 'session_lost' | 'unreachable'): void {
    if (this.#closed) return;
    this.#session.forget();
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
    if (!this.#closed && !this.#sink.send(text)) this.#session.pause();
  }
}
