import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, describe, it } from 'mocha';
import { turnFor } from '../../../src/relay/transports/turns.ts';
import { until } from '../../support/until.ts';
import { ask, CALL, endAll, onEnd, relay } from '../support/relay.ts';
import { answer, scriptedServer } from '../support/scripted-server.ts';
import { openWebSocket } from '../support/web-socket.ts';

const LARGE = 'x'.repeat(200_000);

describe('turns of large messages', () => {
  afterEach(endAll);

  it('are one for each turn of the event loop, in the order of asking', async () => {
    const order: string[] = [];
    const turns = ['a', 'b', 'c'].map((name) => turnFor(LARGE.length)?.then(() => order.push(name)));
    assert.deepEqual(order, []);
    for (const expected of ['a', 'ab', 'abc']) {
      await new Promise(setImmediate);
      assert.equal(order.join(''), expected);
    }
    await Promise.all(turns);
    assert.equal(turnFor(1_000), undefined);
  });

  it('let what arrives in between be heard', async () => {
    const server = createServer((_, response) => response.end('heard')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onEnd(() => server.close());
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    onEnd(() => socket.destroy());
    let taken = 0;
    let takenWhenHeard: number | undefined;
    socket.on('data', () => {
      takenWhenHeard ??= taken;
    });
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    const busy = () => {
      const until = performance.now() + 5;
      while (performance.now() < until);
      taken += 1;
    };
    await Promise.all(Array.from({ length: 100 }, () => turnFor(LARGE.length)?.then(busy)));
    assert.ok(takenWhenHeard !== undefined && takenWhenHeard < 50, String(takenWhenHeard));
  });

  it('keep the order of the messages of a WebSocket, also around one that is large', async () => {
    const order: unknown[] = [];
    const server = await scriptedServer({
      post: (message, response) => {
        if (message.method !== 'tools/call') return false;
        order.push(message.id);
        answer(message, response);
        return true;
      },
    });
    const running = await relay({ servers: { one: { url: server.url } } });
    const client = await openWebSocket(running.port);
    await client.initialize();
    const call = (text: string) => client.request('tools/call', { name: 'x', arguments: { text } });
    const ids = [call('s'), call(LARGE), call('s'), call(LARGE), call('s')];
    for (const id of ids) await client.answerTo(id);
    assert.deepEqual(order, ids);
    assert.ok((await client.answerTo(call('s'))).result, 'goes on afterwards');
  });

  it('end a WebSocket whose large message waits as they end any', async () => {
    const server = await scriptedServer();
    const running = await relay({ servers: { one: { url: server.url } } });
    const client = await openWebSocket(running.port);
    await client.initialize();
    client.request('tools/call', { name: 'x', arguments: { text: LARGE } });
    client.socket.terminate();
    await until('nothing is held', async () =>
      /budget_held_bytes\{budget="requestBytes"\} 0\n/.test(await running.metrics()),
    );
  });

  it('are not spent for a client that left before its own came, and the next is served', async () => {
    const server = await scriptedServer();
    const running = await relay({ servers: { one: { url: server.url, era: 'both' } } });
    const body = CALL.replace('"add"', `"add","arguments":{"text":"${LARGE}"}`);
    const head = `POST /servers/one/mcp HTTP/1.1\r\nHost: x\r\nX-Authenticated-User: alice\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: ${body.length}\r\n\r\n`;
    for (let i = 0; i < 20; i++)
      connect(running.port, '127.0.0.1')
        .on('error', () => {})
        .end(head + body);
    await until('nothing is held', async () =>
      /budget_held_bytes\{budget="requestBytes"\} 0\n/.test(await running.metrics()),
    );
    assert.equal((await ask(running.port, { body, headers: ['X-Authenticated-User', 'alice'] })).status, 200);
  });
});
