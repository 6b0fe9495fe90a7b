import { isRecord } from '../../../platform/is-record.ts';
import type { Outgoing } from '../../credentials/credential.ts';
import { MessageReader, type ReaderEvents } from '../../protocol/message-reader.ts';
import type { Caller } from '../../trust/caller.ts';
import { upstreamRequestHeaders } from '../../upstreams/request-headers.ts';
import type { Upstream } from '../../upstreams/upstream.ts';
import type { McpMethod } from '../streamable-http/route.ts';
import { type RetryTimes, StandingStream, type StreamEnd } from './standing-stream.ts';

export interface SessionOptions {
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly retry: RetryTimes;
  readonly userAgent: string | undefined;
  /** On whose behalf the session is. */
  readonly caller: Caller;
}

export interface StreamEvents {
  message(text: string, value: Record<string, unknown>): void;
  finished(how: StreamEnd): void;
}

/** Milliseconds for the end of a session to reach the server. */
const GOODBYE = 1_000;

/** One session with a streamable HTTP server of the sessions' era: what every request to it carries, and all that is read. */
export class UpstreamSession {
  readonly #upstream: Upstream;
  readonly #options: SessionOptions;
  readonly #readers = new Set<MessageReader>();
  #id: string | undefined;
  #version: string | undefined;
  #full = false;
  /** The client said at `initialize` that it can lead its person to an address. */
  elicitsUrls: Outgoing['elicitsUrls'] = false;
  #ended = false;

  constructor(upstream: Upstream, options: SessionOptions) {
    this.#upstream = upstream;
    this.#options = options;
  }

  /** The server has given a session id. */
  get exists(): boolean {
    return this.#id !== undefined;
  }

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

  post(bytes: Buffer, initialize: boolean, events: Pick<ReaderEvents, 'message' | 'ended'>): MessageReader {
    const reader = this.#reader({
      ...events,
      head: ({ status, headers }) => {
        const id = headers['mcp-session-id'];
        if (initialize && status < 300 && typeof id === 'string') this.#id = id;
      },
    });
    this.#dispatch('POST', reader, bytes);
    return reader;
  }

  /** Takes the negotiated revision out of the answer to `initialize`. @returns whether that was a success */
  negotiated({ result }: Readonly<Record<string, unknown>>): boolean {
    if (!isRecord(result)) return false;
    const { protocolVersion } = result;
    if (typeof protocolVersion === 'string' && /^\d{4}-\d{2}-\d{2}$/.test(protocolVersion))
      this.#version = protocolVersion;
    return true;
  }

  /** A GET stream, not yet started. */
  stream(events: StreamEvents): StandingStream {
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

  /** The server does not know the session any more. */
  forget(): void {
    this.#id = undefined;
  }

  /** Ends every request, then the session. Resolves when the server knows, or after a short while. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const reader of this.#readers) reader.abort();
    if (this.#id === undefined) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, GOODBYE);
      const ended = () => {
        clearTimeout(late);
        resolve();
      };
      this.#dispatch('DELETE', this.#reader({ message: () => {}, ended }), null);
    });
  }

  #reader(events: Pick<ReaderEvents, 'head' | 'message' | 'ended'>): MessageReader {
    return new MessageReader(this.#options.limit, {
      ...events,
      full: () => this.#full && !this.#ended,
      closed: (reader) => this.#readers.delete(reader),
    });
  }

  #dispatch(method: McpMethod, reader: MessageReader, body: Buffer | null, lastEventId?: string): void {
    this.#readers.add(reader);
    const { userAgent, caller } = this.#options;
    const { elicitsUrls = false } = this;
    const headers = ['accept', method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream'];
    if (userAgent !== undefined) headers.push('user-agent', userAgent);
    if (this.#version !== undefined) headers.push('mcp-protocol-version', this.#version);
    if (lastEventId !== undefined && isFieldText(lastEventId)) headers.push('last-event-id', asUtf8(lastEventId));
    this.#upstream.dispatch(
      {
        method,
        era: 'legacy',
        headers: upstreamRequestHeaders(headers, this.#id, body !== null),
        body,
        caller,
        elicitsUrls,
      },
      reader,
    );
  }
}

/** Ids are a server's invention: a control character in one must not make the request fail (RFC 9110 §5.5). */
function isFieldText(id: string): boolean {
  return [...id].every((character) => character >= ' ' && character !== '\u007f');
}

/** Header fields hold bytes, and those of an event id are UTF-8 (HTML §9.2.4). */
function asUtf8(id: string): string {
  return Buffer.from(id).toString('latin1');
}
