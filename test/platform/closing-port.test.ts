import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHttpServer, drain, listen, sendJson } from '../../src/platform/http.ts';
import { createLogger } from '../../src/platform/log.ts';
import { openListenerTls } from '../../src/platform/tls.ts';
import { TestAuthority } from '../support/certificates.ts';

const LIMITS = { maxHeaderSize: 4096, requestTimeout: 5000 };

/** Clients that ask again and again, each time on a new connection, until nobody takes it. Counts what became of it. */
const FLOOD = `
const [scheme, port, clients] = process.argv.slice(1);
const { get } = require('node:' + scheme);
const counts = {};
const ask = () => new Promise((resolve) => {
  const of = (what) => { counts[what] = (counts[what] ?? 0) + 1; resolve(what); };
  get({ host: '127.0.0.1', port, agent: false, rejectUnauthorized: false }, (response) => {
    response.resume().on('end', () => of(response.statusCode)).on('error', (error) => of(error.code));
  }).on('error', (error) => of(error.code));
});
const steadily = async () => { while (await ask() === 200); };
Promise.all(Array.from({ length: clients }, steadily)).then(() => console.log(JSON.stringify(counts)));
`;

describe('a port that is closed while more is asked than can be done', function () {
  this.timeout(30_000);
  const authority = new TestAuthority();
  after(() => authority.remove());

  for (const [scheme, clients] of [
    ['http', 40],
    ['http', 200],
    ['https', 40],
  ] as const)
    it(`answers every one of ${clients} clients that it has let connect over ${scheme}`, async () => {
      const log = createLogger('auth', 'error', { write: () => {} });
      const files = {
        ...authority.issue('server', 'DNS:localhost'),
        clientCertificate: 'none',
        minVersion: '1.2',
      } as const;
      const tls = scheme === 'https' ? openListenerTls(files, 'auth.tls', { log }) : undefined;
      const server = createHttpServer({ ...LIMITS, tls }, (_request, response) => {
        for (const end = performance.now() + 3; performance.now() < end; );
        response.shouldKeepAlive = false;
        sendJson(response, 200, {});
      });
      const port = await listen(server, { host: '127.0.0.1', port: 0 });
      const flood = spawn(process.execPath, ['-e', FLOOD, scheme, String(port), String(clients)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const told = text(flood.stdout);
      await once(server, 'request');
      await sleep(1_000);
      await drain(server, 15_000);
      const counts = JSON.parse(await told) as Record<string, number>;
      assert.ok((counts['200'] ?? 0) >= clients, JSON.stringify(counts));
      assert.deepEqual(Object.keys(counts).sort(), ['200', 'ECONNREFUSED'], JSON.stringify(counts));
    });

  it('does not end with those who leave or reset before they are served', async () => {
    const server = createHttpServer(LIMITS, (_request, response) => sendJson(response, 200, {}));
    const port = await listen(server, { host: '127.0.0.1', port: 0 });
    const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const drained = drain(server, 1_000);
    for (const [at, socket] of sockets.entries()) at % 2 === 0 ? socket.resetAndDestroy() : socket.destroy();
    await drained;
    assert.equal(server.listening, false);
  });
});
