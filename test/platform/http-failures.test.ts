import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { createHttpServer, drain, listen, type RequestHandler } from '../../src/platform/http.ts';
import { onWebSocketUpgrade } from '../../src/platform/websocket-upgrade.ts';

const planted = () => new Error('planted');
const later = () => new Promise((resolve) => setImmediate(resolve));

/** How an answer may fail, and what the client gets then. */
const FAILURES: Readonly<Record<string, readonly [RequestHandler, RegExp]>> = {
  'an exception': [
    () => {
      throw planted();
    },
    /^HTTP\/1\.1 500 .*"internal_error"/s,
  ],
  'a rejection': [() => Promise.reject(planted()), /^HTTP\/1\.1 500 .*"internal_error"/s],
  'a rejection later on': [
    async () => {
      await later();
      throw planted();
    },
    /^HTTP\/1\.1 500 .*"internal_error"/s,
  ],
  'what is no error': [() => Promise.reject('planted'), /^HTTP\/1\.1 500 .*"internal_error"/s],
  'a header that cannot be written': [
    (_request, response) => response.writeHead(302, { Location: '/\u0100' }).end(),
    /^HTTP\/1\.1 500 .*"internal_error"/s,
  ],
  'a failure in the midst of an answer': [
    async (_request, response) => {
      response.writeHead(200, { 'Content-Length': '10' });
      response.write('half');
      await later();
      throw planted();
    },
    /^HTTP\/1\.1 200 .*half$/s,
  ],
};

describe('a handler of requests that fails', () => {
  let server: Server;
  let port: number;
  let logged: string[];
  let failing: RequestHandler;
  const uncaught: unknown[] = [];
  const note = (error: unknown) => void uncaught.push(error);

  beforeEach(async () => {
    logged = [];
    const log = { error: (about: { error: unknown }) => logged.push(String(about.error)) };
    server = createHttpServer(
      { maxHeaderSize: 4_096, requestTimeout: 5_000, log: log as never },
      (request, response) => (request.url === '/failing' ? failing(request, response) : response.end('fine')),
    );
    onWebSocketUpgrade(server, (request) => failing(request, undefined as never), log as never);
    port = await listen(server, { host: '127.0.0.1', port: 0 });
    uncaught.length = 0;
    process.on('unhandledRejection', note);
  });
  afterEach(async () => {
    process.off('unhandledRejection', note);
    await drain(server, 0);
  });

  async function raw(text: string): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    socket.write(text);
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk;
      if (/\}$/.test(answer)) socket.end();
    });
    socket.on('error', () => {});
    await once(socket, 'close');
    return answer;
  }

  async function othersAreAnswered(): Promise<void> {
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`)).text(), 'fine');
    assert.deepEqual(uncaught, []);
    assert.deepEqual(logged.length, 1, logged.join());
  }

  for (const [what, [handler, answer]] of Object.entries(FAILURES)) {
    it(`by ${what}: that request alone fails`, async () => {
      failing = handler;
      assert.match(await raw('POST /failing HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc'), answer);
      await othersAreAnswered();
    });

    it(`by ${what} at an upgrade: that connection alone ends`, async () => {
      failing = handler;
      const head = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
      assert.equal(await raw(head), '');
      await othersAreAnswered();
    });
  }
});
