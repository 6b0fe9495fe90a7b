import { isRecord } from '../../../platform/is-record.ts';
import type { Outgoing } from '../../credentials/credential.ts';
import { MessageReader, type ReaderEvents } from '../../protocol/message-reader.ts';
import type { Caller } from '../../trust/caller.ts';
import {
  endSession,
  type SendInSession,
  type StreamEvents,
  sessionHeaders,
  sessionStream,
} from '../../upstreams/legacy-session.ts';
import type { ResumableStream, RetryTimes } from '../../upstreams/resumable-stream.ts';
import type { Upstream } from '../../upstreams/upstream.ts';

export interface SessionOptions {
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly retry: RetryTimes;
  readonly userAgent: string | undefined;
  /** On whose behalf the session is. */
  readonly caller: Caller;
}

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
    const accept = ['content-type', 'application/json', 'accept', 'application/json, text/event-stream'];
    this.#send('POST', [...accept, ...this.#headers()], bytes, reader);
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
  stream(events: StreamEvents): ResumableStream {
    const { limit, retry } = this.#options;
    return sessionStream(
      this.#send,
      () => this.#headers(),
      events,
      { limit, retry },
      (own) => this.#reader(own),
    );
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
    await endSession(this.#send, this.#headers(), this.#options.limit);
  }

  #reader(events: Pick<ReaderEvents, 'head' | 'message' | 'ended'>): MessageReader {
    const reader = new MessageReader(this.#options.limit, {
      ...events,
      full: () => this.#full && !this.#ended,
      closed: (closed) => this.#readers.delete(closed),
    });
    this.#readers.add(reader);
    return reader;
  }

  #headers(): string[] {
    const { userAgent } = this.#options;
    const fields = sessionHeaders({ id: this.#id, version: this.#version });
    return userAgent === undefined ? fields : ['user-agent', userAgent, ...fields];
  }

  readonly #send: SendInSession = (method, headers, body, handler) => {
    const { elicitsUrls = false } = this;
    const { caller } = this.#options;
    this.#upstream.dispatch({ method, era: 'legacy', headers, body, caller, elicitsUrls }, handler);
  };
}
