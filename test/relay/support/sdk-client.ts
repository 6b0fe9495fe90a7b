import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { WebSocket } from 'ws';
import { onEnd } from './relay.ts';

/** A WebSocket as Node 22 and browsers have one, which also sends what a proxy would add. */
function webSocketOf(user: string): typeof globalThis.WebSocket {
  return class extends WebSocket {
    constructor(url: string | URL, protocols?: string | string[]) {
      super(url, protocols, { headers: { 'X-Authenticated-User': user } });
    }
  } as unknown as typeof globalThis.WebSocket;
}

/** Where the transports of a server are; `*`: those of all as one. */
function below(server = 'one'): string {
  return server === '*' ? '' : `/servers/${server}`;
}

/** The official client's transports, as the user that a proxy would name. */
export const TRANSPORTS = {
  websocket: (port: number, user: string, server?: string): Transport => {
    globalThis.WebSocket = webSocketOf(user);
    return new WebSocketClientTransport(new URL(`ws://127.0.0.1:${port}${below(server)}/ws`)) as Transport;
  },
  'http-sse': (port: number, user: string, server?: string): Transport =>
    new SSEClientTransport(new URL(`http://127.0.0.1:${port}${below(server)}/sse`), {
      requestInit: { headers: { 'X-Authenticated-User': user } },
    }) as Transport,
} as const;

export function sdkClient(): Client {
  const client = new Client(
    { name: 'test', version: '1.0.0' },
    { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } },
  );
  onEnd(() => client.close());
  return client;
}

/** Connected over streamable HTTP, with a credential of the client's own that no server may see. */
export async function connectAs(url: string, user: string): Promise<Client> {
  const client = sdkClient();
  const requestInit = { headers: { 'X-Authenticated-User': user, Authorization: 'Bearer of-the-client' } };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }) as Transport);
  return client;
}
