import assert from 'node:assert/strict';
import { request as send } from 'node:http';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../../support/until.ts';
import { serverWithoutSessions } from '../../eras/support/server-without-sessions.ts';
import { ask, endAll, type RelayUnderTest, relay } from '../../support/relay.ts';

const PROGRAM = fileURLToPath(new URL('../../support/scripted-program.js', import.meta.url));
const VERSION = ['Mcp-Protocol-Version', '2025-11-25'];

interface Session {
  readonly headers: string[];
  /** @returns the answer, of a stream its last message */
  request(method: string, params?: object): Promise<{ result?: unknown; error?: { message: string; data?: unknown } }>;
}

/** A session of a client that listens nowhere. */
async function open(port: number, user = 'alice'): Promise<Session> {
  const who = ['X-Authenticated-User', user];
  const capabilities = { sampling: {}, elicitation: {} };
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '1' } };
  const began = await ask(port, {
    headers: who,
    body: JSON.stringify({ jsonrpc: '2.0', id: 0, method: 'initialize', params }),
  });
  assert.equal(began.status, 200, began.text);
  const headers = [...who, ...VERSION, 'Mcp-Session-Id', String(began.headers['mcp-session-id'])];
  let id = 0;
  return {
    headers,
    request: async (method, given = {}) => {
      id += 1;
      const body = JSON.stringify({ jsonrpc: '2.0', id, method, params: given });
      const { text } = await ask(port, { headers: [...headers], body });
      const data = text
        .trim()
        .split('\n\n')
        .at(-1)
        ?.replace(/^data: /, '');
      return JSON.parse(data ?? '');
    },
  };
}

async function held(running: RelayUnderTest, budget: string): Promise<number> {
  return Number(new RegExp(`budget_held(?:_bytes)?\\{budget="${budget}"\\} (\\d+)`).exec(await running.metrics())?.[1]);
}

const programs = (budgets: object, settings: object = {}) =>
  relay({
    servers: { one: { command: process.execPath, args: [PROGRAM], sharing: 'everybody', ...settings } },
    budgets,
  });

const call = (name: string, args: object = {}) => ({ name, arguments: args });
const subscribe = (uri: string) => ['resources/subscribe', { uri }] as const;

describe('what is kept for a client', function () {
  this.timeout(60_000);
  afterEach(endAll);

  it('of messages of a program that nobody listens to has its bound, and is gone with the session', async () => {
    const running = await programs({ session: { maxMessages: 3 } });
    const session = await open(running.port);
    for (let count = 0; count < 5; count += 1)
      await session.request('tools/call', call('raw', { line: '{"jsonrpc":"2.0","id":7,"result":{}}' }));
    for (let count = 1; count <= 5; count += 1) {
      await session.request('tools/call', call('later'));
      // The next request would take it along.
      await until(`${count} were said`, async () => (await held(running, 'messages')) === Math.min(count, 3));
    }
    assert.ok((await held(running, 'keptBytes')) > 100);
    await ask(running.port, { method: 'DELETE', headers: session.headers });
    await until('nothing is kept', async () => (await held(running, 'keptBytes')) === 0);
    assert.equal(await held(running, 'sessions'), 0);
  });

  it('of subscriptions counts those alone that a program has accepted', async () => {
    const running = await programs({ session: { maxSubscriptions: 2 } });
    const session = await open(running.port);
    for (let count = 0; count < 5; count += 1)
      assert.ok((await session.request(...subscribe(`refused:${count}`))).error?.message.includes('no such'));
    assert.equal(await held(running, 'subscriptions'), 0);
    for (const uri of ['a:1', 'a:1', 'a:2']) assert.ok((await session.request(...subscribe(uri))).result, uri);
    const spent = await session.request(...subscribe('a:3'));
    assert.deepEqual(spent.error?.data, { retryAfter: 1 });
    await session.request('resources/unsubscribe', { uri: 'a:1' });
    assert.ok((await session.request(...subscribe('a:3'))).result);
    assert.equal(await held(running, 'subscriptions'), 2);
    await ask(running.port, { method: 'DELETE', headers: session.headers });
    await until('nothing is subscribed to', async () => (await held(running, 'subscriptions')) === 0);
    assert.equal(await held(running, 'requestBytes'), 0);
  });

  it('of requests whose clients have gone is little, and keeps nobody else from the program', async () => {
    const running = await programs({});
    const session = await open(running.port);
    const other = await open(running.port, 'bob');
    const body = (id: number) =>
      JSON.stringify({
        jsonrpc: '2.0',
        id,
        method: 'tools/call',
        params: call('never', { padding: 'x'.repeat(1_000) }),
      });
    const gone = Array.from({ length: 80 }, (_, id) => {
      const request = send({
        ...{ host: '127.0.0.1', port: running.port, path: '/servers/one/mcp', method: 'POST', agent: false },
        headers: [...session.headers, 'Host', 'mcp.example.com', 'Content-Type', 'application/json'],
      });
      request.on('error', () => {});
      request.end(body(1_000 + id));
      return request;
    });
    await until('all wait', async () => (await held(running, 'requests')) === 80);
    for (const request of gone) request.destroy();
    await until('none is held', async () => (await held(running, 'requests')) === 0);
    assert.equal(await held(running, 'requestBytes'), 0);
    assert.ok((await other.request('tools/call', call('pid'))).result);
    const cancelled = await session.request('tools/call', call('cancelled'));
    const [content] = (cancelled.result as { content: Array<{ text: string }> }).content;
    assert.equal(JSON.parse(content?.text ?? '').length, 16);
  });

  it('of questions that a client does not answer loses the oldest, and the program is told so', async () => {
    const running = await programs({ session: { maxQuestions: 2 } });
    const session = await open(running.port);
    for (let count = 0; count < 4; count += 1)
      await session.request('tools/call', call('question', { id: `q${count}` }));
    const { result } = await session.request('tools/call', call('refusals'));
    const [content] = (result as { content: Array<{ text: string }> }).content;
    assert.deepEqual(JSON.parse(content?.text ?? ''), ['q0', 'q1']);
    assert.equal(await held(running, 'questions'), 2);
  });

  it('of sessions with programs gives the place of the one that was unused longest to the next', async () => {
    const running = await programs({ identity: { maxSessions: 2 } });
    const sessions = [await open(running.port), await open(running.port)];
    assert.ok((await sessions[0]?.request('tools/list'))?.result);
    sessions.push(await open(running.port));
    assert.ok((await sessions[0]?.request('tools/list'))?.result);
    assert.equal((await ask(running.port, { headers: sessions[1]?.headers ?? [] })).status, 404);
    assert.ok((await sessions[2]?.request('tools/list'))?.result);
    assert.ok((await (await open(running.port, 'bob')).request('tools/list')).result);
  });

  it('of subscriptions at a server without sessions has its bound, by number and by bytes', async () => {
    const server = await serverWithoutSessions();
    const budgets = { session: { maxSubscriptions: 3 }, identity: { maxRequestBytes: '8KiB' } };
    const running = await relay({ servers: { one: { url: server.url } }, budgets });
    const session = await open(running.port);
    for (const uri of ['a:1', 'a:1', 'a:2']) assert.ok((await session.request(...subscribe(uri))).result);
    assert.deepEqual((await session.request(...subscribe(`a:${'x'.repeat(5_000)}`))).error?.data, { retryAfter: 1 });
    assert.ok((await session.request(...subscribe('a:3'))).result);
    assert.deepEqual((await session.request(...subscribe('a:4'))).error?.data, { retryAfter: 1 });
    await session.request('resources/unsubscribe', { uri: 'a:1' });
    assert.ok((await session.request(...subscribe('a:4'))).result);
    assert.equal(await held(running, 'subscriptions'), 3);
    await ask(running.port, { method: 'DELETE', headers: session.headers });
    await until('nothing is held', async () => (await held(running, 'subscriptions')) === 0);
    assert.equal(await held(running, 'sessions'), 0);
  });
});
