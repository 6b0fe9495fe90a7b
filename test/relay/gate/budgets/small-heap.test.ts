import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { after, before, describe, it } from 'mocha';
import { until } from '../../../support/until.ts';
import { type RelayProcess, startRelayProcess } from '../../hostile/support/relay-process.ts';

const LARGE = 'x'.repeat(3_900_000);
const MIB = 1024 * 1024;

describe('a relay with a heap of 400 MiB, against one user', function () {
  this.timeout(120_000);
  let running: RelayProcess;
  let silent: Server;

  before(async () => {
    // Takes every request and answers none.
    silent = createServer((request) => request.resume());
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    running = await startRelayProcess({
      silent: { url: `http://127.0.0.1:${(silent.address() as AddressInfo).port}/mcp`, era: 'both' },
    });
  });
  after(async () => {
    await running?.stop();
    silent.closeAllConnections();
    silent.close();
  });

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
});
