import { once } from 'node:events';
import { request as send } from 'node:http';
import { type ClientOptions, WebSocket } from 'ws';
import { type Answer, onEnd } from './relay.ts';

const HANDSHAKE = ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Version', '13'];

/** Sends a WebSocket handshake with exactly these headers beside its own; 101 where it was taken. */
export function handshake(
  port: number,
  headers: readonly string[],
  options: { path?: string; method?: string; protocol?: string; key?: string; host?: string } = {},
): Promise<Answer> {
  const { path = '/servers/one/ws', method = 'GET', protocol = 'mcp', key = 'dGhlIHNhbXBsZSBub25jZQ==' } = options;
  const { host = 'mcp.example.com' } = options;
  const all = ['Host', host, ...HANDSHAKE, 'Sec-WebSocket-Key', key, ...headers];
  if (protocol !== '') all.push('Sec-WebSocket-Protocol', protocol);
  return new Promise((resolve, reject) => {
    const request = send({ host: '127.0.0.1', port, path, method, headers: all, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text: '' });
    });
    request.on('error', reject);
    request.end();
  });
}

type Json = Record<string, unknown>;

/** A client that shows every frame. */
export class RawClient {
  readonly socket: WebSocket;
  readonly received: Json[] = [];
  /** Code and reason of the close. */
  readonly closed: Promise<[number, string]>;
  #next = 1;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.received.push(JSON.parse(String(data)) as Json));
    socket.on('error', () => {});
    this.closed = once(socket, 'close').then(([code, reason]) => [code as number, String(reason)]);
  }

  /** @returns the id */
  request(method: string, params: Json = {}): number {
    const id = this.#next++;
    this.socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return id;
  }

  notify(method: string, params: Json = {}): void {
    this.socket.send(JSON.stringify({ jsonrpc: '2.0', method, params }));
  }

  /** The first message that fits, past or to come. */
  async find(fits: (message: Json) => boolean): Promise<Json> {
    for (;;) {
      const found = this.received.find(fits);
      if (found !== undefined) return found;
      await once(this.socket, 'message');
    }
  }

  answerTo(id: number): Promise<Json> {
    return this.find((message) => message.id === id && message.method === undefined);
  }

  async initialize(): Promise<Json> {
    const id = this.request('initialize', {
      protocolVersion: '2025-06-18',
      capabilities: {},
      clientInfo: { name: 'raw', version: '1' },
    });
    const answer = await this.answerTo(id);
    this.notify('notifications/initialized');
    return answer;
  }
}

export async function openWebSocket(port: number, user = 'alice', options: ClientOptions = {}): Promise<RawClient> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/servers/one/ws`, 'mcp', {
    ...options,
    headers: { 'X-Authenticated-User': user, ...options.headers },
  });
  onEnd(() => socket.terminate());
  const client = new RawClient(socket);
  await once(socket, 'open');
  return client;
}
