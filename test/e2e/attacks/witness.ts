import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as it arrived, nothing joined and nothing dropped. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  /** Known once the body has ended. */
  rawTrailers: readonly string[];
}

/** An application behind the proxy that only remembers. It parses as strictly as the relay does. */
export async function startWitness() {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    const one: Seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      rawHeaders: request.rawHeaders,
      rawTrailers: [],
    };
    seen.push(one);
    request.resume().on('end', () => {
      one.rawTrailers = request.rawTrailers;
      response.end('reached');
    });
  });
  // As on the relay: whatever a header's number, none is dropped.
  server.maxHeadersCount = 0;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Every value of a header, in the order of arrival. */
export function valuesOf(raw: readonly string[], name: string): string[] {
  return raw.filter((_value, at) => at % 2 === 1 && raw[at - 1]?.toLowerCase() === name.toLowerCase());
}

/** Names as received, without the values. */
export function namesOf(raw: readonly string[]): string[] {
  return raw.filter((_name, at) => at % 2 === 0);
}
