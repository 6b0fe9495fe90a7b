import type { Dispatcher } from 'undici';
import type { Json } from '../protocol/json-rpc.ts';
import { MessageReader, type ReaderEvents } from '../protocol/message-reader.ts';
import { ResumableStream, type RetryTimes, type StreamEnd } from './resumable-stream.ts';

/** Sends one request of a session to its server. */
export type SendInSession = (
  method: 'GET' | 'POST' | 'DELETE',
  headers: string[],
  body: Buffer | null,
  handler: Dispatcher.DispatchHandler,
) => void;

/** What every request of a session carries. */
export interface SessionFields {
  /** Undefined: the server has opened none. */
  readonly id: string | undefined;
  /** Undefined: none has been negotiated. */
  readonly version: string | undefined;
}

export interface StreamOptions {
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly retry: RetryTimes;
}

export interface StreamEvents {
  message(text: string, value: Json): void;
  finished(how: StreamEnd): void;
  /** The server has answered the request for the stream, or will not. */
  opened?(): void;
}

/** Milliseconds for a notification, or the end of a session, to reach the server. */
export const CLOSE_GRACE = 1_000;

/** @returns names and values in turn */
export function sessionHeaders({ id, version }: SessionFields): string[] {
  return [
    ...(version === undefined ? [] : ['mcp-protocol-version', version]),
    ...(id === undefined ? [] : ['mcp-session-id', id]),
  ];
}

/**
 * A stream of a session by GET, not yet started: what the server sends unasked, or the rest of an answer whose first stream it has
 * closed (2025-11-25, streamable HTTP, resumability).
 *
 * @param headers of each request, beside `Accept` and `Last-Event-ID`
 * @param readerOf makes the reader of one response; its `ended` must be called
 */
export function sessionStream(
  send: SendInSession,
  headers: () => readonly string[],
  events: StreamEvents,
  { limit, retry }: StreamOptions,
  readerOf: (events: Pick<ReaderEvents, 'head' | 'message' | 'ended'>) => MessageReader = (own) =>
    new MessageReader(limit, { ...own, full: () => false }),
): ResumableStream {
  const stream: ResumableStream = new ResumableStream(
    {
      open: (lastEventId) => {
        const reader = readerOf({
          head: () => events.opened?.(),
          message: events.message,
          ended: (ended, error) => {
            events.opened?.();
            stream.ended(ended, error);
          },
        });
        send('GET', ['accept', 'text/event-stream', ...headers(), ...lastEvent(lastEventId)], null, reader);
        return reader;
      },
      finished: events.finished,
    },
    retry,
  );
  return stream;
}

/** Ends a session. Resolves when the server knows, or after a short while. */
export function endSession(send: SendInSession, headers: readonly string[], limit: number): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(resolve, CLOSE_GRACE);
    const ended = () => {
      clearTimeout(late);
      resolve();
    };
    const reader = new MessageReader(limit, { full: () => false, message: () => {}, ended });
    send('DELETE', ['accept', 'application/json', ...headers], null, reader);
  });
}

/**
 * Ids are a server's invention: a control character in one must not make the request fail (RFC 9110 §5.5). Header fields hold
 * bytes, and those of an event id are UTF-8 (HTML §9.2.4).
 */
function lastEvent(id: string | undefined): string[] {
  if (id === undefined || [...id].some((character) => character < ' ' || character === '\u007f')) return [];
  return ['last-event-id', Buffer.from(id).toString('latin1')];
}
