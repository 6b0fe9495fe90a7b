import { chargeOf } from '../../gate/budgets/request-hold.ts';
import type { Permit } from '../../gate/gate.ts';
import { insufficientScope } from '../../gate/insufficient-scope.ts';
import { AnswerRefused, type Passing } from '../../gate/response-guard.ts';
import { elicitsUrls } from '../../protocol/elicitation.ts';
import { writeJson } from '../../protocol/json.ts';
import { isSameId, type MessageId } from '../../protocol/json-rpc.ts';
import type { Message } from '../../protocol/message.ts';
import type { MessageReader } from '../../protocol/message-reader.ts';
import { type Refusal, refusalOf } from '../../refusal.ts';
import { isResumable } from '../../upstreams/post-message.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';
import type { ResumableStream } from '../../upstreams/resumable-stream.ts';
import type { Upstream } from '../../upstreams/upstream.ts';
import { errorOf } from '../streamable-http/json-rpc-error.ts';
import type { ChannelOptions, ChannelSink, ReportDetails } from './channel-sink.ts';
import { answers, cancelledId, type Exchange, end, guardOf, isRequest, mustGoFirst } from './exchange.ts';
import {
  ALREADY_INITIALIZED,
  CUT,
  claimsModern,
  DRAINING,
  failureOf,
  MAX_POSTS,
  MODERN_NOT_HERE,
  SESSION_LOST,
} from './refusals.ts';
import { UpstreamSession } from './upstream-session.ts';

/**
 * One long-lived connection of one client with a streamable HTTP server of the sessions' era: each message becomes a POST,
 * and all that the server says comes back through one sink. Never throws.
 */
export class Channel {
  readonly #sink: ChannelSink;
  readonly #session: UpstreamSession;
  readonly #options: ChannelOptions;
  /** Every message that is not dealt with yet, the waiting ones at the end. */
  readonly #exchanges = new Set<Exchange>();
  readonly #waiting: Exchange[] = [];
  /** What must be through before the next message may follow: a parallel POST could overtake it. */
  #first: Exchange | undefined;
  #standing: ResumableStream | undefined;
  #initialized = false;
  #requests = 0;
  #draining = false;
  #closed = false;

  constructor(upstream: Upstream, sink: ChannelSink, options: ChannelOptions) {
    this.#sink = sink;
    this.#options = options;
    this.#session = new UpstreamSession(upstream, options);
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
    const hold = this.#options.budget.take({ ...chargeOf(message), requestBytes: bytes.length });
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
      reader: undefined,
      rest: undefined,
      ended: false,
    };
    this.#exchanges.add(exchange);
    if (isRequest(message)) this.#requests += 1;
    if (message.method === 'initialize') {
      this.#initialized = true;
      this.#session.elicitsUrls = elicitsUrls(message);
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
      exchange.rest?.stop();
      end(exchange, 'client_gone');
      this.#sink.report('client_gone', {});
    }
    this.#exchanges.clear();
    this.#requests = 0;
    await this.#session.end();
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
    return message.method === 'initialize' && this.#initialized ? ALREADY_INITIALIZED : undefined;
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
      exchange.reader = this.#session.post(exchange.bytes, exchange.message.method === 'initialize', {
        message: (text, value) => this.#take(exchange, text, value),
        ended: (reader, error) => this.#ended(exchange, reader, error),
      });
    }
  }

  #take(exchange: Exchange, text: string, value: Record<string, unknown>): void {
    const passing = this.#guarded(exchange, text, value);
    if (passing === undefined) return;
    // Before it counts as finished: a connection that drains closes with its last answer.
    this.#send(passing.text);
    if (exchange.ended || !isRequest(exchange.message) || !answers(passing.value, exchange.message.id)) return;
    exchange.rest?.stop();
    if (exchange.message.method === 'initialize') {
      this.#initialized = this.#session.negotiated(passing.value);
      if (this.#initialized) this.#listen();
    }
    this.#finish(exchange, 'relayed', { seconds: (performance.now() - exchange.startedAt) / 1000 });
  }

  /** The response of a POST is at its end. */
  #ended(exchange: Exchange, reader: MessageReader, error: Error | undefined): void {
    if (exchange.ended || this.#closed) return;
    const { message } = exchange;
    if (!isRequest(message) && error === undefined && reader.status < 300) {
      if (message.method === 'notifications/initialized') this.#listen();
      this.#cancel(cancelledId(message));
      return void this.#finish(exchange, 'relayed', {});
    }
    if (isRequest(message) && isResumable(message, reader, error))
      return void this.#resumeAnswer(exchange, reader.lastEventId as string, reader.retry);
    const { refusal, outcome, sessionLost } = failureOf(reader, error, this.#session.exists);
    this.#failed(exchange, refusal, outcome, error);
    if (sessionLost) this.#lose('session_lost');
  }

  /** The server may end a stream before the answer and go on where it is asked for the rest (2025-11-25, polling). */
  #resumeAnswer(exchange: Exchange, lastEventId: string, retry: number | undefined): void {
    exchange.rest = this.#session.stream({
      message: (text, value) => this.#take(exchange, text, value),
      finished: (how) => {
        this.#failed(exchange, CUT, 'upstream_cut', undefined);
        if (how === 'session_lost') this.#lose(how);
      },
    });
    exchange.rest.start({ lastEventId, retry });
  }

  /** A cancelled request gets no answer, so nothing would end its stream. */
  #cancel(id: unknown): void {
    if (id === undefined) return;
    for (const exchange of this.#exchanges) {
      if (!isRequest(exchange.message) || !isSameId(exchange.message.id, id)) continue;
      exchange.reader?.abort();
      exchange.rest?.stop();
      this.#finish(exchange, 'client_gone', {});
    }
  }

  /** @returns undefined where the message does not go on, and perhaps the whole call is stopped */
  #guarded(exchange: Exchange, text: string, value: Record<string, unknown>): Passing | undefined {
    const guard = guardOf(exchange);
    if (guard === undefined) return { text, value };
    try {
      guard.count(Buffer.byteLength(text));
      return guard.pass(value, text);
    } catch (error) {
      if (!(error instanceof AnswerRefused)) throw error;
      this.#stop(exchange, error.refusal);
      return undefined;
    }
  }

  /** A call that is over one of its limits. */
  #stop(exchange: Exchange, refusal: Refusal): void {
    if (exchange.ended) return;
    exchange.reader?.abort();
    exchange.rest?.stop();
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
      message: (text, value) => {
        const passing = guard === undefined ? { text } : guard.pass(value, text);
        if (passing !== undefined) this.#send(passing.text);
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
      exchange.reader?.abort();
      exchange.rest?.stop();
      this.#failed(exchange, SESSION_LOST, 'upstream_cut', undefined);
    }
    this.#sink.lost(how);
  }

  #fail(id: MessageId, refusal: Refusal): void {
    if (!this.#closed) this.#send(writeJson(errorOf(refusal, id)));
  }

  #send(text: string): void {
    if (!this.#closed && !this.#sink.send(text)) this.#session.pause();
  }
}
