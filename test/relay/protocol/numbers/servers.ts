import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { onEnd, upstream } from '../../support/relay.ts';
import { answerTo } from './raw-server.ts';

const PROGRAM = fileURLToPath(new URL('./raw-server.ts', import.meta.url));

/** Every kind of server, each of which sends numbers back as the text that came. */
export const SERVERS: Readonly<Record<string, () => Promise<Record<string, unknown>>>> = {
  'legacy streamable HTTP': async () => ({ url: await upstream(streamable('legacy')) }),
  'modern streamable HTTP': async () => ({ url: await upstream(streamable('modern')) }),
  stdio: async () => ({ command: process.execPath, args: ['--import', 'tsx', PROGRAM, 'program'] }),
  WebSocket: async () => {
    const server = createServer();
    const sockets = new WebSocketServer({ server, handleProtocols: () => 'mcp' });
    sockets.on('connection', (socket) =>
      socket.on('message', (data) => {
        const answer = answerTo(String(data), 'legacy');
        if (answer !== undefined) socket.send(answer);
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onEnd(() => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
    });
    return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}` };
  },
  'HTTP+SSE': async () => {
    let stream: ServerResponse | undefined;
    const url = await upstream((request, response) => {
      if (request.method === 'POST')
        return void read(request, (text) => {
          response.writeHead(202).end();
          const answer = answerTo(text, 'legacy');
          if (answer !== undefined) stream?.write(`event: message\ndata: ${answer}\n\n`);
        });
      stream = response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      stream.write('event: endpoint\ndata: /messages\n\n');
    });
    return { url: url.replace('/mcp', '/sse'), transport: 'http-sse' };
  },
};

function streamable(era: 'legacy' | 'modern'): RequestListener {
  return (request, response) => {
    if (request.method !== 'POST') return void response.writeHead(request.method === 'GET' ? 405 : 200).end();
    read(request, (text) => {
      const answer = answerTo(text, era);
      if (answer === undefined) return void response.writeHead(202).end();
      const session = era === 'legacy' ? { 'Mcp-Session-Id': 'raw' } : {};
      response.writeHead(200, { 'Content-Type': 'application/json', ...session }).end(answer);
    });
  };
}

function read(request: IncomingMessage, take: (text: string) => void): void {
  let text = '';
  request.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  request.on('end', () => take(text));
}
