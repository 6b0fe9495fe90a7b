import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request as send } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CreateMessageRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { programOrSkip } from '../../support/programs.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { alternator } from '../support/alternator.ts';
import { ask, endAll, type RelayUnderTest, relay } from '../support/relay.ts';
import { event, openStream, scriptedServer } from '../support/scripted-server.ts';
import { connectAs, sdkClient, TRANSPORTS } from '../support/sdk-client.ts';

const PROGRAM = fileURLToPath(new URL('../support/scripted-program.js', import.meta.url));
const PATH = '/servers/one/mcp';
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
});

/** What the scripted program says as its one text, which is JSON. */
async function call(client: Client, name: string, args: object = {}, options: object = {}): Promise<unknown> {
  const result = await client.callTool({ name, arguments: { ...args } }, undefined, options);
  const [content] = result.content as Array<{ text: string }>;
  return JSON.parse(content?.text ?? 'null');
}

describe('two replicas of the relay, and a client whose requests go to the one and the other in turn', function () {
  this.timeout(60_000);
  let redis: RedisServer;
  before(async function () {
    redis = await startRedis(await programOrSkip(this, 'redis'));
  });
  after(() => redis?.stop());
  afterEach(endAll);

  const start = async (server: Record<string, unknown>) => {
    const sessionKey = randomBytes(32).toString('base64url');
    const replica = () => relay({ sessionKey, servers: { one: server } }, { redis: { url: redis.url } });
    const replicas = [await replica(), await replica()] as const;
    const front = await alternator(replicas.map(({ port }) => port));
    return { replicas, front, url: `http://127.0.0.1:${front.port}${PATH}` };
  };
  const program = { command: process.execPath, args: [PROGRAM] };
  const begin = async ({ port }: Pick<RelayUnderTest, 'port'>, user = 'alice') => {
    const answer = await ask(port, { headers: headersOf(user), body: INITIALIZE });
    return String(answer.headers['mcp-session-id']);
  };
  const headersOf = (user: string, session?: string) => [
    ...['X-Authenticated-User', user, 'Accept', 'application/json, text/event-stream'],
    ...(session === undefined ? [] : ['Mcp-Session-Id', session]),
  ];
  const asking = (name: string) =>
    JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name, arguments: {} } });

  it('streamable HTTP: one program for the session, with progress, questions and what it says unasked', async () => {
    const { front, url } = await start(program);
    const client = await connectAs(url, 'alice');
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      model: 'none',
      role: 'assistant' as const,
      content: { type: 'text' as const, text: 'said by the client' },
    }));
    const said: unknown[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void said.push(params.data));
    const pids = [await call(client, 'pid'), await call(client, 'pid'), await call(client, 'pid')];
    assert.equal(new Set(pids).size, 1);
    for (const _turn of [1, 2]) {
      const progress: unknown[] = [];
      const options = { onprogress: (event: unknown) => progress.push(event) };
      assert.equal(await call(client, 'slow', { milliseconds: 50, say: 'done' }, options), 'done');
      assert.equal(progress.length, 1);
      assert.match(JSON.stringify(await call(client, 'ask')), /said by the client/);
      await call(client, 'log', { text: 'unasked' });
    }
    await until('both lines were heard', () => said.length === 2);
    assert.ok(
      front.served.every((count) => count > 3),
      `${front.served}`,
    );
  });

  it('HTTP+SSE: messages reach the stream wherever they land', async () => {
    const { front } = await start(program);
    const client = sdkClient();
    await client.connect(TRANSPORTS['http-sse'](front.port, 'alice') as Transport);
    const pids = [await call(client, 'pid'), await call(client, 'pid'), await call(client, 'pid')];
    assert.equal(new Set(pids).size, 1);
    assert.equal((await client.listTools()).tools.length > 0, true);
    assert.ok(
      front.served.every((count) => count > 2),
      `${front.served}`,
    );
  });

  it('a streamable HTTP server with sessions: nothing is kept at the relay', async () => {
    const { url: server, seen } = await scriptedServer({
      post: ({ id, method }, response) => {
        if (method !== 'ping') return false;
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result: {} }));
        return true;
      },
    });
    const { front, url } = await start({ url: server });
    const client = await connectAs(url, 'alice');
    for (let turn = 0; turn < 4; turn++) await client.ping();
    assert.ok(
      front.served.every((count) => count > 2),
      `${front.served}`,
    );
    const sessions = new Set(seen.slice(1).map(({ headers }) => headers['mcp-session-id']));
    assert.deepEqual([...sessions], ['session-of-the-server']);
  });

  it('a stream that broke is taken up at the other one, from the last event that the client has', async () => {
    const { url: server } = await scriptedServer({
      get: (response, request) => {
        const from = request.headers['last-event-id'] ?? 'the start';
        openStream(response);
        response.end(
          event({ method: 'notifications/message', params: { level: 'info', data: from } }, `after ${from}`),
        );
        return true;
      },
    });
    const { replicas } = await start({ url: server });
    const session = await begin(replicas[0]);
    const listen = ({ port }: RelayUnderTest, user: string, ...more: string[]) =>
      ask(port, { method: 'GET', headers: [...headersOf(user, session), ...more] });
    assert.match((await listen(replicas[0], 'alice')).text, /id: after the start\ndata: .*"data":"the start"/);
    const resumed = await listen(replicas[1], 'alice', 'Last-Event-ID', 'after the start');
    assert.match(resumed.text, /id: after after the start\ndata: .*"data":"after the start"/);
    const stolen = await listen(replicas[1], 'mallory', 'Last-Event-ID', 'after the start');
    assert.equal(stolen.status, 404);
  });

  it('keep somebody else out of a session at both, and know of its end at both', async () => {
    const { replicas } = await start(program);
    const session = await begin(replicas[0]);
    for (const { port } of replicas) {
      const stolen = await ask(port, { headers: headersOf('mallory', session), body: asking('pid') });
      assert.equal(stolen.status, 404);
      assert.equal((await ask(port, { headers: headersOf('alice', session), body: asking('pid') })).status, 200);
    }
    const ended = await ask(replicas[1].port, { method: 'DELETE', headers: headersOf('alice', session) });
    assert.equal(ended.status, 200);
    for (const { port } of replicas)
      assert.equal((await ask(port, { headers: headersOf('alice', session), body: asking('pid') })).status, 404);
  });

  it('hear that a client left the stream at the other one', async () => {
    const { replicas } = await start(program);
    const session = await begin(replicas[0]);
    const listen = () =>
      new Promise<{ status: number; leave: () => void }>((resolve, reject) => {
        const headers = ['Host', 'mcp.example.com', ...headersOf('alice', session)];
        const request = send(
          { host: '127.0.0.1', port: replicas[1].port, path: PATH, headers, agent: false },
          (response) => {
            response.resume().on('error', () => {});
            resolve({ status: response.statusCode ?? 0, leave: () => request.destroy() });
          },
        );
        request.on('error', reject).end();
      });
    const first = await listen();
    assert.equal(first.status, 200);
    const second = await listen();
    assert.equal(second.status, 409);
    second.leave();
    first.leave();
    await until('the place is free', async () => {
      const again = await listen();
      again.leave();
      return again.status === 200;
    });
  });

  it('take no message of a server for a word between them', async () => {
    const { replicas } = await start(program);
    const session = await begin(replicas[0]);
    for (const sign of [{ underWay: true }, { opened: true }, { sign: 'opened' }, { result: {} }]) {
      const said = JSON.stringify({ jsonrpc: '2.0', method: 'com.example/said', params: {}, ...sign });
      const params = { name: 'raw', arguments: { line: said } };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'tools/call', params });
      for (const { port } of replicas) {
        const { text } = await ask(port, { headers: headersOf('alice', session), body });
        assert.match(text, /com\.example\/said/, `${JSON.stringify(sign)}: ${text}`);
        assert.match(text, /"id":2/);
      }
    }
  });

  it('say 404 of a session whose replica has ended, so that the client begins anew', async () => {
    const { replicas } = await start(program);
    const session = await begin(replicas[0]);
    await replicas[0].close();
    const answer = await ask(replicas[1].port, { headers: headersOf('alice', session), body: asking('pid') });
    assert.equal(answer.status, 404);
    assert.equal((await ask(replicas[1].port, { headers: headersOf('alice'), body: INITIALIZE })).status, 200);
  });
});
