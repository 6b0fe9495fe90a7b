import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, it } from 'mocha';
import { CONNECTION_TIMES } from '../../../../src/relay/transports/channel/connection.ts';
import { startEverythingServer } from '../../../support/everything-server.ts';
import { freePorts } from '../../../support/free-port.ts';
import { endAll, onEnd, relay } from '../../support/relay.ts';
import { answer, event, openStream, type Script, SESSION, scriptedServer } from '../../support/scripted-server.ts';
import { openWebSocket } from '../../support/web-socket.ts';

type Json = Record<string, unknown>;
const utf8 = (field: unknown) => (typeof field === 'string' ? Buffer.from(field, 'latin1').toString() : undefined);
const errorOf = (message: Json) => message.error as { code: number; message: string };
const TIMES = { ...CONNECTION_TIMES, retry: { first: 20, longest: 100, attempts: 4 } };

async function connected(script: Script, overrides: { timeout?: string; limits?: object } = {}) {
  const server = await scriptedServer(script);
  const { timeout = '10s', ...rest } = overrides;
  const running = await relay({ servers: { one: { url: server.url, timeout } }, ...rest }, { times: TIMES });
  const client = await openWebSocket(running.port);
  await client.initialize();
  return { ...server, running, client };
}

/** Only calls of tools are the test's. */
const onCall =
  (act: (message: Json, response: ServerResponse) => void): Script['post'] =>
  (message, response) => {
    if (message.method !== 'tools/call') return false;
    act(message, response);
    return true;
  };

describe('a connection whose server fails', () => {
  afterEach(endAll);

  it('names the session and the version in every request after the first, and ends it', async () => {
    const { seen, client } = await connected({});
    await client.answerTo(client.request('tools/list'));
    client.socket.close();
    while (!seen.some(({ method }) => method === 'DELETE')) await sleep(5);
    assert.equal(seen[0]?.headers['mcp-session-id'], undefined);
    for (const { headers } of seen.slice(1)) {
      assert.equal(headers['mcp-session-id'], SESSION);
      assert.equal(headers['mcp-protocol-version'], '2025-06-18');
      assert.equal(headers['x-authenticated-user'], undefined);
      assert.equal(headers.host?.startsWith('127.0.0.1:'), true);
    }
    // A client that does not wait must not be overtaken by itself.
    assert.deepEqual(
      seen.filter(({ method }) => method === 'POST').map(({ message }) => message?.method),
      ['initialize', 'notifications/initialized', 'tools/list'],
    );
  });

  it('sends nothing past what makes the session, however fast the client is', async () => {
    const open = new Set<string>();
    const { url, seen } = await scriptedServer({
      post: (message, response) => {
        const method = String(message.method);
        assert.deepEqual([...open], [], `${method} came before the answer`);
        open.add(method);
        setTimeout(() => {
          open.delete(method);
          answer(message, response);
        }, 30);
        return true;
      },
    });
    const running = await relay({ servers: { one: { url } } });
    const client = await openWebSocket(running.port);
    client.request('initialize', { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: {} });
    client.notify('notifications/initialized');
    assert.ok((await client.answerTo(client.request('tools/list'))).result);
    const posts = seen.filter(({ method }) => method === 'POST');
    assert.deepEqual(
      posts.map(({ message, headers }) => [message?.method, headers['mcp-session-id']]),
      [
        ['initialize', undefined],
        ['notifications/initialized', SESSION],
        ['tools/list', SESSION],
      ],
    );
  });

  const failures: Array<[string, Script['post'], RegExp]> = [
    ['a reset', onCall((_message, response) => response.destroy()), /cannot be reached/],
    ['no headers in time', onCall(() => {}), /did not answer in time/],
    ['an empty 202', onCall((_message, response) => response.writeHead(202).end()), /gave no answer/],
    ['its refusal of the relay', onCall((_message, response) => response.writeHead(401).end()), /refused the relay/],
    ['a redirect', onCall((_message, response) => response.writeHead(307, { Location: '/' }).end()), /redirect/],
    ['a page', onCall((_message, response) => response.writeHead(502).end('<html>')), /answered 502/],
    [
      'half a JSON text',
      onCall((_message, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '100' });
        response.write('{"jsonrpc":');
        setTimeout(() => response.destroy(), 20);
      }),
      /broke before/,
    ],
    [
      'a stream that breaks',
      onCall((_message, response) => {
        openStream(response);
        response.write(event({ method: 'notifications/progress' }));
        setTimeout(() => response.destroy(), 20);
      }),
      /broke before/,
    ],
    [
      'an answer to another request',
      onCall((_message, response) => {
        openStream(response);
        response.end(event({ id: 99_999, result: {} }));
      }),
      /gave no answer/,
    ],
    [
      'an answer over the limit',
      onCall((message, response) => {
        openStream(response);
        response.end(event({ id: message.id, result: { text: 'x'.repeat(100_000) } }));
      }),
      /larger than/,
    ],
    [
      'a JSON-RPC error without id',
      onCall((_message, response) => {
        response.writeHead(400, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32099, message: 'not like this' } }));
      }),
      /not like this/,
    ],
  ];
  for (const [what, post, says] of failures)
    it(`tells the client of ${what}, by the request's id, and goes on`, async () => {
      const { client, running } = await connected(
        { ...(post && { post }) },
        { timeout: '300ms', limits: { maxServerMessage: '64KiB' } },
      );
      const failed = await client.answerTo(client.request('tools/call'));
      assert.match(errorOf(failed).message, says);
      assert.ok((await client.answerTo(client.request('tools/list'))).result);
      assert.equal((await fetch(running.url)).status, 401);
    });

  it('tells the client once when its session is lost, answers what waits, and closes with 1011', async () => {
    let lost = false;
    const { client, seen } = await connected({
      post: (message, response) => {
        if (message.method === 'tools/call') return true;
        if (lost) response.writeHead(404).end();
        return lost;
      },
    });
    const waits = client.request('tools/call');
    while (!seen.some(({ message }) => message?.method === 'tools/call')) await sleep(5);
    lost = true;
    const asks = client.request('tools/list');
    assert.equal((await client.closed)[0], 1011);
    for (const id of [waits, asks]) assert.match(errorOf(await client.answerTo(id)).message, /ended the session/);
    await sleep(50);
    assert.ok(!seen.some(({ method }) => method === 'DELETE'));
  });

  it('takes up the stream of notifications where it broke, and the rest of an answer', async () => {
    let streams = 0;
    const { client, seen } = await connected({
      get: (response, request) => {
        const from = request.headers['last-event-id'];
        openStream(response);
        if (from === 'call-1') response.end(event({ id: 2, result: { resumed: true } }, 'call-2'));
        else {
          streams += 1;
          response.write(
            event(
              { method: 'notifications/message', params: { stream: streams, from: utf8(from) } },
              `öwn-€${streams}`,
            ),
          );
          if (streams < 3) setTimeout(() => (streams === 1 ? response.end() : response.destroy()), 20);
        }
        return true;
      },
      post: onCall((_message, response) => {
        openStream(response);
        response.end('id: call-1\nretry: 30\ndata:\n\n');
      }),
    });
    assert.deepEqual((await client.answerTo(client.request('tools/call'))).result, { resumed: true });
    await client.find(({ params }) => (params as Json | undefined)?.stream === 3);
    const heard = client.received.filter(({ method }) => method === 'notifications/message');
    assert.deepEqual(
      heard.map(({ params }) => (params as Json).from),
      [undefined, 'öwn-€1', 'öwn-€2'],
    );
    assert.ok(seen.some(({ headers }) => headers['last-event-id'] === 'call-1'));
  });

  it('goes on without an event id that no header can hold', async () => {
    const { client } = await connected({
      get: (response, request) => {
        openStream(response);
        const from = request.headers['last-event-id'] ?? 'the start';
        response.end(event({ method: 'notifications/message', params: { from } }, 'a\u0001b'));
        return true;
      },
    });
    while (client.received.filter(({ method }) => method === 'notifications/message').length < 3) await sleep(10);
    const heard = client.received.filter(({ method }) => method === 'notifications/message');
    assert.ok(heard.every(({ params }) => (params as Json).from === 'the start'));
  });

  it('gives the server up when its stream cannot be opened any more', async () => {
    let dead = false;
    const { client, running } = await connected({
      get: (response) => {
        if (dead) response.writeHead(503).end();
        else openStream(response);
        if (!dead) setTimeout(() => response.destroy(), 50);
        dead = true;
        return true;
      },
    });
    assert.equal((await client.closed)[0], 1011);
    const other = await openWebSocket(running.port, 'bob');
    assert.ok((await other.initialize()).result);
  });

  it('ends requests at the server when the client leaves or cancels', async () => {
    const closed: unknown[] = [];
    const { client, seen } = await connected({
      post: onCall((message, response) => {
        openStream(response);
        response.on('close', () => closed.push(message.id));
      }),
    });
    const [cancelled, left] = [client.request('tools/call'), client.request('tools/call')];
    while (seen.filter(({ message }) => message?.method === 'tools/call').length < 2) await sleep(5);
    client.notify('notifications/cancelled', { requestId: cancelled });
    while (closed.length < 1) await sleep(5);
    assert.deepEqual(closed, [cancelled]);
    client.socket.terminate();
    while (closed.length < 2) await sleep(5);
    assert.deepEqual(closed, [cancelled, left]);
    assert.deepEqual(
      client.received.filter(({ id }) => id === cancelled),
      [],
    );
  });

  it('outlives a real server that is killed in the middle of a call and started again', async () => {
    const [port] = (await freePorts(1)) as [number];
    const everything = await startEverythingServer(port);
    onEnd(() => everything.stop());
    const running = await relay({ servers: { one: { url: `http://127.0.0.1:${port}/mcp` } } }, { times: TIMES });
    const client = await openWebSocket(running.port);
    await client.initialize();
    const call = client.request('tools/call', {
      name: 'trigger-long-running-operation',
      arguments: { duration: 60, steps: 60 },
      _meta: { progressToken: 1 },
    });
    await client.find(({ method }) => method === 'notifications/progress');
    await everything.stop('SIGKILL');
    assert.ok(errorOf(await client.answerTo(call)));
    assert.equal((await client.closed)[0], 1011);
    assert.match(await running.metrics(), /upstream_up\{server="one"\} 0/);
    const again = await startEverythingServer(port);
    onEnd(() => again.stop());
    const next = await openWebSocket(running.port);
    assert.ok((await next.initialize()).result);
  });
});
