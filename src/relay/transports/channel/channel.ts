import type { Refusal } from '../../refusal.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';
import type { Upstream } from '../../upstreams/upstream.ts';
import { elicitsUrls } from '../elicitation.ts';
import { errorOf, type MessageId } from '../streamable-http/json-rpc-error.ts';
import type { Message } from '../streamable-http/message.ts';
import { answers, cancelledId, type Exchange, isRequest, mustGoFirst } from './exchange.ts';
import type { MessageReader } from './message-reader.ts';
import {
  ALREADY_INITIALIZED,
  CUT,
  claimsModern,
  DRAINING,
  failureOf,
  MAX_POSTS,
  MAX_REQUESTS,
  MODERN_NOT_HERE,
  SESSION_LOST,
  TOO_MANY,
} from './refusals.ts';
import type { StandingStream } from './standing-stream.ts';
import { type SessionOptions, UpstreamSession } from './upstream-session.ts';

/** What became of one message; `seconds` for a request that was answered. */
export interface ReportDetails {
  readonly refusal?: Refusal;
  readonly error?: Error;
  readonly seconds?: number;
}

/** The client's end of a channel. */
export interface ChannelSink {
  /** @returns false where the client must first read; `Channel.resume` is called when it has */
  send(text: string): boolean;
  /** The server is gone for good, or only its session is; close the connection. */
  lost(how: 'session_lost' | 'unreachable'): void;
  /** Called after each message that has been dealt with: `idle` and `saturated` may have changed. */
  settled(): void;
  report(outcome: Outcome, details: ReportDetails): void;
}

/**
 * One long-lived connection of one client with a streamable HTTP server of the sessions' era: each message becomes a POST,
 * and all that the server says comes back through one sink. Never throws.
 */
export class Channel {
  readonly #sink: ChannelSink;
  readonly #session: UpstreamSession;
  /** Every message that is not dealt with yet, the waiting ones at the end. */
  readonly #exchanges = new Set<Exchange>();
  readonly #waiting: Exchange[] = [];
  /** What must be through before the next message may follow: a parallel POST could overtake it. */
  #first: Exchange | undefined;
  #standing: StandingStream | undefined;
  #initialized = false;
  #requests = 0;
  #draining = false;
  #closed = false;

  constructor(upstream: Upstream, sink: ChannelSink, options: SessionOptions) {
    this.#sink = sink;
    this.#session = new UpstreamSession(upstream, options);
  }

  /** No request waits for its answer. */
  get idle(): boolean {
    return this.#requests === 0;
  }

  /** The client should send nothing more until `settled`. */
  get saturated(): boolean {
    return this.#session.full || this.#exchanges.size >= MAX_POSTS;
  }

  /** Takes one message of the client, `bytes` as it came. */
  accept(message: Message, bytes: Buffer): void {
    if (this.#closed) return;
    const refusal = this.#judge(message);
    if (refusal !== undefined) {
      if (isRequest(message)) this.refuse(message.id ?? null, refusal);
      else this.#sink.report('refused', { refusal });
      return;
    }
    const startedAt = performance.now();
    const exchange: Exchange = { message, bytes, startedAt, reader: undefined, rest: undefined, ended: false };
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
    this.#sink.report('refused', { refusal });
    this.#fail(id, refusal);
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
      exchange.ended = true;
      this.#sink.report('client_gone', {});
    }
    this.#exchanges.clear();
    this.#requests = 0;
    await this.#session.end();
  }

  #judge(message: Message): Refusal | undefined {
    if (claimsModern(message)) return MODERN_NOT_HERE;
    if (!isRequest(message)) return undefined;
    if (this.#draining) return DRAINING;
    if (this.#requests >= MAX_REQUESTS) return TOO_MANY;
    return message.method === 'initialize' && this.#initialized ? ALREADY_INITIALIZED : undefined;
  }

  /** Sends what waits, in the order in which it came. */
  #next(): void {
    while (!this.#closed && this.#first === undefined && this.#exchanges.size - this.#waiting.length < MAX_POSTS) {
      const exchange = this.#waiting.shift();
      if (exchange === undefined) return;
      if (exchange.ended) continue;
      if (mustGoFirst(exchange.message)) this.#first = exchange;
      exchange.reader = this.#session.post(exchange.bytes, exchange.message.method === 'initialize', {
        message: (text, value) => this.#take(exchange, text, value),
        ended: (reader, error) => this.#ended(exchange, reader, error),
      });
    }
  }

  #take(exchange: Exchange, text: string, value: Record<string, unknown>): void {
    // Before it counts as finished: a connection that drains closes with its last answer.
    this.#send(text);
    if (exchange.ended || !isRequest(exchange.message) || !answers(value, exchange.message.id)) return;
    exchange.rest?.stop();
    if (exchange.message.method === 'initialize') {
      this.#initialized = this.#session.negotiated(value);
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
    if (isRequest(message) && reader.isStream && reader.lastEventId !== undefined && !(error instanceof RangeError))
      return void this.#resumeAnswer(exchange, reader.lastEventId, reader.retry);
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
      if (!isRequest(exchange.message) || exchange.message.id !== id) continue;
      exchange.reader?.abort();
      exchange.rest?.stop();
      this.#finish(exchange, 'client_gone', {});
    }
  }

  #failed(exchange: Exchange, refusal: Refusal, outcome: Outcome, error: Error | undefined): void {
    if (exchange.message.method === 'initialize') this.#initialized = false;
    if (isRequest(exchange.message)) this.#fail(exchange.message.id ?? null, refusal);
    this.#finish(exchange, outcome, { refusal, ...(error === undefined ? {} : { error }) });
  }

  #finish(exchange: Exchange, outcome: Outcome, details: ReportDetails): void {
    if (exchange.ended) return;
    exchange.ended = true;
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
    this.#standing = this.#session.stream({
      message: (text) => this.#send(text),
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
    if (!this.#closed) this.#send(JSON.stringify(errorOf(refusal, id)));
  }

  #send(text: string): void {
    if (!this.#closed && !this.#sink.send(text)) this.#session.pause();
  }
}
