import { createHash } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

/** One request as it came, headers in lower case. */
export interface RawRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export interface RawServer {
  readonly port: number;
  close(): Promise<void>;
}

/** A server of which the test writes every byte. @param onRequest what comes after an upgrade is left to it */
export async function rawServer(onRequest: (request: RawRequest, socket: Socket) => void): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    let held: Buffer = Buffer.alloc(0);
    const read = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      for (let next = take(held); next !== undefined; next = take(held)) {
        held = next.rest;
        if (next.request.headers.has('upgrade')) socket.off('data', read);
        onRequest(next.request, socket);
      }
    };
    socket.on('data', read);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function take(held: Buffer): { request: RawRequest; rest: Buffer } | undefined {
  const end = held.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const [first = '', ...lines] = held.toString('latin1', 0, end).split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const size = Number(headers.get('content-length') ?? 0);
  const start = end + 4;
  if (held.length < start + size) return undefined;
  const [method = '', path = ''] = first.split(' ');
  return {
    request: { method, path, headers, body: held.toString('utf8', start, start + size) },
    rest: held.subarray(start + size),
  };
}

/** The response to a WebSocket handshake (RFC 6455 §4.2.2). */
export function switchingProtocols(request: RawRequest, extra = ''): string {
  const accept = createHash('sha1')
    .update(`${request.headers.get('sec-websocket-key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest('base64');
  return (
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: mcp\r\n${extra}\r\n`
  );
}

/** A frame of a server: never masked. @param head the first byte: FIN, RSV and opcode */
export function frame(head: number, payload: Buffer | string): Buffer {
  const body = Buffer.from(payload);
  const length =
    body.length < 126
      ? Buffer.from([body.length])
      : body.length < 65_536
        ? Buffer.from([126, body.length >> 8, body.length & 0xff])
        : Buffer.concat([Buffer.from([127, 0, 0, 0, 0]), uint32(body.length)]);
  return Buffer.concat([Buffer.from([head]), length, body]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** The text of a client's frames, of which each holds one message. */
export function unmasked(chunk: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at + 6 <= chunk.length; ) {
    const short = (chunk[at + 1] as number) & 0x7f;
    const [size, head] = short < 126 ? [short, 2] : short === 126 ? [chunk.readUInt16BE(at + 2), 4] : [0, chunk.length];
    const mask = chunk.subarray(at + head, at + head + 4);
    const body = Buffer.from(chunk.subarray(at + head + 4, at + head + 4 + size));
    for (let index = 0; index < body.length; index++)
      body[index] = (body[index] as number) ^ (mask[index % 4] as number);
    if (((chunk[at] as number) & 0x0f) === 1) texts.push(body.toString());
    at += head + 4 + size;
  }
  return texts;
}
