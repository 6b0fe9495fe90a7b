import type { ServerResponse } from 'node:http';
import { type Dispatcher, Pool } from 'undici';
import type { RelayConfig } from '../../platform/config/schema.ts';
import type { readUpstreamTls } from '../../platform/tls.ts';
import type { McpMethod } from '../transports/streamable-http/route.ts';
import { type RelayEvents, ResponseRelay, type StreamTimes } from './response-relay.ts';

export interface UpstreamRequest {
  readonly method: McpMethod;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Buffer | null;
}

type UpstreamCredentials = ReturnType<typeof readUpstreamTls>;

const CONNECT_TIMEOUT = 10_000;

/** One MCP server and the connections to it. */
export class Upstream {
  readonly #path: string;
  readonly #timeout: number;
  readonly #idle: number;
  readonly #times: StreamTimes;
  /** Streams have connections of their own: a pool looks for a free one by walking over all of them. */
  readonly #calls: Pool;
  readonly #streams: Pool;

  /**
   * @param idle milliseconds of silence after which a stream is given up
   * @param keepAlive milliseconds of silence after which the client gets a comment line
   * @param tls what is shown to and expected from a server with https
   */
  constructor(server: RelayConfig['servers'][string], idle: number, keepAlive = 25_000, tls: UpstreamCredentials = {}) {
    const url = new URL(server.url);
    this.#path = url.pathname + url.search;
    this.#timeout = server.timeout;
    this.#idle = idle;
    this.#times = { keepAlive, stalled: idle };
    const options = { connect: { timeout: Math.min(CONNECT_TIMEOUT, server.timeout), ...tls }, pipelining: 1 };
    this.#calls = new Pool(url.origin, options);
    this.#streams = new Pool(url.origin, options);
  }

  /** Sends the request and passes the answer on into `response`. */
  forward(request: UpstreamRequest, response: ServerResponse, events: RelayEvents): void {
    this.dispatch(request, new ResponseRelay(response, events, this.#times));
  }

  /** Sends the request and hands the answer to `handler` piece by piece. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const pool = request.method === 'GET' ? this.#streams : this.#calls;
    pool.dispatch(
      {
        path: this.#path,
        method: request.method,
        headers: request.headers,
        body: request.body,
        headersTimeout: this.#timeout,
        bodyTimeout: this.#idle,
      },
      handler,
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.#calls.destroy(), this.#streams.destroy()]);
  }
}
