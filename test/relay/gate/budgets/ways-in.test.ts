import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request as send } from 'node:http';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../../support/until.ts';
import { ask, endAll, onEnd, type RelayUnderTest, relay } from '../../support/relay.ts';
import { answer, openStream, scriptedServer } from '../../support/scripted-server.ts';
import { openWebSocket } from '../../support/web-socket.ts';

const ALICE = ['X-Authenticated-User', 'alice'];
const BOB = ['X-Authenticated-User', 'bob'];
const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CLIENT = {
  [VERSION]: '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};
const text = (id: number, method: string, params: object = {}) =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });

/** A server that leaves the tool `wait` without an answer until it is released, and opens every stream. */
async function waitingServer() {
  const waiting: Array<() => void> = [];
  const server = await scriptedServer({
    post: (message, response) => {
      const { name } = (message.params ?? {}) as { name?: string };
      if (message.method === 'subscriptions/listen') {
        openStream(response);
        return true;
      }
      if (name !== 'wait') return false;
      waiting.push(() => answer(message, response));
      return true;
    },
    get: (response) => {
      openStream(response);
      return true;
    },
  });
  return { url: server.url, waiting };
}

async function start(budgets: object, more: object = {}): Promise<RelayUnderTest & { waiting: Array<() => void> }> {
  const { url, waiting } = await waitingServer();
  const running = await relay({ servers: { one: { url, era: 'both' } }, budgets, ...more });
  return { ...running, waiting };
}

/** A GET that stays open, or what refused it. */
async function get(port: number, path: string, headers: readonly string[]): Promise<IncomingMessage> {
  const all = [...headers, 'Host', 'mcp.example.com', 'Accept', 'text/event-stream'];
  const request: ClientRequest = send({ host: '127.0.0.1', port, path, headers: all, agent: false });
  onEnd(() => request.destroy());
  const [response] = (await once(request.end(), 'response')) as [IncomingMessage];
  return response;
}

const wait = (port: number, id: number, headers: readonly string[], padding = '', path?: string) =>
  ask(port, {
    headers: [...headers],
    body: text(id, 'tools/call', { name: 'wait', arguments: { padding } }),
    ...(path === undefined ? {} : { path }),
  });

/** A body that never becomes whole. */
function slowBody(port: number, user: string, bytes: number): { socket: Socket; answered: Promise<string> } {
  const socket = connect(port, '127.0.0.1');
  onEnd(() => socket.destroy());
  let received = '';
  socket.on('data', (chunk) => {
    received += String(chunk);
  });
  socket.on('error', () => {});
  const head = ['POST /servers/one/mcp HTTP/1.1', 'Host: mcp.example.com', `X-Authenticated-User: ${user}`];
  head.push('Content-Type: application/json', 'Content-Length: 4000000', '', '');
  socket.write(head.join('\r\n') + 'x'.repeat(bytes));
  return { socket, answered: once(socket, 'close').then(() => received) };
}

describe('the budget of an identity', function () {
  this.timeout(30_000);
  afterEach(endAll);

  it('counts the streams of every transport together, and gives the place of one that ends to the next', async () => {
    const running = await start({ identity: { maxStreams: 4 } });
    const { port } = running;
    await openWebSocket(port);
    const streams = [
      await get(port, '/servers/one/sse', ALICE),
      await get(port, '/servers/one/mcp', [...ALICE, 'Mcp-Protocol-Version', '2025-06-18']),
    ];
    const modern = [...ALICE, 'Mcp-Protocol-Version', '2026-07-28', 'Mcp-Method', 'subscriptions/listen'];
    const listen = send({
      ...{ host: '127.0.0.1', port, path: '/servers/one/mcp', method: 'POST', agent: false },
      headers: [...modern, 'Host', 'mcp.example.com', 'Content-Type', 'application/json'],
    });
    onEnd(() => listen.destroy());
    listen.end(text(1, 'subscriptions/listen', { notifications: {}, _meta: CLIENT }));
    assert.equal(((await once(listen, 'response')) as [IncomingMessage])[0].statusCode, 200);
    for (const path of ['/servers/one/mcp', '/servers/one/sse']) {
      const refused = await ask(port, { method: 'GET', path, headers: ALICE });
      assert.equal(refused.status, 429, path);
      assert.equal(refused.headers['retry-after'], '1');
      assert.deepEqual(JSON.parse(refused.text).error.data, { retryAfter: 1 });
    }
    const again = await ask(port, {
      headers: modern,
      body: text(2, 'subscriptions/listen', { notifications: {}, _meta: CLIENT }),
    });
    assert.deepEqual([again.status, JSON.parse(again.text).id], [429, 2]);
    assert.equal((await ask(port, { headers: ALICE })).status, 200);
    assert.equal((await get(port, '/servers/one/mcp', BOB)).statusCode, 200);
    streams[0]?.destroy();
    await until('a place is free', async () => (await get(port, '/servers/one/mcp', ALICE)).statusCode === 200);
    const metrics = await running.metrics();
    assert.match(metrics, /postern_relay_budget_spent_total\{scope="identity",budget="streams"\} [1-9]/);
    assert.match(metrics, /postern_relay_budget_spent_total\{scope="session",budget="questions"\} 0/);
    assert.match(metrics, /postern_relay_budget_held\{budget="streams"\} 5/);
    assert.match(metrics, /postern_relay_rejected_total\{reason="budget_spent"\} [1-9]/);
  });

  it('counts the requests that wait, whichever way they came, and lets notifications take them back', async () => {
    const running = await start({ identity: { maxRequests: 3 } });
    const { port, waiting } = running;
    const socket = await openWebSocket(port);
    await socket.initialize();
    const overSocket = socket.request('tools/call', { name: 'wait' });
    const first = wait(port, 2, ALICE);
    void wait(port, 3, ALICE);
    await until('all three wait', () => waiting.length === 3);
    const refused = await wait(port, 4, ALICE);
    assert.deepEqual([refused.status, JSON.parse(refused.text).id], [429, 4]);
    const alsoRefused = await socket.answerTo(socket.request('tools/call', { name: 'wait' }));
    assert.deepEqual((alsoRefused.error as { data: unknown }).data, { retryAfter: 1 });
    assert.equal((await ask(port, { headers: BOB })).status, 200);
    const body = JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 3 } });
    assert.equal((await ask(port, { headers: ALICE, body })).status, 202);
    for (const release of waiting) release();
    assert.equal((await first).status, 200);
    assert.ok((await socket.answerTo(overSocket)).result);
    assert.equal((await ask(port, { headers: ALICE })).status, 200);
  });

  it('counts the bytes of requests that wait, also to all servers as one, and is whole again after them', async () => {
    const budgets = { identity: { maxRequestBytes: '64KiB' } };
    const running = await start(budgets, { aggregate: { servers: ['one'] } });
    const { port, waiting } = running;
    const large = 'x'.repeat(25_000);
    const calls = [wait(port, 1, ALICE, large), wait(port, 2, ALICE, large)];
    await until('both wait', () => waiting.length === 2);
    for (const path of ['/servers/one/mcp', '/mcp'])
      assert.equal((await wait(port, 3, ALICE, large, path)).status, 429, path);
    assert.equal((await ask(port, { headers: ALICE })).status, 200);
    const other = wait(port, 4, BOB, large);
    await until('the third waits', () => waiting.length === 3);
    for (const release of waiting) release();
    assert.deepEqual(
      (await Promise.all([...calls, other])).map(({ status }) => status),
      [200, 200, 200],
    );
    await until('nothing is held', async () =>
      /budget_held_bytes\{budget="requestBytes"\} 0/.test(await running.metrics()),
    );
  });

  it('counts bodies while they arrive, and what a client that leaves has sent no longer', async () => {
    const running = await start({ identity: { maxRequestBytes: '64KiB' } });
    const slow = Array.from({ length: 3 }, () => slowBody(running.port, 'alice', 25_000));
    const answers = await Promise.race(slow.map(({ answered }) => answered));
    assert.match(answers, /^HTTP\/1\.1 429 /);
    assert.match(answers, /\r\nConnection: close\r\n/i);
    assert.equal((await ask(running.port, { headers: BOB })).status, 200);
    for (const { socket } of slow) socket.destroy();
    await until('nothing is held', async () =>
      /budget_held_bytes\{budget="requestBytes"\} 0/.test(await running.metrics()),
    );
    assert.equal((await wait(running.port, 1, ALICE, 'x'.repeat(70_000))).status, 429);
  });
});
