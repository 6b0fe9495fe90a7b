import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';

/** One request as it arrived, nothing joined and nothing dropped. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
  /** Known once the body has ended. */
  rawTrailers: readonly string[];
}

/** Bytes, as at the relay. */
const MAX_HEADER_SIZE = 64 * 1024;

/** A server that only tells what it sees. It parses as strictly as the relay does. */
export function createWitness(onSeen: (one: Seen) => void, tls?: ServerOptions): Server {
  const remember = (request: IncomingMessage, response: ServerResponse) => {
    const one: Seen = {
      method: request.method ?? '',
      url: request.url ?? '',
      rawHeaders: request.rawHeaders,
      rawTrailers: [],
    };
    onSeen(one);
    request.resume().on('end', () => {
      one.rawTrailers = request.rawTrailers;
      response.end('reached');
    });
  };
  const limits = { maxHeaderSize: MAX_HEADER_SIZE };
  const server = tls === undefined ? createServer(limits, remember) : createTlsServer({ ...limits, ...tls }, remember);
  // As on the relay: whatever a header's number, none is dropped.
  server.maxHeadersCount = 0;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });
  return server;
}

/** Has a witness read what others say to each other. */
export function readAlong(witness: Server): { write(chunk: Buffer): void; end(): void } {
  const copy = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() });
  // What follows an upgrade is no HTTP.
  copy.on('error', () => {});
  witness.emit('connection', copy);
  return {
    write: (chunk) => void (copy.destroyed || copy.push(chunk)),
    end: () => void copy.destroy(),
  };
}

/** An application behind the proxy. */
export async function startWitness(tls?: ServerOptions) {
  const seen: Seen[] = [];
  const server = createWitness((one) => seen.push(one), tls);
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
