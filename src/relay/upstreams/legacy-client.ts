import type { ClientFacts } from '../protocol/client-facts.ts';
import { Cancelled } from '../protocol/failures.ts';
import { writeJson } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { Message } from '../protocol/message.ts';
import type { MessageReader } from '../protocol/message-reader.ts';
import { boundedReader, plainReader, post, type ReaderOf } from './post-message.ts';
import { ResumableStream, type StreamEnd } from './resumable-stream.ts';
import {
  ignoreMessage,
  postHeaders,
  type RequestContext,
  type RequestOptions,
  sendTo,
  type UpstreamLink,
} from './upstream-request.ts';

/** What every request of a session carries. */
export interface SessionFields {
  /** Undefined: the server has opened none. */
  readonly id: string | undefined;
  /** Undefined: none has been negotiated. */
  readonly version: string | undefined;
}

export interface StreamEvents {
  message(value: Json, text?: string): void;
  finished(how: StreamEnd): void;
  /** The server has answered the request for the stream, or will not. */
  opened?(): void;
}

/** Milliseconds for a notification, or the end of a session, to reach the server. */
const CLOSE_GRACE = 1_000;

/** A client of one streamable HTTP server of the sessions' era, up to 2025-11-25, and its one session there. */
export class LegacyClient {
  readonly #link: UpstreamLink;
  readonly #context: RequestContext;
  readonly #readers = new Set<MessageReader>();
  readonly #notifications = new Set<Promise<void>>();
  #id: string | undefined;
  #version: string | undefined;
  #full = false;

  /** @param session one that is open already */
  constructor(link: UpstreamLink, context: RequestContext, session?: SessionFields) {
    this.#link = link;
    this.#context = context;
    this.#id = session?.id;
    this.#version = session?.version;
  }

  get session(): SessionFields {
    return { id: this.#id, version: this.#version };
  }

  /** The client's side takes no more for now. */
  get full(): boolean {
    return this.#full;
  }

  /** Reads no more from the server until `resume`. */
  pause(): void {
    this.#full = true;
  }

  resume(): void {
    this.#full = false;
    for (const reader of this.#readers) reader.resume();
  }

  /** Opens the session. @returns what the server answers to `initialize` @throws as `post` does; nothing is left open then */
  async initialize({ protocolVersion, capabilities, clientInfo }: ClientFacts, options: RequestOptions): Promise<Json> {
    const params = { protocolVersion, capabilities, clientInfo };
    const result = await this.post({ jsonrpc: '2.0', id: 'initialize', method: 'initialize', params }, options);
    try {
      await this.post({ jsonrpc: '2.0', method: 'notifications/initialized' }, options);
      return result;
    } catch (error) {
      void this.close();
      throw error;
    }
  }

  /**
   * Asks the server, and tells it if the request is taken back.
   *
   * @param takesBack how the signal's reason does that
   * @throws as `post` does
   */
  async request(message: Json, options: RequestOptions, takesBack = Cancelled.by): Promise<Json> {
    const { signal } = options;
    const onAbort = () => {
      const cancelled = takesBack(signal.reason);
      if (cancelled !== undefined) void this.notify(Cancelled.notification(message.id, cancelled.reason));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await this.post(message, options);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Sends a notification, or the answer to a request of the server. Never rejects. */
  notify(message: Json): Promise<void> {
    const options = { signal: AbortSignal.timeout(CLOSE_GRACE), onMessage: ignoreMessage };
    const sent: Promise<void> = this.post(message, options)
      .then(
        () => {},
        () => {},
      )
      .finally(() => this.#notifications.delete(sent));
    this.#notifications.add(sent);
    return sent;
  }

  /** Sends any message; `initialize` makes the session. @param body the message as it came, if that is sent @throws as `post` does */
  post(message: Json | Message, options: RequestOptions, body?: Buffer): Promise<Json> {
    const { signal, onMessage } = options;
    const context = { ...this.#context, ...options };
    const isInitialize = message.method === 'initialize';
    const onAnswer = (answer: Json, text?: string) => {
      if (isInitialize) this.#version = versionOf(answer.result) ?? this.#version;
      options.onAnswer?.(answer, text);
    };
    const whole = body === undefined ? (message as Json) : undefined;
    return post(message, body ?? Buffer.from(writeJson(message)), postHeaders(context, this.#fields()), {
      send: sendTo(this.#link, 'legacy', context, whole),
      readerOf: isInitialize
        ? (events) => this.#reader({ ...events, head: (head) => this.#opened(head) })
        : this.#reader,
      resume: (events) => this.stream(events),
      signal,
      onMessage,
      onAnswer,
    });
  }

  /**
   * A stream by GET, not yet started: what the server sends unasked, or the rest of an answer whose first stream it has closed
   * (2025-11-25, streamable HTTP, resumability).
   */
  stream(events: StreamEvents): ResumableStream {
    const { kept = [] } = this.#context;
    const send = sendTo(this.#link, 'legacy', this.#context);
    const stream: ResumableStream = new ResumableStream(
      {
        open: (lastEventId) => {
          const reader = this.#reader({
            head: () => events.opened?.(),
            message: events.message,
            ended: (ended, error) => {
              events.opened?.();
              stream.ended(ended, error);
            },
          });
          const fields = [...kept, ...this.#fields(), ...lastEvent(lastEventId)];
          send('GET', ['accept', 'text/event-stream', ...fields], null, reader);
          return reader;
        },
        finished: events.finished,
      },
      this.#link.retry,
    );
    return stream;
  }

  /** The server does not know the session any more. */
  forget(): void {
    this.#id = undefined;
  }

  /** Ends the session. Resolves when the server knows, or after a short while. */
  async close(): Promise<void> {
    if (this.#notifications.size > 0) await Promise.all(this.#notifications);
    if (this.#id === undefined) return;
    const { kept = [] } = this.#context;
    const headers = ['accept', 'application/json', ...kept, ...this.#fields()];
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, CLOSE_GRACE);
      const ended = () => {
        clearTimeout(late);
        resolve();
      };
      const reader = plainReader(this.#link, this.#context.caller)({ message: () => {}, ended });
      sendTo(this.#link, 'legacy', this.#context)('DELETE', headers, null, reader);
    });
  }

  #opened({ status, headers }: MessageReader): void {
    const id = headers['mcp-session-id'];
    if (status < 300 && typeof id === 'string') this.#id = id;
  }

  readonly #reader: ReaderOf = (events) => {
    const reader = boundedReader(this.#link, this.#context.caller, {
      ...events,
      full: () => this.#full,
      closed: (closed) => this.#readers.delete(closed),
    });
    this.#readers.add(reader);
    return reader;
  };

  #fields(): string[] {
    return [
      ...(this.#version === undefined ? [] : ['mcp-protocol-version', this.#version]),
      ...(this.#id === undefined ? [] : ['mcp-session-id', this.#id]),
    ];
  }
}

/** @param result of `initialize` */
function versionOf(result: unknown): string | undefined {
  const { protocolVersion } = (result ?? {}) as Json;
  return typeof protocolVersion === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(protocolVersion)
    ? protocolVersion
    : undefined;
}

/**
 * Ids are a server's invention: a control character in one must not make the request fail (RFC 9110 §5.5). Header fields hold
 * bytes, and those of an event id are UTF-8 (HTML §9.2.4).
 */
function lastEvent(id: string | undefined): string[] {
  if (id === undefined || [...id].some((character) => character < ' ' || character === '\u007f')) return [];
  return ['last-event-id', Buffer.from(id).toString('latin1')];
}
