import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Logger } from '../../platform/log.ts';
import { onWebSocketUpgrade } from '../../platform/upgrades.ts';
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

  /** @returns whether the request was one of these transports and is being answered */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const path = matchTransport(request.url ?? '');
    if (path === undefined) return false;
    this.#httpSse.handle(request, response, path).catch((error: unknown) => this.#failed(error, response));
    return true;
  }

  listenOn(server: Server): void {
    onWebSocketUpgrade(server, (request, socket, head) => {
      this.#webSocket.upgrade(request, socket, head).catch((error: unknown) => this.#failed(error, socket));
    });
  }

  /** One connection may fail; the others must not notice. */
  #failed(error: unknown, connection: ServerResponse | Socket): void {
    this.#log.error({ error }, 'a connection failed');
    connection.destroy();
  }

  /** @param grace milliseconds for running requests */
  async close(grace: number): Promise<void> {
    await Promise.all([this.#webSocket.close(grace), this.#httpSse.close(grace)]);
  }
}
