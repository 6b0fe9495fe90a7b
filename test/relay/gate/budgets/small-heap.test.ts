import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, it } from 'mocha';
import { until } from '../../../support/until.ts';
import { type RawServer, rawServer, switchingProtocols } from '../../hostile/support/raw-server.ts';
import { INITIALIZE, type RelayProcess, startRelayProcess } from '../../hostile/support/relay-process.ts';

const LARGE = 'x'.repeat(3_900_000);
const MIB = 1024 * 1024;
const CALL = { jsonrpc: '2.0', method: 'tools/call', params: { name: 'x' } };

describe('a relay with a heap of 400 MiB, against one user', function () {
  this.timeout(120_000);
  let running: RelayProcess;
  let silent: Server;
  let halves: Server;
  let pipes: RawServer;

  before(async () => {
    // Takes every request and answers none.
    silent = createServer((request) => request.resume());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    // Answers with the first half of a message, and keeps the other.
    halves = createServer((request, response) => {
      request.resume();
      const type = request.url === '/stream' ? 'text/event-stream' : 'application/json';
      response.writeHead(200, { 'Content-Type': type });
      response.write(`data: ${LARGE}`);
    });
    halves.listen(0, '127.0.0.1');
    await once(halves, 'listening');
    pipes = await rawServer(({ method, path, headers }, socket) => {
      if (headers.has('upgrade')) {
        socket.write(switchingProtocols({ method, path, headers, body: '' }));
        // A text frame of four million bytes, of which the last ones do not come.
        socket.write(Buffer.concat([Buffer.from('817f00000000003d0900', 'hex'), Buffer.alloc(LARGE.length, 'x')]));
      } else if (method === 'GET') {
        socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: endpoint\ndata: /m\n\n');
        socket.write(`data: ${LARGE}`);
      } else socket.write('HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n');
    });
    const line = `read line; head -c ${LARGE.length} /dev/zero | tr '\\0' x; cat > /dev/null`;
    const half = `http://127.0.0.1:${(halves.address() as AddressInfo).port}`;
    running = await startRelayProcess(
      {
        silent: { url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/mcp`, era: 'both' },
        'half-json': { url: `${half}/json`, era: 'both' },
        'half-stream': { url: `${half}/stream`, era: 'both' },
        'half-translated': { url: `${half}/stream`, era: 'modern' },
        'half-frame': { url: `ws://127.0.0.1:${pipes.port}/mcp`, maxSessions: 100 },
        'half-event': { url: `http://127.0.0.1:${pipes.port}/sse`, transport: 'http-sse', maxSessions: 100 },
        'half-line': { command: 'sh', args: ['-c', line], maxSessions: 100 },
      },
      {
        relay: { pins: { servers: ['half-json', 'half-stream'] } },
      },
    );
  });
  after(async () => {
    await running?.stop();
    await pipes?.close();
    for (const server of [silent, halves]) {
      server.closeAllConnections();
      server.close();
    }
  });

  const kept = () => running.metric('postern_relay_budget_held_bytes{budget="keptBytes"}');
  const sent = () => running.metric('postern_relay_budget_held_bytes{budget="requestBytes"}');

  it('who sends forty calls of almost four megabytes and gets no answers', async () => {
    const statuses: number[] = [];
    const calls = Array.from({ length: 40 }, async (_, id) => {
      const params = { name: 'wait', arguments: { padding: LARGE } };
      const call = { jsonrpc: '2.0', id, method: 'tools/call', params };
      const answer = await running.post('silent', call, { patience: 20_000 }).catch(() => undefined);
      statuses.push(answer?.status ?? 0);
    });
    await until('some are refused', () => statuses.includes(429));
    await running.goodCall();
    assert.ok((await sent()) <= 64 * MIB);
    silent.closeAllConnections();
    await Promise.all(calls);
    await until('nothing is held', async () => (await sent()) === 0);
  });

  for (const [what, item] of [
    ['empty objects', '{}'],
    ['empty lists', '[]'],
    ['short texts', '"ab"'],
    ['objects in objects', '{"a":{"b":{}}}'],
    ['numbers that keep their zeros', '1.0'],
  ] as const)
    it(`who sends thirty calls of almost four megabytes of ${what} and gets no answers`, async () => {
      const list = `[${Array.from({ length: Math.floor(3_900_000 / (item.length + 1)) }, () => item).join(',')}]`;
      const calls = Array.from({ length: 30 }, async (_, id) => {
        const call = `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"wait","arguments":{"list":${list}}}}`;
        const answer = await running.post('silent', call, { patience: 30_000 }).catch(() => undefined);
        return answer?.status ?? 0;
      });
      const first = await Promise.race(calls);
      assert.ok([413, 429].includes(first), String(first));
      await running.goodCall();
      assert.ok((await sent()) <= 64 * MIB);
      silent.closeAllConnections();
      await Promise.all(calls);
      await until('nothing is held', async () => (await sent()) === 0);
      await running.goodCall();
    });

  it('who begins two hundred bodies and ends none', async () => {
    const sockets = Array.from({ length: 200 }, () => {
      const socket = connect(running.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(
        `POST /servers/good/mcp HTTP/1.1\r\nHost: mcp.example.com\r\nX-Authenticated-User: mallory\r\nContent-Type: application/json\r\nContent-Length: 4000000\r\n\r\n${'x'.repeat(560_000)}`,
      );
      return socket;
    });
    const answers: string[] = [];
    for (const socket of sockets) socket.on('data', (chunk) => answers.push(String(chunk).slice(0, 12)));
    await until('some are refused', () => answers.includes('HTTP/1.1 429'));
    await running.goodCall();
    assert.ok((await sent()) <= 64 * MIB);
    for (const socket of sockets) socket.destroy();
    await until('nothing is held', async () => (await sent()) === 0);
  });

  for (const [server, message] of [
    ['half-json', CALL],
    ['half-stream', CALL],
    ['half-translated', INITIALIZE],
  ] as const)
    it(`who makes sixty calls that are answered by halves (${server})`, async () => {
      const statuses: number[] = [];
      const calls = Array.from({ length: 60 }, async (_, id) => {
        const answer = await running.post(server, { ...message, id }, { patience: 20_000 }).catch(() => undefined);
        statuses.push(answer?.status ?? 0);
      });
      await until('some are refused', () => statuses.length > 10);
      await running.goodCall();
      assert.ok((await kept()) <= 64 * MIB, String(await kept()));
      halves.closeAllConnections();
      await Promise.all(calls);
      await until('nothing is held', async () => (await kept()) === 0);
      await running.goodCall();
    });

  for (const server of ['half-frame', 'half-event', 'half-line'])
    it(`who begins sixty sessions in which the server says half a message (${server})`, async () => {
      const statuses: number[] = [];
      const leave = new AbortController();
      const sessions = Array.from({ length: 60 }, async () => {
        const options = { patience: 20_000, signal: leave.signal };
        const answer = await running.post(server, INITIALIZE, options).catch(() => undefined);
        statuses.push(answer?.status ?? 0);
      });
      await until('some are refused', () => statuses.filter((status) => status === 429).length > 10);
      await running.goodCall();
      assert.ok((await kept()) <= 64 * MIB, String(await kept()));
      leave.abort();
      await Promise.all(sessions);
      await until('nothing is held', async () => (await kept()) === 0);
      await running.goodCall();
    });

  it('who begins a hundred WebSocket messages and ends none', async () => {
    const sockets = Array.from({ length: 100 }, () => {
      const socket = connect(running.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(
        'GET /servers/good/ws HTTP/1.1\r\nHost: mcp.example.com\r\nX-Authenticated-User: mallory\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mcp\r\n\r\n',
      );
      socket.once('data', () => {
        // A masked text frame of four million bytes, of which the last ones do not come.
        socket.write(Buffer.concat([Buffer.from('81ff00000000003d090000000000', 'hex'), Buffer.alloc(3_900_000, 'x')]));
      });
      return socket;
    });
    let ended = 0;
    for (const socket of sockets) socket.on('close', () => ended++);
    await until('some are ended', () => ended > 10);
    await running.goodCall();
    assert.ok((await sent()) <= 64 * MIB, String(await sent()));
    for (const socket of sockets) socket.destroy();
    await until('nothing is held', async () => (await sent()) === 0);
  });
});
