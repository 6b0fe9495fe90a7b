import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { PosternError } from '../../src/platform/errors.ts';
import { createHttpServer, drain, endKeepAlive, listen, requestId, sendJson } from '../../src/platform/http.ts';

const LIMITS = { maxHeaderSize: 4096, requestTimeout: 5000 };

describe('HTTP server', () => {
  let server: Server;
  let port: number;
  beforeEach(async () => {
    server = createHttpServer(LIMITS, (request, response) => {
      if (request.url === '/stream') response.write('open\n');
      else sendJson(response, 200, { ok: 'ä' });
    });
    port = await listen(server, { host: '127.0.0.1', port: 0 });
  });
  afterEach(() => drain(server, 0));

  async function raw(text: string): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    socket.end(text);
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    return answer;
  }

  it('answers JSON with its length in bytes, never to be stored', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(response.headers.get('content-length'), String(Buffer.byteLength('{"ok":"ä"}')));
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.deepEqual(await response.json(), { ok: 'ä' });
  });

  it('forgets an answer once it is given, though its connection stays open', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    let given: WeakRef<ServerResponse> | undefined;
    server.on('request', (_request, response: ServerResponse) => {
      given = new WeakRef(response);
    });
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await once(socket, 'data');
    for (let turn = 0; turn < 20 && given?.deref() !== undefined; turn++) {
      await sleep(5);
      collect();
    }
    assert.equal(given?.deref(), undefined);
    assert.equal(socket.closed, false);
    socket.destroy();
  });

  it('answers 431 to headers beyond the limit', async () => {
    assert.match(await raw(`GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(5000)}\r\n\r\n`), /^HTTP\/1\.1 431 /);
  });

  for (const [name, lines] of [
    ['tiny ones', (i: number) => `A-${i}: b`],
    ['one name many times', () => 'A: b'],
    ['empty ones', (i: number) => `E${i}:`],
    ['upgrades', (i: number) => (i === 0 ? 'Upgrade: websocket' : `U${i}: b`)],
  ] as const)
    it(`answers 431 to more header fields than are read, and reads all of fewer: ${name}`, async () => {
      const ask = (count: number) =>
        raw(`GET / HTTP/1.1\r\nHost: a\r\n${Array.from({ length: count }, (_, i) => lines(i)).join('\r\n')}\r\n\r\n`);
      for (const count of [300, 350]) {
        const answer = await ask(count);
        assert.match(answer, /^HTTP\/1\.1 431 /, String(count));
        assert.match(answer, /Connection: close/);
        assert.match(answer, /a request may have 300 header fields/);
      }
      assert.match(await ask(299), /^HTTP\/1\.1 200 /);
    });

  for (const [name, text] of [
    ['no HTTP', 'nonsense\r\n\r\n'],
    [
      'both a length and chunks',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['no host', 'GET / HTTP/1.1\r\n\r\n'],
  ] as const)
    it(`answers 400 to ${name}`, async () => assert.match(await raw(text), /^HTTP\/1\.1 400 /));

  it('says which address is taken', async () => {
    await assert.rejects(
      listen(
        createHttpServer(LIMITS, () => {}),
        { host: '127.0.0.1', port },
      ),
      (error: unknown) => {
        assert.ok(error instanceof PosternError);
        assert.equal(error.message, `cannot listen on 127.0.0.1:${port}: EADDRINUSE`);
        return true;
      },
    );
  });

  it('takes no new connection while it drains, and cuts a stream that outlasts it', async () => {
    const response = await fetch(`http://127.0.0.1:${port}/stream`);
    const body = response.text();
    const refusedBody = assert.rejects(body);
    let drained: Promise<void> | undefined;
    await new Promise<void>((resolve) => {
      drained = drain(server, 50, resolve);
    });
    const late = connect(port, '127.0.0.1');
    const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
    assert.equal(error.code, 'ECONNREFUSED');
    await Promise.all([drained, refusedBody]);
  });

  it('answers all that wait to be taken when it drains, and says when nobody can connect any more', async () => {
    const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'));
    const answers = sockets.map(async (socket) => {
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
      let answer = '';
      for await (const chunk of socket) answer += chunk;
      return answer.slice(0, 12);
    });
    // The kernel connects them meanwhile; the server has seen none.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    let open: boolean | undefined;
    await drain(server, 5_000, () => {
      open = server.listening;
    });
    assert.equal(open, false);
    assert.deepEqual(new Set(await Promise.all(answers)), new Set(['HTTP/1.1 200']));
  });

  it('asks for no further request on a connection whose answer is under way, or ends it with that answer', async () => {
    const waiting: ServerResponse[] = [];
    const slow = createHttpServer(LIMITS, (_request, response) => void waiting.push(response));
    const slowPort = await listen(slow, { host: '127.0.0.1', port: 0 });
    const ask = () => {
      const socket = connect(slowPort, '127.0.0.1');
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      return text(socket);
    };
    const [unanswered, begun, done] = [ask(), ask(), ask()];
    while (waiting.length < 3) await sleep(5);
    const [first, second, third] = waiting as [ServerResponse, ServerResponse, ServerResponse];
    second.write('begun');
    third.end('done');
    await once(third, 'finish');
    endKeepAlive(slow);
    first.end('late');
    second.end();
    assert.match(await unanswered, /\r\nConnection: close\r\n.*late/s);
    assert.match(await begun, /\r\nConnection: keep-alive\r\n.*begun/s);
    await drain(slow, 1_000);
    assert.match(await done, /done/);
  });

  it('is drained at once where it never listened', () =>
    drain(
      createHttpServer(LIMITS, () => {}),
      60_000,
    ));
});

describe('requestId', () => {
  const of = (value: string | undefined) =>
    requestId({ rawHeaders: value === undefined ? [] : ['X-Request-Id', value] } as unknown as IncomingMessage);
  it('keeps a harmless one', () => assert.equal(of('abc-123_=/+.:'), 'abc-123_=/+.:'));
  for (const value of [undefined, '', 'a b', 'a\nb', 'x'.repeat(129), '{"a":1}'])
    it(`makes a new one in the place of ${JSON.stringify(value)?.slice(0, 20)}`, () => {
      assert.match(of(value), /^[0-9a-f-]{36}$/);
      assert.notEqual(of(value), of(value));
    });
});

describe('a peer that sends what is no HTTP', () => {
  it('is answered 400 and loses its connection, although it does not close it', async () => {
    const server = createHttpServer(LIMITS, (_request, response) => response.end());
    const port = await listen(server, { host: '127.0.0.1', port: 0 });
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    socket.write('GARBAGE\r\n\r\n');
    await once(socket, 'end');
    assert.match(answer, /^HTTP\/1\.1 400 /);
    for (let turns = 0; turns < 100 && (await connections(server)) > 0; turns++) await sleep(20);
    assert.equal(await connections(server), 0);
    socket.destroy();
    await drain(server, 0);
  });

  it('cannot hide a header behind many others', async () => {
    const names: string[] = [];
    const server = createHttpServer(LIMITS, (request, response) => {
      names.push(...request.rawHeaders.filter((_, index) => index % 2 === 0));
      response.end();
    });
    const port = await listen(server, { host: '127.0.0.1', port: 0 });
    const junk = Array.from({ length: 250 }, (_, index) => `a${index}: b\r\n`).join('');
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${junk}X_Authenticated_User: eve\r\n\r\n`);
    await once(socket.resume(), 'end');
    assert.equal(names.length, 253);
    assert.equal(names.at(-1), 'X_Authenticated_User');
    await drain(server, 0);
  });
});

function connections(server: ReturnType<typeof createHttpServer>): Promise<number> {
  return new Promise((resolve, reject) =>
    server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}
