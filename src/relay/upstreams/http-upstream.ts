import { type Dispatcher, Pool } from 'undici';
import { outboundConnector } from '../../platform/outbound/connections.ts';
import type { readUpstreamTls } from '../../platform/tls.ts';
import type { OutgoingHeaders } from '../credentials/outgoing-headers.ts';
import { Cancelled } from '../protocol/failures.ts';
import { writeJson } from '../protocol/json.ts';
import { isId } from '../protocol/json-rpc.ts';
import { AuthorizedDispatch } from './authorized-dispatch.ts';
import { CancellingHandler } from './cancelling-handler.ts';
import { guarded } from './guarded-handler.ts';
import { PacedHandler } from './paced-handler.ts';
import { type OnServerRefusal, RefusalReader } from './refusal-reason.ts';
import { type HttpServer, messageOf, type UpstreamRequest } from './upstream.ts';
import { headerOf } from './upstream-request.ts';

type UpstreamCredentials = ReturnType<typeof readUpstreamTls>;

const CONNECT_TIMEOUT = 10_000;
/** For a notification that nobody waits for. */
const CLOSE_GRACE = 1_000;
const DONE = new Error('what comes of a notification is not wanted');

/** A server that is reached by streamable HTTP, and the connections to it. */
export class HttpUpstream implements HttpServer {
  readonly #path: string;
  readonly #timeout: number;
  readonly #idle: number;
  readonly #outgoing: OutgoingHeaders | undefined;
  readonly #onRefusal: OnServerRefusal;
  /** Streams have connections of their own: a pool looks for a free one by walking over all of them. */
  readonly #calls: Pool;
  readonly #streams: Pool;

  /**
   * @param server its address, and milliseconds until response headers must have come
   * @param idle milliseconds of silence after which a stream is given up
   * @param tls what is shown to and expected from a server with https
   * @param outgoing what goes with every request beside what the protocol needs
   * @param onRefusal told of each refusal of the server, with its reason
   */
  constructor(
    server: { readonly url: string; readonly timeout: number },
    idle: number,
    tls: UpstreamCredentials = {},
    outgoing?: OutgoingHeaders,
    onRefusal: OnServerRefusal = () => {},
  ) {
    this.#outgoing = outgoing;
    this.#onRefusal = onRefusal;
    const url = new URL(server.url);
    this.#path = url.pathname + url.search;
    this.#timeout = server.timeout;
    this.#idle = idle;
    const connect = outboundConnector({ timeout: Math.min(CONNECT_TIMEOUT, server.timeout), ...tls });
    const options = { connect, pipelining: 1 };
    this.#calls = new Pool(url.origin, options);
    this.#streams = new Pool(url.origin, options);
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    if (this.#outgoing === undefined) return void this.#send(request, request.headers, handler);
    const send = (headers: string[], answered: Dispatcher.DispatchHandler) => this.#send(request, headers, answered);
    new AuthorizedDispatch(this.#outgoing, request, send, handler).begin();
  }

  #send(request: UpstreamRequest, headers: string[], handler: Dispatcher.DispatchHandler): void {
    const pool = request.method === 'GET' ? this.#streams : this.#calls;
    const added = headers.slice(request.headers.length);
    const read = guarded(new RefusalReader(handler, added, this.#onRefusal));
    const answered = new CancellingHandler(new PacedHandler(read), (why) => this.#takeBack(request, headers, why));
    pool.dispatch(
      {
        path: this.#path,
        method: request.method,
        headers,
        body: request.body,
        headersTimeout: this.#timeout,
        bodyTimeout: this.#idle,
      },
      answered,
    );
  }

  /** A session goes on when the connection of one of its requests ends, and so does that request (2025-11-25, transports). */
  #takeBack({ era, method, ...request }: UpstreamRequest, headers: string[], { reason }: Cancelled): void {
    if (era !== 'legacy' || method !== 'POST' || headerOf(headers, 'mcp-session-id') === undefined) return;
    const { id, method: asked } = messageOf(request);
    if (!isId(id) || asked === undefined) return;
    const body = Buffer.from(writeJson(Cancelled.notification(id, reason)));
    const limits = { headersTimeout: CLOSE_GRACE, bodyTimeout: CLOSE_GRACE };
    const ignored = { onResponseStart: (controller: Dispatcher.DispatchController) => controller.abort(DONE) };
    this.#calls.dispatch({ path: this.#path, method, headers, body, ...limits }, guarded(ignored));
  }

  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#streams.destroy()]);
  }
}
