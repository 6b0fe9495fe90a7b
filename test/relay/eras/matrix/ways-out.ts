import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { createMcpHandler, type McpServer, type Transport } from '@modelcontextprotocol/server';
import { WebSocketServer } from 'ws';
import { onEnd } from '../../support/relay.ts';
import { matrixServer, onChanges, WATCHED } from './server.ts';

/** How the relay reaches a server: what is configured for it. */
type WayOut = (folder: string) => Promise<Record<string, unknown>>;

const PROGRAM = ['--import', 'tsx', fileURLToPath(new URL('./program.ts', import.meta.url))] as const;

/** Servers of both eras by every transport that each of them has. */
export const WAYS_OUT: Readonly<Record<string, WayOut>> = {
  'legacy streamable HTTP': async (folder) => ({ url: `${await listen(createServer(sessions(folder)))}/mcp` }),
  'modern streamable HTTP': async (folder) => {
    const handler = createMcpHandler(() => matrixServer('modern', folder), { legacy: 'reject' });
    const serve = toNodeHandler(handler);
    const watch = onChanges(folder, () => {
      handler.notify.toolsChanged();
      handler.notify.resourceUpdated(WATCHED);
    });
    onEnd(() => clearInterval(watch));
    const listener: RequestListener = (request, response) => {
      const { method = '', url = '' } = request;
      void serve(Object.assign(request, { method, url }), response);
    };
    return { url: `${await listen(createServer(listener))}/mcp` };
  },
  stdio: async (folder) => ({ command: process.execPath, args: [...PROGRAM, folder] }),
  'HTTP+SSE': async (folder) => ({ url: `${await listen(createServer(httpSse(folder)))}/sse`, transport: 'http-sse' }),
  WebSocket: async (folder) => {
    const server = createServer();
    const sockets = new WebSocketServer({ server, handleProtocols: () => 'mcp' });
    // The program of above, each of whose lines is a frame.
    sockets.on('connection', (socket) => {
      const child = spawn(process.execPath, [...PROGRAM, folder], { stdio: ['pipe', 'pipe', 'inherit'] });
      socket.on('message', (data) => child.stdin.write(`${String(data)}\n`));
      socket.on('close', () => child.stdin.end());
      createInterface({ input: child.stdout }).on('line', (line) => socket.send(line));
    });
    onEnd(() => {
      for (const socket of sockets.clients) socket.terminate();
    });
    return { url: (await listen(server)).replace('http', 'ws') };
  },
};

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Tells every session of what has changed. */
function telling(folder: string, servers: () => Iterable<McpServer>): void {
  const watch = onChanges(folder, () => {
    for (const server of servers()) {
      server.sendToolListChanged();
      void server.server.sendResourceUpdated({ uri: WATCHED });
    }
  });
  onEnd(() => clearInterval(watch));
}

/** One server for each session. */
function sessions(folder: string): RequestListener {
  const open = new Map<string, { server: McpServer; transport: NodeStreamableHTTPServerTransport }>();
  telling(folder, () => [...open.values()].map(({ server }) => server));
  return async (request: IncomingMessage, response: ServerResponse) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? open.get(id) : undefined;
    if (known !== undefined) return void known.transport.handleRequest(request, response);
    if (id !== undefined) return void response.writeHead(404).end();
    const server = matrixServer('legacy', folder);
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (session) => void open.set(session, { server, transport }),
      onsessionclosed: (session) => void open.delete(session),
    });
    await server.connect(transport);
    await transport.handleRequest(request, response);
  };
}

/** The transport of 2024-11-05, which only the first package has. */
function httpSse(folder: string): RequestListener {
  const open = new Map<string, { server: McpServer; transport: SSEServerTransport }>();
  telling(folder, () => [...open.values()].map(({ server }) => server));
  return async (request, response) => {
    if (request.method === 'POST') {
      const session = new URL(request.url ?? '', 'http://localhost').searchParams.get('sessionId');
      return void open.get(session ?? '')?.transport.handlePostMessage(request, response);
    }
    const server = matrixServer('legacy', folder);
    const transport = new SSEServerTransport('/messages', response);
    open.set(transport.sessionId, { server, transport });
    response.on('close', () => open.delete(transport.sessionId));
    await server.connect(transport as Transport);
  };
}
