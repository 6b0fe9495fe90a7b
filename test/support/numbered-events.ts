import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds between two events of a session. */
const BETWEEN = 200;
/** Milliseconds that the tool `slow` takes. */
const SLOW = 1_500;

/**
 * An MCP server of the session era whose standing stream numbers its events from the start of the session, and goes on after
 * `Last-Event-ID`: a gap in the numbers is a lost message.
 *
 * @param port absent: a free one
 */
export async function startNumberedEvents(
  port = 0,
  host = '127.0.0.1',
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const sessions = new Map<string, number>();
  const server = createServer(async (request, response) => {
    const id = String(request.headers['mcp-session-id'] ?? '');
    if (request.method === 'GET') return stream(sessions.get(id), request.headers['last-event-id'], response);
    if (request.method !== 'POST') return response.writeHead(200).end();
    const message = JSON.parse(await text(request)) as { id?: number; method: string; params?: { name?: string } };
    if (message.id === undefined) return response.writeHead(202).end();
    if (message.method === 'initialize') {
      const session = randomUUID();
      sessions.set(session, performance.now());
      const result = {
        protocolVersion: '2025-06-18',
        capabilities: { tools: {}, logging: {} },
        serverInfo: { name: 'numbered-events', version: '1.0.0' },
      };
      return answer(response, message.id, result, { 'Mcp-Session-Id': session });
    }
    if (!sessions.has(id)) return response.writeHead(404).end();
    if (message.params?.name === 'slow') await sleep(SLOW);
    return answer(response, message.id, { content: [{ type: 'text', text: 'done' }] });
  });
  // As long as proxies wait: what is asked for here is not whether a server may end a connection that is just used again.
  server.keepAliveTimeout = 75_000;
  server.listen(port, host);
  await once(server, 'listening');
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}/mcp`,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(response: ServerResponse, id: number, result: object, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
}

/** @param last number of the event after which it goes on; absent: from now on */
function stream(start: number | undefined, last: string | string[] | undefined, response: ServerResponse): void {
  if (start === undefined) return void response.writeHead(404).end();
  const due = () => Math.floor((performance.now() - start) / BETWEEN);
  let number = last === undefined ? due() : Number(last);
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  const send = () => {
    while (number < due()) {
      number += 1;
      const params = { level: 'info', data: number };
      const data = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/message', params });
      response.write(`id: ${number}\ndata: ${data}\n\n`);
    }
  };
  response.flushHeaders();
  const sending = setInterval(send, BETWEEN);
  response.once('close', () => clearInterval(sending));
}
