import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { WebSocketServer } from 'ws';
import { onEnd, upstream } from '../support/relay.ts';

type Json = Readonly<Record<string, unknown>>;
type Reply = (message: Json) => void;

/** A server with the tools `echo`, `hold`, `gone` and `large`, in the hands of a test. */
export interface ContractServer {
  /** How the relay reaches it. */
  readonly config: Record<string, unknown>;
  /** Calls that it has got, by tool. */
  calls(tool: string): number;
  /** Why calls were taken back, in the words that it was told; of one whose stream was closed, `closed`. */
  readonly takenBack: readonly string[];
  /** Lets calls of `hold` be answered. */
  release(): void;
  /** Forgets every session, as one that was started anew. */
  forget(): void;
}

/** Ids of the events of all servers: they may hold a space (HTML §9.2.6). */
export const EVENT_ID = 'a b';

/** Characters of an id of a session: some servers keep all there is to know in it. */
const SESSION_ID = 6_000;

/** Characters of an answer of `large`. */
const LARGE = 100_000;

/** What all of them do, whatever they are reached by. */
class Behaviour {
  readonly #era: 'legacy' | 'modern';
  readonly #called: string[] = [];
  #held: Array<() => void> = [];
  readonly takenBack: string[] = [];

  constructor(era: 'legacy' | 'modern') {
    this.#era = era;
  }

  readonly calls = (tool: string) => this.#called.filter((name) => name === tool).length;

  readonly release = () => {
    for (const answer of this.#held) answer();
    this.#held = [];
  };

  take({ id, method, params }: Json, reply: Reply): void {
    if (method === 'notifications/cancelled') this.takenBack.push(String((params as Json).reason ?? 'no reason'));
    if (id === undefined || typeof method !== 'string') return;
    const answer = (result: object) => reply({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } });
    const fail = (code: number, message: string) => reply({ jsonrpc: '2.0', id, error: { code, message } });
    const about = { capabilities: { tools: {} }, serverInfo: { name: 'contract', version: '1' } };
    const { name } = (params ?? {}) as { name?: string };
    if (method === 'tools/call') this.#called.push(name ?? '');
    if (method === 'initialize') answer({ protocolVersion: '2025-06-18', ...about });
    else if (method === 'server/discover' && this.#era === 'modern')
      answer({ supportedVersions: ['2026-07-28'], ...about });
    else if (method === 'tools/list') answer({ tools: [] });
    else if (method === 'ping') answer({});
    else if (method !== 'tools/call') fail(-32601, 'there is no such method');
    else if (name === 'gone') fail(-32001, 'Session not found');
    else if (name === 'hold') this.#held.push(() => answer({ content: [], structuredContent: { done: true } }));
    else if (name === 'large') answer({ content: [{ type: 'text', text: 'x'.repeat(LARGE) }] });
    else answer({ content: [], structuredContent: { done: true } });
  }
}

export const SERVERS: Readonly<Record<string, () => Promise<ContractServer>>> = {
  'legacy streamable HTTP': () => overHttp('legacy'),
  'modern streamable HTTP': () => overHttp('modern'),
  'a program': overStdio,
  WebSocket: overWebSocket,
  'HTTP+SSE': overHttpSse,
};

/** Each answer is a stream, which with sessions is closed to be polled before it brings anything (2025-11-25, transports). */
async function overHttp(era: 'legacy' | 'modern'): Promise<ContractServer> {
  const { take, ...own } = bound(new Behaviour(era));
  const sessions = new Set<string>();
  const rests = new Map<string, Promise<Json>>();
  const url = await upstream(async (request, response) => {
    const message = await read(request);
    const session = String(request.headers['mcp-session-id'] ?? '');
    if (session !== '' && !sessions.has(session)) {
      response.writeHead(404, { 'Content-Type': 'application/json' });
      const error = { code: -32001, message: 'Session not found' };
      return void response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
    }
    if (request.method === 'GET') return void resume(request, response, rests.get(session));
    if (request.method === 'DELETE') return void response.writeHead(200).end();
    if (message?.id === undefined || message.method === undefined) {
      if (message !== undefined) take(message, () => {});
      return void response.writeHead(202).end();
    }
    const answer = new Promise<Json>((resolve) => take(message, resolve));
    const opened = message.method === 'initialize' ? randomUUID().padEnd(SESSION_ID, 'x') : undefined;
    if (opened !== undefined) sessions.add(opened);
    response.writeHead(200, {
      'Content-Type': 'text/event-stream',
      ...(opened !== undefined && { 'Mcp-Session-Id': opened }),
    });
    if (era === 'legacy' && message.method === 'tools/call') {
      rests.set(session, answer);
      return void response.end(`id: ${EVENT_ID}\nretry: 10\ndata: \n\n`);
    }
    response.flushHeaders();
    response.on('close', () => response.writableEnded || own.takenBack.push('closed'));
    response.end(event(await answer));
  });
  return { config: { url, era }, ...own, forget: () => sessions.clear() };
}

/** The rest of an answer, for who names its event exactly. */
async function resume(request: IncomingMessage, response: ServerResponse, rest: Promise<Json> | undefined) {
  if (request.headers['last-event-id'] !== EVENT_ID || rest === undefined) return void response.writeHead(405).end();
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.flushHeaders();
  response.end(event(await rest));
}

/** The program hands each line on to the test, and each line of the test to the relay. */
async function overStdio(): Promise<ContractServer> {
  const { take, ...own } = bound(new Behaviour('legacy'));
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket.on('error', () => {}));
    createInterface({ input: socket }).on('line', (line) =>
      take(JSON.parse(line) as Json, (message) => socket.write(`${JSON.stringify(message)}\n`)),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const forget = () => {
    for (const socket of open) socket.destroy();
  };
  onEnd(() => {
    forget();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const program = `const socket = require('node:net').connect(${port}, '127.0.0.1');
    process.stdin.pipe(socket).pipe(process.stdout);
    socket.on('error', () => {}).on('close', () => process.exit());`;
  return { config: { command: process.execPath, args: ['-e', program] }, ...own, forget };
}

async function overWebSocket(): Promise<ContractServer> {
  const { take, ...own } = bound(new Behaviour('legacy'));
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'mcp' });
  await once(sockets, 'listening');
  sockets.on('connection', (socket) => {
    socket.on('message', (data) =>
      take(JSON.parse(String(data)) as Json, (message) => socket.send(JSON.stringify(message))),
    );
  });
  const forget = () => {
    for (const socket of sockets.clients) socket.terminate();
  };
  onEnd(() => {
    forget();
    sockets.close();
  });
  const url = `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}/`;
  return { config: { url }, ...own, forget };
}

/** Its streams outlive the sessions that it forgets. */
async function overHttpSse(): Promise<ContractServer> {
  const { take, ...own } = bound(new Behaviour('legacy'));
  const open = new Map<string, ServerResponse>();
  const listener: RequestListener = async (request, response) => {
    const message = await read(request);
    const id = new URL(request.url ?? '', 'http://localhost').searchParams.get('id') ?? randomUUID();
    if (request.method === 'GET') {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write(`event: endpoint\ndata: /messages?id=${id}\n\n`);
      return void open.set(id, response);
    }
    const stream = open.get(id);
    response.writeHead(stream === undefined ? 404 : 202).end();
    if (stream !== undefined && message !== undefined) take(message, (answer) => stream.write(event(answer)));
  };
  const http = createHttpServer(listener);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    http.closeAllConnections();
    http.close();
  });
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/sse`;
  return { config: { url, transport: 'http-sse' }, ...own, forget: () => open.clear() };
}

function bound(behaviour: Behaviour) {
  const { calls, release, takenBack } = behaviour;
  return { take: (message: Json, reply: Reply) => behaviour.take(message, reply), calls, release, takenBack };
}

async function read(request: IncomingMessage): Promise<Json | undefined> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text === '' ? undefined : (JSON.parse(text) as Json);
}

function event(message: Json): string {
  return `id: ${EVENT_ID}\ndata: ${JSON.stringify(message)}\n\n`;
}
