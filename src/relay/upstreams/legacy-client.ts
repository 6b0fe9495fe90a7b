import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isRecord } from '../../platform/is-record.ts';
import { Cancelled } from '../protocol/failures.ts';
import { writeJson } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { MessageReader } from '../protocol/message-reader.ts';
import type { OversizedMessage } from '../protocol/oversized-message.ts';
import { sessionVersion } from '../protocol/versions.ts';
import {
  type ClientRequest,
  type Description,
  descriptionOf,
  type Filter,
  type ListeningEnd,
  type McpServer,
} from './mcp-server.ts';
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
  /** A message that is above the limit, and is left out. */
  oversized?(message: OversizedMessage): void;
  finished(how: StreamEnd): void;
  /** The server has answered the request for the stream, or will not. */
  opened?(): void;
}

/** Milliseconds for a notification, or the end of a session, to reach the server. */
const CLOSE_GRACE = 1_000;

/** What the end of the session's stream says of the server. */
const ENDS = {
  not_offered: 'not_offered',
  refused: 'not_offered',
  session_lost: 'lost',
  unreachable: 'unreachable',
} as const;

/** A client of one streamable HTTP server of the sessions' era, up to 2025-11-25, and its one session there. */
export class LegacyClient implements McpServer {
  readonly #link: UpstreamLink;
  readonly #context: RequestContext;
  readonly #notifications = new Set<Promise<void>>();
  #id: string | undefined;
  #version: string | undefined;
  /** The answer to `initialize`, if it was this one that opened the session. */
  #described: Json = {};

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

  async describe(): Promise<Description> {
    return descriptionOf(this.#described);
  }

  /** The server is told if the request is taken back; a client that is merely gone takes nothing back. */
  async request({ id, method, params }: ClientRequest, options: RequestOptions): Promise<Json> {
    const { signal } = options;
    const onAbort = () => {
      const cancelled = Cancelled.by(signal.reason);
      if (cancelled !== undefined) void this.notify(Cancelled.notification(id, cancelled.reason));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await this.post({ jsonrpc: '2.0', id, method, params }, options);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  notify(message: Json): Promise<void> {
    const { signal } = new AbortController();
    const sent: Promise<void> = this.post(message, { signal, onMessage: ignoreMessage })
      .then(
        () => {},
        () => {},
      )
      .finally(() => this.#notifications.delete(sent));
    this.#notifications.add(sent);
    return sent;
  }

  listen(_filter: Filter | undefined, { signal, onMessage, onOpen }: RequestOptions): Promise<ListeningEnd> {
    return new Promise((resolve) => {
      const stream = this.stream({
        message: onMessage,
        opened: () => onOpen?.(),
        finished: (how) => resolve(ENDS[how]),
      });
      const onAbort = () => {
        stream.stop();
        resolve('lost');
      };
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
      else stream.start();
    });
  }

  async ping(signal: AbortSignal): Promise<void> {
    await this.request({ id: randomUUID(), method: 'ping', params: {} }, { signal, onMessage: ignoreMessage });
  }

  /** Sends any message; `initialize` makes the session. @throws as `post` does */
  post(message: Json, options: RequestOptions): Promise<Json> {
    const { signal, onMessage, bytes = Buffer.from(writeJson(message)) } = options;
    const context = { ...this.#context, ...options };
    const isInitialize = message.method === 'initialize';
    const onAnswer = (answer: Json, text?: string) => {
      if (isInitialize) this.#begun(answer.result);
      options.onAnswer?.(answer, text);
    };
    return post(message, bytes, postHeaders(context, this.#fields()), {
      send: sendTo(this.#link, 'legacy', context),
      limit: this.#link.limit,
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
            oversized: (message) => events.oversized?.(message),
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

  /** Resolves when the server knows, or after a short while. */
  async close(): Promise<void> {
    if (this.#notifications.size > 0)
      await Promise.race([Promise.all(this.#notifications), sleep(CLOSE_GRACE, undefined, { ref: false })]);
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

  /** @param result of `initialize` */
  #begun(result: unknown): void {
    this.#described = isRecord(result) ? result : {};
    this.#version = sessionVersion(this.#described) ?? this.#version;
  }

  #opened({ status, headers }: MessageReader): void {
    const id = headers['mcp-session-id'];
    if (status < 300 && typeof id === 'string') this.#id = id;
  }

  readonly #reader: ReaderOf = (events) => {
    const { caller, flow } = this.#context;
    const reader = boundedReader(this.#link, caller, {
      ...events,
      full: () => flow?.paused === true,
      closed: (closed) => flow?.delete(closed),
    });
    flow?.add(reader);
    return reader;
  };

  #fields(): string[] {
    return [
      ...(this.#version === undefined ? [] : ['mcp-protocol-version', this.#version]),
      ...(this.#id === undefined ? [] : ['mcp-session-id', this.#id]),
    ];
  }
}

/**
 * Ids are a server's invention: a control character in one must not make the request fail (RFC 9110 §5.5). Header fields hold
 * bytes, and those of an event id are UTF-8 (HTML §9.2.4).
 */
function lastEvent(id: string | undefined): string[] {
  if (id === undefined || [...id].some((character) => character < ' ' || character === '\u007f')) return [];
  return ['last-event-id', Buffer.from(id).toString('latin1')];
}
