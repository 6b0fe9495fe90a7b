import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Child } from '../support/child.ts';
import { freePorts } from '../support/free-port.ts';
import { startPostern } from '../support/postern-process.ts';
import { until } from '../support/until.ts';

const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'slow' } };
const FORWARDED = {
  'X-Forwarded-Method': 'GET',
  'X-Forwarded-Uri': '/page',
  'X-Forwarded-Host': 'mcp.example.com',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-For': '203.0.113.7',
};

interface Answer {
  readonly status: number;
  readonly connection: string | undefined;
  readonly text: string;
}

/** A rejection is a lost request: refused, reset, or an answer without its end. */
async function ask(port: number, path: string, options: { headers?: object; body?: object; agent?: Agent } = {}) {
  const { headers = {}, body, agent } = options;
  const asked = request({ port, path, method: body === undefined ? 'GET' : 'POST', headers: { ...headers }, agent });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += chunk;
  return { status: answer.statusCode ?? 0, connection: answer.headers.connection, text } satisfies Answer;
}

describe('a process that is told to stop', () => {
  let folder: string;
  let ports: [number, number, number, number];
  let upstream: Server;
  const waiting: ServerResponse[] = [];
  let children: Child[];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postern-drain-'));
    ports = (await freePorts(4)) as [number, number, number, number];
    upstream = createServer((asked, response) => {
      asked.resume();
      if (asked.method === 'GET')
        return void response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('id: 1\ndata: {}\n\n');
      waiting.push(response);
      return undefined;
    }).listen(0, '127.0.0.1');
    await once(upstream, 'listening');
    const file = join(folder, 'postern.yaml');
    const local = (port: number) => `127.0.0.1:${port}`;
    const url = `http://${local((upstream.address() as AddressInfo).port)}/mcp`;
    writeFileSync(
      file,
      stringify({
        drain: { delay: '2s', timeout: '10s' },
        auth: {
          listen: local(ports[0]),
          internalListen: local(ports[1]),
          rules: [{ match: { path: '/page' }, public: true }],
        },
        relay: {
          listen: local(ports[2]),
          internalListen: local(ports[3]),
          trust: { proxies: ['127.0.0.1/32'] },
          servers: { one: { url, era: 'both' } },
        },
      }),
    );
    children = await Promise.all([startPostern('auth', file, ports[1]), startPostern('relay', file, ports[3])]);
  });
  after(async () => {
    await Promise.all(children.map((child) => child.stop()));
    upstream.closeAllConnections();
    upstream.close();
    rmSync(folder, { recursive: true });
  });

  it('is not ready at once, takes requests a while, ends streams cleanly, and finishes calls', async () => {
    const [auth, authInternal, relay, relayInternal] = ports;
    const agent = new Agent({ keepAlive: true });
    const check = (over?: Agent) => ask(auth, '/verify/traefik', { headers: FORWARDED, ...(over && { agent: over }) });
    const mcp = {
      'X-Authenticated-User': 'alice',
      Accept: 'application/json, text/event-stream',
      'Content-Type': 'application/json',
    };
    assert.equal((await check(agent)).connection, 'keep-alive');
    let streamed = false;
    const stream = ask(relay, '/servers/one/mcp', { headers: mcp }).finally(() => {
      streamed = true;
    });
    const call = ask(relay, '/servers/one/mcp', { headers: mcp, body: CALL });
    await until('the call is at the server', () => waiting.length === 1);

    for (const child of children) child.signal('SIGTERM');
    for (const port of [authInternal, relayInternal])
      await until('it says that it drains', async () => {
        const { status, text } = await ask(port, '/readyz');
        return status === 503 && (JSON.parse(text) as { status: string }).status === 'draining';
      });
    assert.equal((await ask(authInternal, '/healthz')).status, 200);
    for (const over of [agent, undefined, undefined]) {
      const answer = await check(over);
      assert.deepEqual([answer.status, answer.connection], [200, 'close']);
    }
    const late = ask(relay, '/servers/one/mcp', { headers: mcp, body: CALL });
    await until('a late call is at the server too', () => waiting.length === 2);
    assert.equal(streamed, false, 'streams go on until nobody sends clients here any more');

    const { text, connection } = await stream;
    assert.match(text, /^id: 1\ndata: \{\}\n\n$/);
    assert.equal(connection, 'close', 'nothing else is sent on the connection of a stream');
    for (const response of waiting)
      response
        .writeHead(200, { 'Content-Type': 'application/json' })
        .end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: [] } }));
    for (const answer of await Promise.all([call, late])) {
      assert.equal(answer.status, 200);
      assert.deepEqual(JSON.parse(answer.text), { jsonrpc: '2.0', id: 1, result: { content: [] } });
    }
    for (const child of children) {
      await until(`${child.name} has ended`, () => child.ended);
      assert.equal(await child.stop(), 0, child.output);
    }
    agent.destroy();
  });
});
