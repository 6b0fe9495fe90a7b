import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { freePorts } from '../test/support/free-port.ts';
import { SERVER_CORE, startTarget, type Target } from './target.ts';

const USER = { 'X-Authenticated-User': 'alice' };
const JSON_TYPE = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };
const INITIALIZE = message(1, 'initialize', {
  ...{ protocolVersion: '2025-06-18', capabilities: {} },
  clientInfo: { name: 'bench', version: '1' },
});
const INITIALIZED = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' });
/** Opened at a time. */
const AT_ONCE = 20;

/** What one kind of stream costs the relay. */
export interface StreamMemory {
  readonly kind: string;
  /** Bytes of the process, before the streams and with all of them open. */
  readonly before: number;
  readonly after: number;
}

interface Relay extends Target {
  readonly port: number;
  residentBytes(): Promise<number>;
}

/** How a client opens one stream of each kind. Resolves once something has come through it, to what ends it. */
const KINDS: Readonly<Record<string, (port: number) => Promise<() => void>>> = {
  'GET stream': (port) => stream(port, 'GET', '/servers/one/mcp'),
  'streamed POST': (port) => stream(port, 'POST', '/servers/one/mcp', message(2, 'tools/call', { name: 'endless' })),
  'HTTP+SSE': openHttpSse,
  WebSocket: openWebSocket,
};

/**
 * Memory of the relay with `count` open streams of each kind, each with a stream to the MCP server behind it.
 *
 * @param entry the `postern` command
 */
export async function streamMemory(entry: string, count: number): Promise<StreamMemory[]> {
  const upstream = await endlessServer();
  const found: StreamMemory[] = [];
  try {
    for (const [kind, open] of Object.entries(KINDS)) {
      const relay = await startRelay(entry, upstream, count);
      try {
        const ends = [await open(relay.port)];
        const before = await relay.residentBytes();
        const rest = async () => {
          while (ends.length < count) {
            ends.length += 1;
            ends[ends.length - 1] = await open(relay.port);
          }
        };
        await Promise.all(Array.from({ length: AT_ONCE }, rest));
        found.push({ kind, before, after: await relay.residentBytes() });
        for (const end of ends) end();
      } finally {
        await relay.stop();
      }
    }
    return found;
  } finally {
    upstream.closeAllConnections();
    upstream.close();
  }
}

async function startRelay(entry: string, upstream: Server, count: number): Promise<Relay> {
  const [port, internal] = (await freePorts(2)) as [number, number];
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  const file = join(folder, 'postern.yaml');
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`;
  const relay = {
    ...{ listen: `127.0.0.1:${port}`, internalListen: `127.0.0.1:${internal}` },
    trust: { proxies: ['127.0.0.1'] },
    budgets: {
      identity: { maxStreams: count + 1, maxRequests: count + 1, maxSessions: count + 1 },
      session: { maxRequests: count + 1 },
    },
    servers: { one: { url } },
  };
  await writeFile(file, JSON.stringify({ publicUrl: `http://127.0.0.1:${port}`, relay }));
  const ready = `http://127.0.0.1:${internal}/readyz`;
  const target = await startTarget(SERVER_CORE, process.execPath, [entry, 'relay', '--config', file], ready);
  return {
    port,
    residentBytes: async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${internal}/metrics`)).text();
      return Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
    },
    stop: async () => {
      await target.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Every stream begins with one event and stays open. */
async function endlessServer(): Promise<Server> {
  const server = createServer(async (asked, response) => {
    let text = '';
    for await (const piece of asked) text += piece;
    const { id, method } = text === '' ? { id: undefined, method: undefined } : JSON.parse(text);
    if (method === 'initialize') {
      const serverInfo = { name: 'endless', version: '1' };
      response.writeHead(200, { 'Content-Type': 'application/json', 'Mcp-Session-Id': 'session' });
      response.end(
        JSON.stringify({ jsonrpc: '2.0', id, result: { protocolVersion: '2025-06-18', capabilities: {}, serverInfo } }),
      );
    } else if (asked.method === 'GET' || id !== undefined) {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}\n\n');
    } else response.writeHead(202).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function stream(port: number, method: string, path: string, body?: string): Promise<() => void> {
  const response = await ask(port, method, path, body);
  await once(response, 'data');
  return () => response.destroy();
}

async function openHttpSse(port: number): Promise<() => void> {
  const response = await ask(port, 'GET', '/servers/one/sse');
  let text = '';
  response.setEncoding('utf8').on('data', (piece) => {
    text += piece;
  });
  const seen = async (pattern: RegExp) => {
    while (!pattern.test(text)) await once(response, 'data');
    return pattern.exec(text)?.[1] ?? '';
  };
  const endpoint = await seen(/data: (\S+)\n\n/);
  const post = async (body: string) => {
    const answer = (await ask(port, 'POST', endpoint, body)).resume();
    await once(answer, 'close');
  };
  await post(INITIALIZE);
  await seen(/("serverInfo")/);
  await post(INITIALIZED);
  await seen(/(notifications\/message)/);
  return () => response.destroy();
}

async function openWebSocket(port: number): Promise<() => void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/servers/one/ws`, 'mcp', { headers: USER });
  await once(socket, 'open');
  socket.send(INITIALIZE);
  await once(socket, 'message');
  const listened = once(socket, 'message');
  socket.send(INITIALIZED);
  await listened;
  return () => socket.terminate();
}

const agent = new Agent({ keepAlive: false });

async function ask(port: number, method: string, path: string, body?: string): Promise<IncomingMessage> {
  const headers = {
    ...USER,
    ...JSON_TYPE,
    ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
  };
  const asked = request({ host: '127.0.0.1', port, method, path, headers, agent });
  asked.end(body);
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  if ((response.statusCode ?? 500) >= 300) throw new Error(`${method} ${path} was answered ${response.statusCode}`);
  return response;
}

function message(id: number, method: string, params: object): string {
  return JSON.stringify({ jsonrpc: '2.0', id, method, params });
}
