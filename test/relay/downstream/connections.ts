import { once } from 'node:events';
import { type IncomingMessage, request as send } from 'node:http';
import { WebSocket } from 'ws';
import { ACCEPT, INITIALIZE, INITIALIZED, USER } from '../protocol/numbers/clients.ts';
import { ask, onEnd } from '../support/relay.ts';

/** One client with an open session, in the hands of a test. */
export interface Connection {
  /** Sends a message without waiting for what comes of it. */
  send(message: string): void;
  /** All that has come back. */
  readonly text: string;
}

/** @param capabilities of the client */
export type Connect = (port: number, path: string, capabilities?: object) => Promise<Connection>;

function initialize(capabilities: object = {}): string {
  return INITIALIZE.replace('"capabilities":{}', `"capabilities":${JSON.stringify(capabilities)}`);
}

/** Clients of the sessions' era, by the transports that they have. */
export const CONNECTIONS: Readonly<Record<string, Connect>> = {
  'streamable HTTP': async (port, path, capabilities) => {
    const post = (body: string, headers: string[] = []) =>
      ask(port, { path: `${path}/mcp`, headers: [...USER, ...ACCEPT, ...headers], body });
    const session = String((await post(initialize(capabilities))).headers['mcp-session-id']);
    const headers = ['Mcp-Session-Id', session, 'MCP-Protocol-Version', '2025-06-18'];
    await post(INITIALIZED, headers);
    let text = '';
    const all = [...USER, ...ACCEPT, ...headers, 'Host', 'mcp.example.com', 'Content-Type', 'application/json'];
    return {
      send: (message) => {
        const length = ['Content-Length', String(Buffer.byteLength(message))];
        const options = { host: '127.0.0.1', port, path: `${path}/mcp`, method: 'POST', agent: false };
        const request = send({ ...options, headers: [...all, ...length] }, (response) => {
          response.on('error', () => {});
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () => {
            text += '\n';
          });
        });
        request.on('error', () => {});
        request.end(message);
      },
      get text() {
        return text;
      },
    };
  },
  WebSocket: async (port, path, capabilities) => {
    const headers = { 'X-Authenticated-User': 'alice' };
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}/ws`, 'mcp', { headers });
    onEnd(() => socket.terminate());
    await once(socket, 'open');
    socket.send(initialize(capabilities));
    await once(socket, 'message');
    socket.send(INITIALIZED);
    const came: string[] = [];
    socket.on('message', (data) => came.push(String(data)));
    return {
      send: (message) => socket.send(message),
      get text() {
        return came.join('\n');
      },
    };
  },
  'HTTP+SSE': async (port, path, capabilities) => {
    const headers = ['Host', 'mcp.example.com', ...USER, 'Accept', 'text/event-stream'];
    const request = send({ host: '127.0.0.1', port, path: `${path}/sse`, headers, agent: false }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    onEnd(() => response.destroy());
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    response.on('error', () => {});
    while (!text.includes('\n\n')) await once(response, 'data');
    const endpoint = /data: (\S+)/.exec(text)?.[1] as string;
    const post = (body: string) => ask(port, { path: endpoint, headers: USER, body });
    await post(initialize(capabilities));
    while (!text.includes('"protocolVersion"')) await once(response, 'data');
    await post(INITIALIZED);
    text = '';
    return {
      send: (message) => void post(message).catch(() => {}),
      get text() {
        return text;
      },
    };
  },
};
