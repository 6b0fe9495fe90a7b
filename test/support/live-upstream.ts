import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

/** What stands in the relay's place where a test looks at the proxy alone: a WebSocket echo and an event stream. */
export interface LiveUpstream {
  readonly port: number;
  /** Headers of the last request, by lower-case name. */
  readonly last: () => Readonly<Record<string, string | string[] | undefined>>;
  readonly count: () => number;
  /** Writes one event to every open stream. */
  send(event: string): void;
  stop(): Promise<void>;
}

export async function startLiveUpstream(): Promise<LiveUpstream> {
  const streams = new Set<ServerResponse>();
  let last = {};
  let count = 0;
  const server = createServer((request, response) => {
    last = request.headers;
    count += 1;
    if (!request.url?.includes('/events')) return response.end('reached');
    streams.add(response);
    response.on('close', () => streams.delete(response));
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache' });
    return response.write('data: opened\n\n');
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) => {
    last = request.headers;
    count += 1;
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    last: () => last,
    count: () => count,
    send: (event) => {
      for (const stream of streams) stream.write(`data: ${event}\n\n`);
    },
    stop: () =>
      new Promise((resolve) => {
        for (const socket of sockets.clients) socket.terminate();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
