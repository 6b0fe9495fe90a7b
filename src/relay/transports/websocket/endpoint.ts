import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import { ownerKey } from '../../../identity/identity.ts';
import { upgradeResponse } from '../../../platform/websocket-upgrade.ts';
import type { Hold } from '../../gate/budgets/budgets.ts';
import type { Admitted } from '../../intake.ts';
import { type Refusal, sendRefusal } from '../../refusal.ts';
import type { Caller } from '../../trust/caller.ts';
import { admitConnection, refusedConnection } from '../channel/admission.ts';
import { type ConnectionDeps, drainAll } from '../channel/connection.ts';
import { DRAINING } from '../channel/refusals.ts';
import { matchTransport, type TransportPath } from '../streamable-http/route.ts';
import { WebSocketConnection } from './connection.ts';

const SUBPROTOCOL = 'mcp';

const NOT_FOUND: Refusal = {
  status: 404,
  reason: 'not_found',
  message: 'not found: WebSockets of MCP servers are at /servers/<name>/ws',
};
const NO_SUBPROTOCOL: Refusal = {
  status: 400,
  reason: 'subprotocol',
  message: 'offer the WebSocket subprotocol "mcp" (Sec-WebSocket-Protocol: mcp)',
};

/** WebSocket at `/servers/<name>/ws`. Every refusal is an HTTP answer, given before the protocol changes. */
export class WebSocketEndpoint {
  readonly #deps: ConnectionDeps;
  readonly #server: WebSocketServer;
  readonly #connections = new Set<WebSocketConnection>();
  #draining = false;

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: deps.config.relay.limits.maxBody,
      handleProtocols: () => SUBPROTOCOL,
    });
    // ws would answer a wrong handshake by itself, without a word in our log.
    this.#server.on('wsClientError', (error, socket, request) =>
      this.#refuse(request, socket as Socket, {
        status: request.method === 'GET' ? 400 : 405,
        reason: 'upgrade',
        message: `no WebSocket handshake (RFC 6455 §4.2.1): ${error.message}`,
      }),
    );
  }

  /** Never throws; the socket is taken over or answered and ended. */
  async upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const path = matchTransport(request.url ?? '');
    if (path?.transport !== 'ws') return this.#refuse(request, socket, NOT_FOUND, path);
    const admitted = await admitConnection(this.#deps.intake, request, path);
    if ('refusal' in admitted) return this.#refuse(request, socket, admitted.refusal, path, admitted.caller);
    const hold = this.#mayOpen(request, admitted);
    if ('status' in hold) return this.#refuse(request, socket, hold, path, admitted);
    // Before the protocol changes only the socket tells that nothing came of it.
    const gone = () => hold.release();
    if (socket.destroyed) return gone();
    socket.once('close', gone);
    this.#server.options.maxPayload = this.#deps.config.relay.limits.maxBody;
    this.#server.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off('close', gone);
      const connection = new WebSocketConnection(webSocket, socket, admitted, hold, this.#deps);
      this.#connections.add(connection);
      void connection.closed.then(() => this.#connections.delete(connection));
      if (this.#draining) connection.drain();
    });
  }

  /** Takes no new connection and no new request, closes each connection when its requests are answered, and all after `grace`. */
  async close(grace: number): Promise<void> {
    this.#draining = true;
    await drainAll([...this.#connections], grace);
  }

  #mayOpen(request: IncomingMessage, { identity }: Admitted): Hold | Refusal {
    if (this.#draining) return DRAINING;
    if (!offersMcp(request)) return NO_SUBPROTOCOL;
    return this.#deps.budgets.of(ownerKey(identity)).take({ streams: 1 });
  }

  #refuse(request: IncomingMessage, socket: Socket, refusal: Refusal, path?: TransportPath, caller?: Caller): void {
    refusedConnection(this.#deps.intake, request, path, refusal, caller);
    if (!socket.destroyed) sendRefusal(upgradeResponse(request, socket), refusal, null);
  }
}

function offersMcp(request: IncomingMessage): boolean {
  return (request.headers['sec-websocket-protocol'] ?? '').split(',').some((name) => name.trim() === SUBPROTOCOL);
}
