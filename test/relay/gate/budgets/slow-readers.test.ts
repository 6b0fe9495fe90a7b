import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, afterEach, before, describe, it } from 'mocha';
import { WebSocket, WebSocketServer } from 'ws';
import { until } from '../../../support/until.ts';
import { INITIALIZE, type RelayProcess, startRelayProcess } from '../../hostile/support/relay-process.ts';

const MIB = 1024 * 1024;
/** Bytes that the server would say to each reader. */
const EACH = 48 * MIB;
const READERS = 24;
const NOTE = {
  jsonrpc: '2.0',
  method: 'notifications/message',
  params: { level: 'info', data: 'x'.repeat(256 * 1024) },
};
const CALL = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'much' } };
const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'u', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': { sampling: {} },
};
const MODERN = { 'Mcp-Protocol-Version': '2026-07-28', 'Mcp-Method': 'tools/call', 'Mcp-Name': 'much' };
const FACTS = { capabilities: { tools: {}, logging: {} }, resultType: 'complete', ttlMs: 0, cacheScope: 'private' };

/** Writes until the other side takes no more. @param write whether it takes more at once; @param drained when it does again */
async function flood(write: (text: string) => boolean, drained: () => Promise<unknown>, isOpen: () => boolean) {
  const text = JSON.stringify(NOTE);
  for (let written = 0; written < EACH && isOpen(); written += text.length) {
    said += text.length;
    if (!write(text)) await drained();
  }
}

/** By all servers together. */
let said = 0;

function describes(method: unknown): object | undefined {
  if (method === 'server/discover') return { ...FACTS, supportedVersions: ['2026-07-28'] };
  if (method === 'tools/list') return { tools: [{ name: 'much', inputSchema: { type: 'object' } }] };
  if (method !== 'initialize') return undefined;
  return { ...FACTS, protocolVersion: '2025-11-25', serverInfo: { name: 'much', version: '1' } };
}

describe('a relay with a heap of 400 MiB, against who does not take what it is sent', function () {
  this.timeout(120_000);
  let running: RelayProcess;
  let http: Server;
  let sockets: WebSocketServer;
  const leave: Array<() => unknown> = [];
  /** Questions of a server in one call: how many it has asked, and whether it was let go on. */
  let asked = 0;
  let cut = false;

  before(async () => {
    http = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', async () => {
        if (request.method !== 'POST') return response.writeHead(405).end();
        const { id, method, params } = JSON.parse(body) as {
          id?: unknown;
          method?: string;
          params?: { name?: string };
        };
        const result = describes(method);
        if (result !== undefined)
          return response
            .writeHead(200, { 'Content-Type': 'application/json', 'Mcp-Session-Id': 's' })
            .end(JSON.stringify({ jsonrpc: '2.0', id, result }));
        if (id === undefined || method !== 'tools/call') return response.writeHead(202).end();
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        let onClose = () => {};
        response.on('close', () => {
          cut = true;
          onClose();
        });
        const write = (text: string) => response.write(`data: ${text}\n\n`);
        const drained = () =>
          new Promise<void>((resolve) => {
            onClose = resolve;
            response.once('drain', resolve);
          });
        const isOpen = () => !response.destroyed;
        const question = (data: string) =>
          JSON.stringify({ jsonrpc: '2.0', id: asked++, method: 'sampling/createMessage', params: { data } });
        if (params?.name === 'late') {
          write(question('?'));
          await sleep(200);
          return response.end(
            `data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [], data: 'x'.repeat(3 * MIB) } })}\n\n`,
          );
        }
        if (params?.name !== 'questions') return flood(write, drained, isOpen);
        while (asked < 400 && isOpen()) if (!write(question('x'.repeat(3 * MIB)))) await drained();
      });
    });
    http.listen(0, '127.0.0.1');
    sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'mcp' });
    sockets.on('connection', (socket) => {
      socket.on('error', () => {});
      socket.on('message', (data) => {
        const { id, method } = JSON.parse(String(data));
        const result = describes(method);
        if (result !== undefined) socket.send(JSON.stringify({ jsonrpc: '2.0', id, result }));
        if (method !== 'tools/call') return;
        const drained = async () => {
          while (socket.bufferedAmount > 0 && socket.readyState === socket.OPEN) await sleep(5);
        };
        void flood(
          (text) => {
            socket.send(text);
            return socket.bufferedAmount === 0;
          },
          drained,
          () => socket.readyState === socket.OPEN,
        );
      });
    });
    await Promise.all([once(http, 'listening'), once(sockets, 'listening')]);
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`;
    running = await startRelayProcess(
      {
        plain: { url, era: 'both' },
        guarded: { url, era: 'both' },
        translated: { url, era: 'modern' },
        questions: { url, era: 'legacy' },
        piped: { url: `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}/mcp` },
      },
      { relay: { pins: { servers: ['guarded'] } } },
    );
  });
  afterEach(() => Promise.all(leave.splice(0).map((end) => end())));
  after(async () => {
    await running?.stop();
    http?.closeAllConnections();
    http?.close();
    for (const socket of sockets?.clients ?? []) socket.terminate();
    sockets?.close();
  });

  const kept = () => running.metric('postern_relay_budget_held_bytes{budget="keptBytes"}');
  const questions = () => running.metric('postern_relay_budget_held{budget="questions"}');
  /** Bytes of the process in memory, buffers outside of the heap included. */
  const resident = async () => {
    const status = await readFile(`/proc/${running.child.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
  };

  /** Whatever the servers still say, nobody takes it. */
  async function nobodyTakesMore(): Promise<void> {
    await until('the servers say something', () => said > READERS * MIB);
    for (let before = -1; before !== said; await sleep(300)) before = said;
    await running.goodCall();
    assert.ok((await kept()) <= 64 * MIB, String(await kept()));
    const bytes = await resident();
    assert.ok(bytes < 700 * MIB, `${Math.round(bytes / MIB)} MiB are in memory`);
  }

  async function nothingIsHeld(): Promise<void> {
    await Promise.all(leave.splice(0).map((end) => end()));
    await until('nothing is held', async () => (await kept()) === 0);
    await running.goodCall();
  }

  /** Posts by hand, and reads nothing of what comes. */
  function postAndLeaveUnread(server: string, message: object, headers: Record<string, string>): void {
    const socket = connect(running.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.pause();
    leave.push(() => socket.destroy());
    const body = JSON.stringify(message);
    const own = { Host: 'mcp.example.com', 'X-Authenticated-User': 'mallory', 'Content-Type': 'application/json' };
    const all = {
      ...own,
      Accept: 'application/json, text/event-stream',
      ...headers,
      'Content-Length': `${body.length}`,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST /servers/${server}/mcp HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
  }

  for (const server of ['plain', 'guarded', 'translated', 'piped'])
    it(`by HTTP (${server})`, async () => {
      said = 0;
      // What no list has named is held back.
      if (server === 'guarded') await running.post(server, { jsonrpc: '2.0', id: 1, method: 'tools/list' });
      for (let reader = 0; reader < READERS; reader++) {
        const { status, headers } = await running.post(server, INITIALIZE);
        assert.equal(status, 200);
        const session = headers.get('mcp-session-id') ?? '';
        leave.push(() => running.end(server, session));
        postAndLeaveUnread(server, CALL, { 'Mcp-Session-Id': session, 'Mcp-Protocol-Version': '2025-11-25' });
      }
      await nobodyTakesMore();
      await nothingIsHeld();
    });

  for (const server of ['plain', 'piped'])
    it(`by WebSocket (${server})`, async () => {
      said = 0;
      for (let reader = 0; reader < READERS; reader++) {
        const url = `ws://127.0.0.1:${running.port}/servers/${server}/ws`;
        const client = new WebSocket(url, 'mcp', { headers: { 'X-Authenticated-User': 'mallory' } });
        client.on('error', () => {});
        leave.push(() => client.terminate());
        await once(client, 'open');
        client.send(JSON.stringify(INITIALIZE));
        await once(client, 'message');
        client.pause();
        client.send(JSON.stringify(CALL));
      }
      await nobodyTakesMore();
      await nothingIsHeld();
    });

  const turn = (name: string, more: object = {}) =>
    running.post(
      'questions',
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, _meta: META, ...more } },
      { headers: { ...MODERN, 'Mcp-Name': name }, patience: 30_000 },
    );
  const resultOf = (text: string) => JSON.parse(text.replace(/^data: /, '')).result;

  it('of the questions of one call, also after their turn', async () => {
    asked = 0;
    cut = false;
    const { resultType } = resultOf((await turn('questions')).text);
    assert.equal(resultType, 'input_required');
    await until('the server is cut off', () => cut);
    assert.ok(asked < 100, `it could ask ${asked} times`);
    assert.ok((await kept()) <= 64 * MIB);
    await running.goodCall();
    await until('none is kept', async () => (await kept()) === 0 && (await questions()) === 0);
  });

  it('of the answer of a call whose client is away, which is kept and counted until it comes back', async () => {
    asked = 0;
    const first = resultOf((await turn('late')).text);
    assert.equal(first.resultType, 'input_required');
    await until('the answer is kept', async () => (await kept()) > 3 * MIB);
    const { requestState } = first;
    const back = resultOf((await turn('late', { requestState, inputResponses: {} })).text);
    assert.equal(back.data.length, 3 * MIB);
    await until('nothing is kept', async () => (await kept()) === 0);
  });
});
