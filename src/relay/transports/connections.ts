import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from '../../platform/log.ts';
import { onWebSocketUpgrade } from '../../platform/websocket-upgrade.ts';
import { type HttpSseDeps, HttpSseEndpoint } from './http-sse/endpoint.ts';
import { matchTransport } from './streamable-http/route.ts';
import type { SessionSeal } from './streamable-http/sealed-session.ts';
import { WebSocketEndpoint } from './websocket/endpoint.ts';

/** The transports that hold one long connection for each client: WebSocket, and HTTP+SSE of 2024-11-05. */
export class Connections {
  readonly #webSocket: WebSocketEndpoint;
  readonly #httpSse: HttpSseEndpoint;
  readonly #log: Logger;

  constructor(seal: SessionSeal, deps: HttpSseDeps) {
    this.#webSocket = new WebSocketEndpoint(deps);
    this.#httpSse = new HttpSseEndpoint(seal, deps);
    this.#log = deps.log;
  }

  /** @returns undefined where the request is none of these transports; otherwise resolves when it has been answered */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void> | undefined {
    const path = matchTransport(request.url ?? '');
    return path && this.#httpSse.handle(request, response, path);
  }

  listenOn(server: Server): void {
    onWebSocketUpgrade(server, (request, socket, head) => this.#webSocket.upgrade(request, socket, head), this.#log);
  }

  /** @param grace milliseconds for running requests */
  async close(grace: number): Promise<void> {
    await Promise.all([this.#webSocket.close(grace), this.#httpSse.close(grace)]);
  }
}
