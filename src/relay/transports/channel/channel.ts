import type { Refusal } from '../../refusal.ts';
import { upstreamRequestHeaders } from '../../upstreams/request-headers.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';
import type { Upstream } from '../../upstreams/upstream.ts';
import { errorOf, type MessageId } from '../streamable-http/json-rpc-error.ts';
import { isRecord, type Message } from '../streamable-http/message.ts';
import type { McpMethod } from '../streamable-http/route.ts';
import { answers, cancelledId, type Exchange, isRequest } from './exchange.ts';
import { MessageReader, type ReaderEvents } from './message-reader.ts';
import {
  ALREADY_INITIALIZED,
  claimsModern,
  DRAINING,
  failureOf,
  MAX_REQUESTS,
  MODERN_NOT_HERE,
  SESSION_LOST,
  TOO_MANY,
} from './refusals.ts';
import { type RetryTimes, StandingStream, type StreamEnd } from './standing-stream.ts';

/** The client's end of a channel. */
export interface ChannelSink {
  /** @returns false where the client must first read; `Channel.resume` is called when it has */
  send(text: string): boolean;
  /** The server is gone for good, or only its session is; close the connection. */
  lost(how: 'session_lost' | 'unreachable'): void;
  /** Called each time nothing is under way any more or `Channel.saturated` may have changed. */
  settled(): void;
  /** One message has been dealt with; `seconds` for a request that was answered. */
  report(outcome: Outcome | 'refused', details: { refusal?: Refusal; error?: Error; seconds?: number }): void;
}

export interface ChannelOptions {
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly retry: RetryTimes;
  readonly userAgent: string | undefined;
}

/** Milliseconds for the end of a session to reach the server. */
const GOODBYE = 2_000;

/**
 * One long-lived connection of one client with a streamable HTTP server of the sessions' era: each message becomes a POST,
 * and all that the server says comes back through one sink. Never throws.
 */
export class Channel {
  readonly #upstream: Upstream;
  readonly #sink: ChannelSink;
  readonly #options: ChannelOptions;
  readonly #exchanges = new Set<Exchange>();
  readonly #readers = new Set<MessageReader>();
  #standing: StandingStream | undefined;
  #sessionId: string | undefined;
  #version: string | undefined;
  #initialized = false;
  /** What must be through before the next message may follow: a parallel POST could overtake it. */
  #gate: { promise: Promise<void>; open: () => void; exchange: Exchange } | undefined;
  #requests = 0;
  #full = false;
  #draining = false;
  #closed = false;

  constructor(upstream: Upstream, sink: ChannelSink, options: ChannelOptions) {
    this.#upstream = upstream;
    this.#sink = sink;
    this.#options = options;
  }

  /** No request waits for its answer. */
  get idle(): boolean {
    return this.#requests === 0;
  }

  /** The client should send nothing more until `settled`. */
  get saturated(): boolean {
    return this.#full || this.#exchanges.size >= 2 * MAX_REQUESTS;
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
    const exchange: Exchange = {
      message,
      bytes,
      startedAt: performance.now(),
      reader: undefined,
      rest: undefined,
      answered: false,
      ended: false,
    };
    this.#exchanges.add(exchange);
    if (isRequest(message)) this.#requests += 1;
    if (message.method === 'initialize') this.#initialized = true;
    const before = this.#gate?.promise;
    if (message.method === 'initialize' || message.method === 'notifications/initialized') this.#closeGate(exchange);
    if (before === undefined) this.#post(exchange);
    else void before.then(() => this.#post(exchange));
  }

  /** Answers what was no message, or none that may pass. */
  refuse(id: MessageId, refusal: Refusal): void {
    this.#sink.report('refused', { refusal });
    this.#fail(id, refusal);
  }

  #fail(id: MessageId, refusal: Refusal): void {
    if (!this.#closed) this.#send(JSON.stringify(errorOf(refusal, id)));
  }

  /** The client has read what was sent. */
  resume(): void {
    this.#full = false;
    for (const reader of this.#readers) reader.resume();
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
    this.#gate?.open();
    for (const exchange of this.#exchanges) {
      exchange.rest?.stop();
      exchange.ended = true;
      this.#sink.report('client_gone', {});
    }
    for (const reader of this.#readers) reader.abort();
    this.#exchanges.clear();
    this.#requests = 0;
    if (this.#sessionId !== undefined) await this.#endSession();
  }

  #judge(message: Message): Refusal | undefined {
    if (claimsModern(message)) return MODERN_NOT_HERE;
    if (!isRequest(message)) return undefined;
    if (this.#draining) return DRAINING;
    if (this.#requests >= MAX_REQUESTS) return TOO_MANY;
    return message.method === 'initialize' && this.#initialized ? ALREADY_INITIALIZED : undefined;
  }

  #closeGate(exchange: Exchange): void {
    let open = () => {};
    const promise = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#gate = { promise, open, exchange };
  }

  #post(exchange: Exchange): void {
    if (this.#closed || exchange.ended) return;
    const { message } = exchange;
    const reader = this.#reader({
      head: ({ status, headers }) => {
        const id = headers['mcp-session-id'];
        if (message.method === 'initialize' && status < 300 && typeof id === 'string') this.#sessionId = id;
      },
      message: (text, value) => this.#take(exchange, text, value),
      ended: (_reader, error) => this.#ended(exchange, error),
    });
    exchange.reader = reader;
    this.#dispatch('POST', reader, exchange.bytes);
  }

  #take(exchange: Exchange, text: string, value: Record<string, unknown>): void {
    // Before it counts as finished: a connection that drains closes with its last answer.
    this.#send(text);
    if (exchange.answered || !isRequest(exchange.message) || !answers(value, exchange.message.id)) return;
    exchange.answered = true;
    exchange.rest?.stop();
    if (exchange.message.method === 'initialize') this.#initializeAnswered(value);
    this.#finish(exchange, 'relayed', { seconds: (performance.now() - exchange.startedAt) / 1000 });
  }

  #initializeAnswered({ result }: Record<string, unknown>): void {
    this.#initialized = isRecord(result);
    if (!isRecord(result)) return;
    const { protocolVersion } = result;
    if (typeof protocolVersion === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(protocolVersion))
      this.#version = protocolVersion;
    this.#listen();
  }

  /** The response of a POST is at its end. */
  #ended(exchange: Exchange, error: Error | undefined): void {
    const { message, reader } = exchange;
    if (reader === undefined || exchange.ended || this.#closed) return;
    if (!isRequest(message) && error === undefined && reader.status < 300) {
      if (message.method === 'notifications/initialized') this.#listen();
      this.#cancel(cancelledId(message));
      return void this.#finish(exchange, 'relayed', {});
    }
    if (isRequest(message) && reader.isStream && reader.lastEventId !== undefined && !(error instanceof RangeError))
      return void this.#resumeAnswer(exchange, reader.lastEventId, reader.retry);
    const { refusal, outcome, sessionLost } = failureOf(reader, error, this.#sessionId !== undefined);
    this.#failed(exchange, refusal, outcome, error);
    if (sessionLost) this.#lose('session_lost');
  }

  /** The server may end a stream before the answer and go on where it is asked for the rest (2025-11-25, polling). */
  #resumeAnswer(exchange: Exchange, lastEventId: string, retry: number | undefined): void {
    const rest: StandingStream = this.#stream({
      message: (text, value) => this.#take(exchange, text, value),
      finished: (how) => {
        const cut = failureOf(exchange.reader as MessageReader, new Error(`the answer was cut: ${how}`), true);
        this.#failed(exchange, cut.refusal, cut.outcome, undefined);
        if (how === 'session_lost') this.#lose(how);
      },
    });
    exchange.rest = rest;
    rest.start({ lastEventId, retry });
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

  #finish(exchange: Exchange, outcome: Outcome, details: Parameters<ChannelSink['report']>[1]): void {
    if (exchange.ended) return;
    exchange.ended = true;
    this.#exchanges.delete(exchange);
    if (isRequest(exchange.message)) this.#requests -= 1;
    if (this.#gate?.exchange === exchange) {
      this.#gate.open();
      this.#gate = undefined;
    }
    this.#sink.report(outcome, details);
    this.#sink.settled();
  }

  /** The stream of what the server says unasked. */
  #listen(): void {
    if (this.#standing !== undefined || this.#closed) return;
    this.#standing = this.#stream({
      message: (text) => this.#send(text),
      finished: (how) => {
        if (how === 'session_lost' || how === 'unreachable') return this.#lose(how);
        // Refused before `notifications/initialized`, it is asked for once more after that.
        this.#standing = undefined;
      },
    });
    this.#standing.start();
  }

  #stream(events: {
    message: (text: string, value: Record<string, unknown>) => void;
    finished: (how: StreamEnd) => void;
  }): StandingStream {
    const stream: StandingStream = new StandingStream(
      {
        open: (lastEventId) => {
          const reader = this.#reader({
            message: events.message,
            ended: (ended, error) => stream.ended(ended, error),
          });
          this.#dispatch('GET', reader, null, lastEventId);
          return reader;
        },
        finished: events.finished,
      },
      this.#options.retry,
    );
    return stream;
  }

  #lose(how: 'session_lost' | 'unreachable'): void {
    if (this.#closed) return;
    for (const exchange of this.#exchanges) {
      exchange.reader?.abort();
      exchange.rest?.stop();
      this.#failed(exchange, SESSION_LOST, 'upstream_cut', undefined);
    }
    this.#sessionId = undefined;
    this.#sink.lost(how);
  }

  async #endSession(): Promise<void> {
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, GOODBYE);
      const reader = this.#reader({
        message: () => {},
        ended: () => {
          clearTimeout(late);
          resolve();
        },
      });
      this.#dispatch('DELETE', reader, null);
    });
  }

  #reader(events: Pick<ReaderEvents, 'head' | 'message' | 'ended'>): MessageReader {
    return new MessageReader(this.#options.limit, {
      ...events,
      full: () => this.#full && !this.#closed,
      closed: (reader) => this.#readers.delete(reader),
    });
  }

  #send(text: string): void {
    if (!this.#closed && !this.#sink.send(text)) this.#full = true;
  }

  #dispatch(method: McpMethod, reader: MessageReader, body: Buffer | null, lastEventId?: string): void {
    this.#readers.add(reader);
    const { userAgent } = this.#options;
    const headers = ['accept', method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream'];
    if (userAgent !== undefined) headers.push('user-agent', userAgent);
    if (this.#version !== undefined) headers.push('mcp-protocol-version', this.#version);
    if (lastEventId !== undefined) headers.push('last-event-id', lastEventId);
    this.#upstream.dispatch(
      { method, headers: upstreamRequestHeaders(headers, this.#sessionId, body !== null), body },
      reader,
    );
  }
}
