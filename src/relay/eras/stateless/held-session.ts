import { isRecord } from '../../../platform/is-record.ts';
import type { ClientFacts } from '../../protocol/client-facts.ts';
import { METHOD_NOT_FOUND } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { withoutEnvelope } from '../../protocol/meta.ts';
import { LEGACY_VERSIONS } from '../../protocol/versions.ts';
import type { Caller } from '../../trust/caller.ts';
import {
  CLOSE_GRACE,
  endSession,
  type SendInSession,
  sessionHeaders,
  sessionStream,
} from '../../upstreams/legacy-session.ts';
import type { Hear } from '../../upstreams/post-message.ts';
import type { ResumableStream, StreamEnd } from '../../upstreams/resumable-stream.ts';
import { type Asking, askServer, type From, IGNORE, type ServerLink } from '../server-link.ts';

/** Milliseconds that a first request waits for the stream on which some servers ask back. */
const STREAM = 1_000;

export interface HeldSessionDeps {
  readonly link: ServerLink;
  /** Requests with the same key may be made in one session. */
  readonly keyOf: (caller: Caller) => string;
}

/**
 * One session with a server of the sessions' era that the relay holds for a client which knows nothing of sessions. It
 * belongs to one identity and serves one request at a time, so that whatever the server says belongs to that.
 */
export class HeldSession {
  readonly #deps: HeldSessionDeps;
  readonly #caller: Caller | undefined;
  #id: string | undefined;
  #version: string = LEGACY_VERSIONS[0];
  #stream: ResumableStream | undefined;
  #hear: Hear = IGNORE;
  #unasked: Hear = IGNORE;
  #nextId = 1;
  #level: string | undefined;
  #onLost: (() => void) | undefined;
  /** The server's answer to `initialize`. */
  described: Json = {};
  /** Not to be used again: the server has ended it, or may still say something about a request that was taken back. */
  lost = false;

  private constructor(deps: HeldSessionDeps, caller: Caller | undefined) {
    this.#deps = deps;
    this.#caller = caller;
  }

  /** @throws as `post` does */
  static async open(
    deps: HeldSessionDeps,
    { capabilities, clientInfo }: ClientFacts,
    from: From,
    signal: AbortSignal,
  ): Promise<HeldSession> {
    const session = new HeldSession(deps, from.caller);
    const params = { protocolVersion: LEGACY_VERSIONS[0], capabilities, clientInfo };
    const message = { jsonrpc: '2.0', id: 0, method: 'initialize', params };
    const asking = { ...from, signal, hear: IGNORE };
    const { result, sessionId } = await askServer(message, 'legacy', [], deps.link, asking);
    session.described = result;
    session.#id = sessionId;
    if (typeof result.protocolVersion === 'string') session.#version = result.protocolVersion;
    try {
      await session.#post({ jsonrpc: '2.0', method: 'notifications/initialized' }, asking);
      await session.#listen();
      return session;
    } catch (error) {
      void session.close();
      throw error;
    }
  }

  /** What the server says it has under this name; undefined: it has none. */
  offers(capability: string): Json | undefined {
    const all = this.described.capabilities;
    const offered = isRecord(all) ? all[capability] : undefined;
    return isRecord(offered) ? offered : undefined;
  }

  /**
   * @param asking `hear` takes everything that the server says until the answer, on whichever stream
   * @returns `result` of the answer
   * @throws as `post` does
   */
  async request(method: string, params: Json, asking: Asking): Promise<Json> {
    const id = this.#nextId++;
    const { signal, hear } = asking;
    const takeBack = () => {
      this.lost = true;
      void this.tell({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id } });
    };
    signal.addEventListener('abort', takeBack, { once: true });
    this.#hear = hear;
    try {
      const message = { jsonrpc: '2.0', id, method, params: withoutEnvelope(params) };
      return (await this.#post(message, asking)).result;
    } finally {
      this.#hear = this.#unasked;
      signal.removeEventListener('abort', takeBack);
    }
  }

  /** Hears what the server says between requests. */
  listen(hear: Hear): void {
    this.#unasked = hear;
    this.#hear = hear;
  }

  /** Resolves when the signal is aborted, or the server says nothing more in this session. */
  ended(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
      this.#onLost = resolve;
      if (signal.aborted || this.lost) resolve();
    });
  }

  /** Lets the server log from this level on; undefined: what it logs is nobody's. @throws as `post` does */
  async setLevel(level: unknown, asking: Asking): Promise<void> {
    if (typeof level !== 'string' || level === this.#level || this.offers('logging') === undefined) return;
    try {
      await this.request('logging/setLevel', { level }, asking);
    } catch (error) {
      // A server that logs as it likes may still do what it is asked.
      if (!(error instanceof ServerError)) throw error;
    }
    this.#level = level;
  }

  /** Sends a notification, or the answer to a request of the server. Never rejects. */
  async tell(message: Json): Promise<void> {
    const signal = AbortSignal.timeout(CLOSE_GRACE);
    await this.#post(message, { caller: this.#caller, signal, hear: IGNORE }).catch(() => {});
  }

  /** Ends the session. Resolves when the server knows, or after a short while. */
  async close(): Promise<void> {
    this.lost = true;
    this.#stream?.stop();
    if (this.#id === undefined) return;
    await endSession(this.#send, this.#headers(), this.#deps.link.limit);
  }

  /** What the server says on the session's own stream. Between requests there is nobody whom it could ask. */
  #receive(message: Json): void {
    if (this.#hear !== IGNORE) return void this.#hear(message);
    const { id, method } = message;
    if (id === undefined || method === undefined) return;
    const error = { code: METHOD_NOT_FOUND, message: 'no client is connected to answer this request' };
    void this.tell({ jsonrpc: '2.0', id, ...(method === 'ping' ? { result: {} } : { error }) });
  }

  #post(message: Json, asking: Asking) {
    return askServer(message, 'legacy', this.#headers(), this.#deps.link, asking);
  }

  readonly #send: SendInSession = (method, headers, body, handler) =>
    this.#deps.link.upstream.dispatch({ method, era: 'legacy', headers, body, caller: this.#caller }, handler);

  #headers(): string[] {
    return sessionHeaders({ id: this.#id, version: this.#version });
  }

  /** Some servers ask back on this stream, whichever request it is about, and lose the question where it is not open. */
  #listen(): Promise<void> {
    return new Promise((resolve) => {
      const late = setTimeout(resolve, STREAM);
      const opened = () => {
        clearTimeout(late);
        resolve();
      };
      const events = {
        opened,
        message: (_text: string, value: Json) => this.#receive(value),
        finished: (how: StreamEnd) => {
          if (how !== 'session_lost' && how !== 'unreachable') return;
          this.lost = true;
          this.#onLost?.();
        },
      };
      const stream = sessionStream(this.#send, () => this.#headers(), events, this.#deps.link);
      this.#stream = stream;
      stream.start();
    });
  }
}
