import { whenAborted, withLinkedSignal } from '../../../platform/abort.ts';
import { isRecord } from '../../../platform/is-record.ts';
import type { ClientFacts } from '../../protocol/client-facts.ts';
import { METHOD_NOT_FOUND } from '../../protocol/error-codes.ts';
import { Cancelled, ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { withoutEnvelope } from '../../protocol/meta.ts';
import { LEGACY_VERSIONS } from '../../protocol/versions.ts';
import { beginSession, type LegacySessions } from '../../upstreams/legacy-sessions.ts';
import type { McpServer } from '../../upstreams/mcp-server.ts';
import {
  ignoreMessage,
  type OnMessage,
  type RequestContext,
  type RequestOptions,
} from '../../upstreams/upstream-request.ts';

/** Milliseconds that a first request waits for the stream on which some servers ask back. */
const STREAM = 1_000;

/**
 * A session with a server of the sessions' era, opened by the relay for a client which knows nothing of sessions. It belongs to
 * one identity and serves one request at a time, so that whatever the server sends belongs to that.
 */
export class PooledSession {
  readonly #server: McpServer;
  /** Aborted when the server's stream is over, or the session is. */
  readonly #gone = new AbortController();
  #onMessage: OnMessage = ignoreMessage;
  #onUnasked: OnMessage = ignoreMessage;
  #nextId = 1;
  #level: string | undefined;
  /** The server's answer to `initialize`. */
  readonly described: Json;
  /** Not to be used again: the server has ended it, or may still send something about a request that was taken back. */
  lost = false;

  private constructor(server: McpServer, described: Json) {
    this.#server = server;
    this.described = described;
  }

  /** @throws as `LegacySessions.open` does */
  static async open(
    sessions: LegacySessions,
    { capabilities, clientInfo }: ClientFacts,
    context: RequestContext,
    signal: AbortSignal,
  ): Promise<PooledSession> {
    const facts = { protocolVersion: LEGACY_VERSIONS[0], capabilities, clientInfo };
    const { server, result } = await beginSession(sessions, facts, context, signal);
    const session = new PooledSession(server, result);
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
    const { signal } = options;
    const cancel = new AbortController();
    // A stateless client takes its request back by leaving.
    const onAbort = () => {
      this.lost = true;
      cancel.abort(Cancelled.by(signal.reason) ?? new Cancelled(undefined));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.#onMessage = options.onMessage;
    try {
      signal.throwIfAborted();
      const request = { id: this.#nextId++, method, params: withoutEnvelope(params) };
      return await this.#server.request(request, { ...options, signal: cancel.signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      this.#onMessage = this.#onUnasked;
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Takes what the server sends between requests. */
  listen(onMessage: OnMessage): void {
    this.#onUnasked = onMessage;
    this.#onMessage = onMessage;
  }

  /** Resolves when the signal is aborted, or the server sends nothing more in this session. */
  async ended(signal: AbortSignal): Promise<void> {
    await withLinkedSignal([signal, this.#gone.signal], whenAborted);
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
    return this.#server.notify(message);
  }

  /** Ends the session. Resolves when the server knows, or after a short while. */
  close(): Promise<void> {
    this.lost = true;
    this.#gone.abort(new Error('the session has ended'));
    return this.#server.close();
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
      const onOpen = () => {
        clearTimeout(late);
        resolve();
      };
      const onLost = () => {
        this.lost = true;
        this.#gone.abort();
      };
      const onMessage: OnMessage = (message) => this.#receive(message);
      this.#server
        .listen(undefined, { signal: this.#gone.signal, onMessage, onOpen })
        .then((how) => how !== 'not_offered' && onLost(), onLost)
        .finally(onOpen);
    });
  }
}
