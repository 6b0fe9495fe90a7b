import { createServer as createHttpServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { WebSocketServer } from 'ws';
import { onEnd } from '../../support/relay.ts';
import { scriptedServer } from '../../support/scripted-server.ts';

export interface ToolRequest {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
}

/** What a server says when it gets this message: each text is one message as it goes over the wire. */
export type Says = (asked: ToolRequest) => readonly string[];

/** A server in the hands of a test, by how the relay reaches it. @returns its configuration */
export const SERVERS = {
  'a program': program,
  'a WebSocket server': webSocket,
  'an HTTP+SSE server': httpSse,
  'a server with sessions': (says: Says) => streamableHttp(says, 'legacy'),
  'a server without sessions': (says: Says) => streamableHttp(says, 'modern'),
} satisfies Record<string, (says: Says) => Promise<Record<string, unknown>>>;

/** Joins its input and output to a port of this process. */
const JOINED =
  'const socket = require("node:net").connect(Number(process.argv[1]), "127.0.0.1");' +
  'process.stdin.pipe(socket).pipe(process.stdout);';

async function program(says: Says) {
  const server = createServer((socket) => {
    onEnd(() => socket.destroy());
    socket.on('error', () => {});
    createInterface({ input: socket }).on('line', (line) => {
      for (const text of says(JSON.parse(line))) socket.write(`${text}\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { command: process.execPath, args: ['-e', JOINED, String(port)] };
}

async function webSocket(says: Says) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'mcp' });
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data) => {
      for (const text of says(JSON.parse(String(data)))) socket.send(text);
    });
  });
  await new Promise((resolve) => server.once('listening', resolve));
  onEnd(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/mcp` };
}

async function httpSse(says: Says) {
  const streams: ServerResponse[] = [];
  const server = createHttpServer((request, response) => {
    if (request.method === 'GET') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      return void response.write(`event: endpoint\ndata: /messages/${streams.push(response) - 1}\n\n`);
    }
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      response.writeHead(202).end();
      const stream = streams[Number(request.url?.split('/').at(-1))];
      for (const text of says(JSON.parse(body))) stream?.write(`event: message\ndata: ${text}\n\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/sse`, transport: 'http-sse' };
}

async function streamableHttp(says: Says, era: 'legacy' | 'modern') {
  const session = era === 'legacy' ? { 'Mcp-Session-Id': 'session-of-the-server' } : {};
  const { url } = await scriptedServer({
    post: (message, response) => {
      const texts = says(message);
      if (message.id === undefined) return Boolean(response.writeHead(202).end());
      response.writeHead(200, { 'Content-Type': 'text/event-stream', ...session });
      response.end(texts.map((text) => `data: ${text}\n\n`).join(''));
      return true;
    },
  });
  return { url, era };
}
