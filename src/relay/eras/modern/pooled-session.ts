import { isRecord } from '../../../platform/is-record.ts';
import type { ClientFacts } from '../../protocol/client-facts.ts';
import { METHOD_NOT_FOUND } from '../../protocol/error-codes.ts';
import { Cancelled, ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { withoutEnvelope } from '../../protocol/meta.ts';
import { LEGACY_VERSIONS } from '../../protocol/versions.ts';
import { LegacyClient } from '../../upstreams/legacy-client.ts';
import type { ResumableStream, StreamEnd } from '../../upstreams/resumable-stream.ts';
import {
  ignoreMessage,
  type OnMessage,
  type RequestContext,
  type RequestOptions,
  type UpstreamLink,
} from '../../upstreams/upstream-request.ts';

/** Milliseconds that a first request waits for the stream on which some servers ask back. */
const STREAM = 1_000;

/**
 * A session with a server of the sessions' era, opened by the relay for a client which knows nothing of sessions. It belongs to
 * one identity and serves one request at a time, so that whatever the server sends belongs to that.
 */
export class PooledSession {
  readonly #client: LegacyClient;
  #stream: ResumableStream | undefined;
  #onMessage: OnMessage = ignoreMessage;
  #onUnasked: OnMessage = ignoreMessage;
  #nextId = 1;
  #level: string | undefined;
  #onLost: (() => void) | undefined;
  /** The server's answer to `initialize`. */
  described: Json = {};
  /** Not to be used again: the server has ended it, or may still send something about a request that was taken back. */
  lost = false;

  private constructor(client: LegacyClient) {
    this.#client = client;
  }

  /** @throws as `post` does */
  static async open(
    link: UpstreamLink,
    { capabilities, clientInfo }: ClientFacts,
    context: RequestContext,
    signal: AbortSignal,
  ): Promise<PooledSession> {
    const session = new PooledSession(new LegacyClient(link, { caller: context.caller }));
    const facts = { protocolVersion: LEGACY_VERSIONS[0], capabilities, clientInfo };
    session.described = await session.#client.initialize(facts, { ...context, signal, onMessage: ignoreMessage });
    await session.#listen();
    return session;
  }

  /** What the server says it has under this name; undefined: it has none. */
  offers(capability: string): Json | undefined {
    const all = this.described.capabilities;
    const offered = isRecord(all) ? all[capability] : undefined;
    return isRecord(offered) ? offered : undefined;
  }

  /**
   * @param options `onMessage` takes everything that the server sends until the answer, on whichever stream
   * @returns `result` of the answer
   * @throws as `post` does
   */
  async request(method: string, params: Json, options: RequestOptions): Promise<Json> {
    const message = { jsonrpc: '2.0', id: this.#nextId++, method, params: withoutEnvelope(params) };
    this.#onMessage = options.onMessage;
    try {
      return await this.#client.request(message, options, (why) => {
        this.lost = true;
        return Cancelled.by(why) ?? new Cancelled(undefined);
      });
    } finally {
      this.#onMessage = this.#onUnasked;
    }
  }

  /** Takes what the server sends between requests. */
  listen(onMessage: OnMessage): void {
    this.#onUnasked = onMessage;
    this.#onMessage = onMessage;
  }

  /** Resolves when the signal is aborted, or the server sends nothing more in this session. */
  ended(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.#onLost = resolve;
      if (signal.aborted || this.lost) resolve();
    });
  }

  /** Lets the server log from this level on; undefined: its logs go to no client. @throws as `post` does */
  async setLevel(level: unknown, options: RequestOptions): Promise<void> {
    if (typeof level !== 'string' || level === this.#level || this.offers('logging') === undefined) return;
    try {
      await this.request('logging/setLevel', { level }, options);
    } catch (error) {
      // A server that logs as it likes may still do what it is asked.
      if (!(error instanceof ServerError)) throw error;
    }
    this.#level = level;
  }

  /** Sends a notification, or the answer to a request of the server. Never rejects. */
  notify(message: Json): Promise<void> {
    return this.#client.notify(message);
  }

  /** Ends the session. Resolves when the server knows, or after a short while. */
  close(): Promise<void> {
    this.lost = true;
    this.#stream?.stop();
    return this.#client.close();
  }

  /** What the server sends on the session's own stream. Between requests no client is there to answer. */
  #receive(message: Json): void {
    if (this.#onMessage !== ignoreMessage) return void this.#onMessage(message);
    const { id, method } = message;
    if (id === undefined || method === undefined) return;
    const error = { code: METHOD_NOT_FOUND, message: 'no client is connected to answer this request' };
    void this.notify({ jsonrpc: '2.0', id, ...(method === 'ping' ? { result: {} } : { error }) });
  }

  /** Some servers ask back on this stream, whichever request it is about, and lose the question where it is not open. */
  #listen(): Promise<void> {
    return new Promise((resolve) => {
      const late = setTimeout(resolve, STREAM);
      const opened = () => {
        clearTimeout(late);
        resolve();
      };
      this.#stream = this.#client.stream({
        opened,
        message: (value) => this.#receive(value),
        finished: (how: StreamEnd) => {
          if (how !== 'session_lost' && how !== 'unreachable') return;
          this.lost = true;
          this.#onLost?.();
        },
      });
      this.#stream.start();
    });
  }
}
