import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, it } from 'mocha';
import { CONNECTION_TIMES } from '../../../../src/relay/transports/channel/connection.ts';
import { until } from '../../../support/until.ts';
import { endAll, onEnd, relay } from '../../support/relay.ts';
import { answer, event, openStream, scriptedServer } from '../../support/scripted-server.ts';
import { openWebSocket } from '../../support/web-socket.ts';

const errorOf = (message: Record<string, unknown>) => message.error as { code: number; message: string };

describe('a WebSocket connection', () => {
  afterEach(endAll);

  const start = async (overrides: object = {}, deps: Parameters<typeof relay>[1] = {}) => {
    const server = await scriptedServer();
    return { ...server, running: await relay({ servers: { one: { url: server.url } }, ...overrides }, deps) };
  };

  it('answers what is no message with a JSON-RPC error and goes on', async () => {
    const { running, seen } = await start();
    const client = await openWebSocket(running.port);
    const cases: Array<[string, number, unknown]> = [
      ['{', -32700, null],
      ['', -32700, null],
      ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600, null],
      ['{"jsonrpc":"2.0","id":101,"method":"ping","method":"tools/call"}', -32600, 101],
      ['{"jsonrpc":"2.0","id":102,"method":"ping","Method":"tools/call"}', -32600, 102],
      ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600, null],
      ['{"id":103,"method":"ping"}', -32600, 103],
      [
        '{"jsonrpc":"2.0","id":104,"method":"ping","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}',
        -32022,
        104,
      ],
    ];
    for (const [text, code, id] of cases) {
      client.socket.send(text);
      await once(client.socket, 'message');
      const message = client.received.at(-1) ?? {};
      assert.deepEqual([errorOf(message).code, message.id], [code, id], text);
    }
    assert.equal(seen.length, 0);
    assert.ok((await client.initialize()).result);
    assert.match(await running.metrics(), /requests_total\{server="one",method="proxy",outcome="refused"\} 8/);
  });

  it('is closed with 1003 for a binary frame, 1007 for bad UTF-8, 1009 for one that is too large', async () => {
    const { running, seen } = await start({ limits: { maxBody: '1KiB' } });
    const binary = await openWebSocket(running.port);
    binary.socket.send(Buffer.from('{"jsonrpc":"2.0","id":1,"method":"ping"}'));
    assert.equal((await binary.closed)[0], 1003);
    const garbled = await openWebSocket(running.port);
    garbled.socket.send(Buffer.from([0x22, 0xc3, 0x28, 0x22]), { binary: false });
    assert.equal((await garbled.closed)[0], 1007);
    const large = await openWebSocket(running.port);
    large.request('ping', { text: 'x'.repeat(1024) });
    assert.equal((await large.closed)[0], 1009);
    assert.equal(seen.length, 0);
    const fits = await openWebSocket(running.port);
    assert.ok((await fits.initialize()).result);
  });

  it('refuses a second initialize, and more requests at a time than a session may have, and answers those that it took', async () => {
    let held: Array<() => void> = [];
    const server = await scriptedServer({
      post: (message, response) => {
        if (message.method !== 'tools/call') return false;
        held.push(() => answer(message, response));
        return true;
      },
    });
    const budgets = { session: { maxRequests: 64 } };
    const running = await relay({ servers: { one: { url: server.url } }, budgets });
    const client = await openWebSocket(running.port);
    await client.initialize();
    const again = await client.answerTo(client.request('initialize'));
    assert.equal(errorOf(again).code, -32600);

    const ids = Array.from({ length: 200 }, () => client.request('tools/call'));
    await client.answerTo(ids.at(-1) as number);
    const refused = client.received.filter(
      (message) => message.error !== undefined && ids.includes(Number(message.id)),
    );
    assert.equal(refused.length, 136);
    assert.match(errorOf(refused[0] ?? {}).message, /too much at once: .* as this session may have \(64\)/);
    assert.deepEqual((refused[0] as { error: { data: unknown } }).error.data, { retryAfter: 1 });
    while (held.length < 64) await sleep(5);
    for (const release of held) release();
    held = [];
    for (const id of ids.slice(0, 64)) assert.ok((await client.answerTo(id)).result);
    const last = client.request('tools/call');
    while (held.length < 1) await sleep(5);
    held[0]?.();
    assert.ok((await client.answerTo(last)).result);
  });

  it('lets the client wait for a server that takes no more', async () => {
    let held: Array<() => void> | undefined = [];
    let most = 0;
    const server = await scriptedServer({
      post: (message, response) => {
        if (message.method !== 'notifications/progress') return false;
        if (held === undefined) return false;
        most = held.push(() => answer(message, response));
        return true;
      },
    });
    const running = await relay({ servers: { one: { url: server.url } } });
    const client = await openWebSocket(running.port);
    await client.initialize();
    const text = 'x'.repeat(8 * 1024);
    for (let n = 0; n < 2_000; n++) client.notify('notifications/progress', { n, text });
    await until('the server has all that it is sent at once', () => most === 128);
    let before = -1;
    while (before !== client.socket.bufferedAmount) {
      before = client.socket.bufferedAmount;
      await sleep(100);
    }
    assert.equal(most, 128, 'no more while none of them is answered');
    assert.ok(before > 100_000, `${before} bytes still wait at the client`);
    const release = held;
    held = undefined;
    for (const go of release) go();
    assert.ok((await client.answerTo(client.request('tools/list'))).result);
    const numbers = () => server.seen.map(({ message }) => (message?.params as { n?: number } | undefined)?.n);
    while (new Set(numbers()).size < 2_001) await sleep(20);
  });

  it('lets the server wait for a client that does not read', async () => {
    let written = 0;
    const total = 64 * 1024 * 1024;
    const text = 'x'.repeat(64 * 1024);
    const server = await scriptedServer({
      post: (message, response) => {
        if (message.method !== 'tools/call') return false;
        openStream(response);
        const more = (): void => {
          while (written < total) {
            written += text.length;
            if (!response.write(event({ method: 'notifications/message', params: { level: 'info', data: text } })))
              return void response.once('drain', more);
          }
          response.end(event({ id: message.id as number, result: {} }));
        };
        more();
        return true;
      },
    });
    const running = await relay({ servers: { one: { url: server.url } } });
    const client = await openWebSocket(running.port);
    await client.initialize();
    client.socket.pause();
    const id = client.request('tools/call');
    let before = -1;
    while (written === 0 || before !== written) {
      before = written;
      await sleep(200);
    }
    assert.ok(written < total / 2, `the server could write ${written} bytes`);
    // Others are not held up by it.
    const other = await openWebSocket(running.port, 'bob');
    assert.ok((await other.initialize()).result);
    client.socket.resume();
    assert.ok((await client.answerTo(id)).result);
    assert.equal(
      client.received.filter(({ method }) => method === 'notifications/message').length,
      total / text.length,
    );
  });

  it('keeps the order of what the server says, also over split and joined pieces', async () => {
    const server = await scriptedServer({
      post: (message, response) => {
        if (message.method !== 'tools/call') return false;
        openStream(response);
        const all = Buffer.from(
          [
            ...Array.from({ length: 50 }, (_, n) =>
              event({ method: 'notifications/progress', params: { n, x: 'ü€🐘' } }),
            ),
            event({ id: message.id as number, result: {} }),
          ].join(''),
        );
        void (async () => {
          for (let at = 0; at < all.length; at += 401) {
            response.write(all.subarray(at, at + 401));
            await sleep(1);
          }
          response.end();
        })();
        return true;
      },
    });
    const running = await relay({ servers: { one: { url: server.url } } });
    const client = await openWebSocket(running.port);
    await client.initialize();
    await client.answerTo(client.request('tools/call'));
    const steps = client.received.filter(({ method }) => method === 'notifications/progress');
    assert.deepEqual(
      steps.map(({ params }) => params),
      Array.from({ length: 50 }, (_, n) => ({ n, x: 'ü€🐘' })),
    );
    assert.equal(client.received.at(-1)?.method, undefined);
  });

  it('answers pings, but not more of them than the client reads', async () => {
    const { running } = await start();
    const client = await openWebSocket(running.port);
    let pongs = 0;
    client.socket.on('pong', () => {
      pongs += 1;
    });
    client.socket.ping('hello');
    const [payload] = await once(client.socket, 'pong');
    assert.equal(String(payload), 'hello');
    client.socket.pause();
    const pings = 200_000;
    for (let n = 0; n < pings; n++) client.socket.ping('x'.repeat(125));
    while (client.socket.bufferedAmount > 0) await sleep(10);
    await sleep(200);
    client.socket.resume();
    assert.ok((await client.initialize()).result);
    assert.ok(pongs < pings, `${pongs} pongs were kept`);
  });

  it('is closed with 1008 after connectionLifetime, so that the client passes the proxy again', async () => {
    const { running, seen } = await start({ limits: { connectionLifetime: '300ms' } });
    const client = await openWebSocket(running.port);
    await client.initialize();
    assert.equal((await client.closed)[0], 1008);
    while (!seen.some(({ method }) => method === 'DELETE')) await sleep(5);
  });

  it('is ended when the client answers no ping', async () => {
    const { running } = await start({}, { times: { ...CONNECTION_TIMES, ping: 50 } });
    const alive = await openWebSocket(running.port);
    const dead = await openWebSocket(running.port, 'bob', { autoPong: false });
    assert.equal((await dead.closed)[0], 1006);
    await sleep(150);
    assert.equal(alive.socket.readyState, alive.socket.OPEN);
    assert.match(await running.metrics(), /open_streams\{transport="websocket"\} 1/);
  });

  it('at the end of the relay: idle ones close with 1001 at once, busy ones after their answer', async () => {
    let release = () => {};
    const server = await scriptedServer({
      post: (message, response) => {
        if (message.method !== 'tools/call') return false;
        release = () => answer(message, response);
        return true;
      },
    });
    const running = await relay({ servers: { one: { url: server.url } } }, { drain: '20s' });
    const [idle, busy] = [await openWebSocket(running.port), await openWebSocket(running.port, 'bob')];
    await idle.initialize();
    await busy.initialize();
    const id = busy.request('tools/call');
    while (!server.seen.some(({ message }) => message?.method === 'tools/call')) await sleep(5);
    const end = running.close();
    onEnd(() => end);
    assert.equal((await idle.closed)[0], 1001);
    assert.match(errorOf(await busy.answerTo(busy.request('ping'))).message, /shutting down; reconnect/);
    release();
    assert.ok((await busy.answerTo(id)).result);
    assert.equal((await busy.closed)[0], 1001);
    await end;
    assert.equal(server.seen.filter(({ method }) => method === 'DELETE').length, 2);
  });

  it('at the end of the relay does not outlive `drain`, however busy', async () => {
    const server = await scriptedServer({ post: (message) => message.method === 'tools/call' });
    const running = await relay({ servers: { one: { url: server.url } } }, { drain: '100ms' });
    const client = await openWebSocket(running.port);
    await client.initialize();
    client.request('tools/call');
    await running.close();
    assert.equal((await client.closed)[0], 1001);
  });
});
