import { type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { tooManyFields } from './http.ts';
import type { Logger } from './log.ts';

/** Milliseconds in which a refused client may take its answer. */
const LINGER = 2_000;

/**
 * Listens for WebSocket upgrades. Node then hands over a request with any `Upgrade` at all, while a server may ignore one
 * that it does not know (RFC 9110 §7.8): Java's HTTP client offers `h2c` with every request. Such a request is given back
 * to the server without that field.
 *
 * @param listener takes the socket over, or answers and ends it; where it fails, that connection alone ends
 */
export function onWebSocketUpgrade(
  server: Server,
  listener: (request: IncomingMessage, socket: Socket, head: Buffer) => unknown,
  log?: Pick<Logger, 'error'>,
): void {
  server.on('upgrade', (request: IncomingMessage, duplex, head: Buffer) => {
    const socket = duplex as Socket & { _httpMessage?: ServerResponse | null };
    // Sent behind a request that is not answered yet: two answers would be mixed on one connection (RFC 9112 §9.3.2).
    if (socket._httpMessage) return void socket.destroy();
    // Refused by what answers every other request.
    if (isWebSocket(request) && !tooManyFields(request)) {
      socket.on('error', () => socket.destroy());
      new Promise((resolve) => resolve(listener(request, socket, head))).catch((error: unknown) => {
        log?.error({ error }, 'a connection failed');
        socket.destroy();
      });
      return;
    }
    socket.unshift(Buffer.concat([headWithoutUpgrade(request), head]));
    server.emit(socket instanceof TLSSocket ? 'secureConnection' : 'connection', socket);
  });
}

/** For an ordinary HTTP answer to an upgrade; the connection ends with it. */
export function upgradeResponse(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => {
    socket.destroySoon();
    setTimeout(() => socket.destroy(), LINGER).unref();
  });
  return response;
}

function isWebSocket(request: IncomingMessage): boolean {
  return (request.headers.upgrade ?? '').split(',').some((name) => name.trim().toLowerCase() === 'websocket');
}

function headWithoutUpgrade({ method, url, httpVersion, rawHeaders }: IncomingMessage): Buffer {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2)
    if (rawHeaders[i]?.toLowerCase() !== 'upgrade') text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  return Buffer.from(`${text}\r\n`, 'latin1');
}
