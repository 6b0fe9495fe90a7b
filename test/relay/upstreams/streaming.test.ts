import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, IncomingMessage, ServerResponse, request as send } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, it } from 'mocha';
import type { Dispatcher } from 'undici';
import { HttpUpstream } from '../../../src/relay/upstreams/http-upstream.ts';
import { passThrough } from '../../../src/relay/upstreams/passthrough.ts';
import { ResponseRelay } from '../../../src/relay/upstreams/response-relay.ts';
import { ask, CALL, ECHO, endAll, onEnd, rejection, relay, upstream } from '../support/relay.ts';

const SILENCE = { own: 60_000, passed: 60_000 };
const USER = ['X-Authenticated-User', 'alice'];

/** Opens a request and answers as soon as the response's headers are there. */
async function open(port: number, method = 'POST'): Promise<IncomingMessage> {
  const headers = { 'X-Authenticated-User': 'alice', 'Content-Type': 'application/json' };
  const request = send({ host: '127.0.0.1', port, method, path: '/servers/one/mcp', headers, agent: false });
  request.on('error', () => {});
  request.end(method === 'POST' ? CALL : undefined);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  onEnd(() => response.destroy());
  return response;
}

function stream(response: ServerResponse): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  response.write('data: first\n\n');
}

describe('responses of MCP servers', () => {
  afterEach(endAll);

  it('come event by event: the first is here while the server still writes', async () => {
    const held: ServerResponse[] = [];
    const url = await upstream((_request, response) => {
      held.push(response);
      stream(response);
    });
    const running = await relay({ servers: { one: { url } } });
    for (const method of ['POST', 'GET']) {
      const response = await open(running.port, method);
      const [first] = await once(response, 'data');
      assert.equal(String(first), 'data: first\n\n');
      assert.equal(response.headers['x-accel-buffering'], 'no');
      assert.equal(response.headers['cache-control'], 'no-cache, no-transform');
      held.at(-1)?.end('data: last\n\n');
      const [last] = await once(response, 'data');
      assert.equal(String(last), 'data: last\n\n');
    }
  });

  it('are cancelled at the server when the client leaves', async () => {
    let seen: (() => void) | undefined;
    const closed = new Promise<void>((resolve) => {
      seen = resolve;
    });
    const url = await upstream((_request, response) => {
      response.on('close', () => seen?.());
      stream(response);
    });
    const running = await relay({ servers: { one: { url } } });
    const response = await open(running.port);
    await once(response, 'data');
    assert.match(await running.metrics(), /open_streams\{transport="streamable-http"\} 1/);
    response.destroy();
    await closed;
    assert.match(await running.metrics(), /open_streams\{transport="streamable-http"\} 0/);
    assert.match(await running.metrics(), /outcome="client_gone"\} 1/);
  });

  it('of 100 MiB come whole, and nobody else waits for them', async () => {
    const piece = Buffer.alloc(1024 * 1024, 'x');
    const url = await upstream(async (request, response) => {
      let text = '';
      for await (const part of request) text += part;
      response.writeHead(200, { 'Content-Type': 'application/json' });
      if (!text.includes('huge')) return void response.end('{"jsonrpc":"2.0","id":7,"result":{}}');
      response.write('{"jsonrpc":"2.0","id":7,"result":{"text":"');
      for (let n = 0; n < 100; n++) if (!response.write(piece)) await once(response, 'drain');
      response.end('"}}');
    });
    const running = await relay({ servers: { one: { url } } });
    const huge = ask(running.port, { headers: USER, body: CALL.replace('"add"', '"huge"') });
    assert.equal((await ask(running.port, { headers: ['X-Authenticated-User', 'bob'] })).status, 200);
    assert.equal((await huge).text.length, 100 * 1024 * 1024 + 45);
  });

  it('are cut, counted and logged when the server dies in the middle', async () => {
    const url = await upstream((_request, response) => {
      stream(response);
      setImmediate(() => response.destroy());
    });
    const running = await relay({ servers: { one: { url } } });
    const response = await open(running.port);
    response.resume();
    await new Promise((resolve) => response.on('close', resolve));
    assert.equal(response.complete, false);
    assert.match(await running.metrics(), /outcome="upstream_cut"\} 1/);
    assert.ok(running.logs.some((line) => line.includes('the MCP server failed')));
  });

  it('wait for a slow reader: the server is not read empty into memory', async () => {
    let written = 0;
    const total = 256 * 1024 * 1024;
    const chunk = Buffer.alloc(64 * 1024, 'x');
    let full: (() => void) | undefined;
    const blocked = new Promise<void>((resolve) => {
      full = resolve;
    });
    const url = await upstream((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      const pump = () => {
        while (written < total) {
          written += chunk.length;
          if (!response.write(chunk)) {
            setTimeout(() => full?.(), 500);
            response.once('drain', pump);
            return;
          }
        }
      };
      pump();
    });
    const running = await relay({ servers: { one: { url } } });
    const response = await open(running.port);
    response.pause();
    await blocked;
    assert.ok(written < 32 * 1024 * 1024, `${written} bytes were taken from the server`);
  });

  it('are not cut later by a pause of the reader that is over', async () => {
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    const unheard = () => {};
    const passing = new ResponseRelay(
      response,
      {
        expectsAnswer: true,
        mayStreamEarly: false,
        ...{ seal: String, refuse: unheard, streamOpened: unheard, streamClosed: unheard },
        ...{ answered: unheard, ended: unheard },
      },
      { keepAlive: 60_000, stalled: 50, silence: SILENCE },
    );
    const controller = { pause: unheard, resume: unheard, abort: unheard } as unknown as Dispatcher.DispatchController;
    passing.onResponseStart(controller, 200, {});
    for (const _piece of [1, 2]) passing.onResponseData(controller, Buffer.alloc(1024 * 1024));
    response.emit('drain');
    await sleep(200);
    assert.equal(response.destroyed, false);
  });

  it('get a comment line in silence, but never inside an event', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: torn');
      setTimeout(() => response.write(' apart\n\n'), 200);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const target = new HttpUpstream({ url: origin, timeout: 5000 }, 60_000);
    const front = createServer((_request, response) => {
      const nothing = () => {};
      const sent = { method: 'GET', era: 'legacy', headers: [] as string[], body: null, caller: undefined } as const;
      const events = {
        expectsAnswer: true,
        mayStreamEarly: false,
        seal: String,
        refuse: nothing,
        streamOpened: nothing,
        streamClosed: nothing,
      };
      const times = { keepAlive: 20, stalled: 60_000, silence: SILENCE };
      passThrough(target, sent, response, { ...events, answered: nothing, ended: nothing }, times, undefined);
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    onEnd(async () => {
      server.closeAllConnections();
      front.closeAllConnections();
      server.close();
      front.close();
      await target.close();
    });
    const request = send({ host: '127.0.0.1', port: (front.address() as AddressInfo).port, agent: false });
    request.on('error', () => {});
    request.end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => {});
    let text = '';
    for await (const part of response) {
      text += part;
      if (text.includes('apart\n\n: keep-alive')) break;
    }
    assert.match(text, /data: torn apart\n\n: keep-alive\n\n/);
  });
});

describe('what passes and what does not', () => {
  afterEach(endAll);

  it('keeps credentials and identity from the server, and the server’s cookies from the client', async () => {
    const running = await relay({
      servers: { one: { url: await upstream(ECHO) } },
      trust: { secret: 's3cret-of-proxy' },
    });
    const headers = [
      ...USER,
      ...['X-Authenticated-Email', 'a@example.com', 'X-Postern-Proxy-Secret', 's3cret-of-proxy'],
      ...['Authorization', 'Bearer of-the-client', 'Cookie', 'session=1', 'X-Forwarded-For', '192.0.2.1'],
      ...['Remote-User', 'root', 'X-Api-Key', 'k', 'Traceparent', '00-a-b-01', 'Mcp-Param-Region', 'eu'],
      ...['Accept', 'application/json, text/event-stream'],
    ];
    const answer = await ask(running.port, { headers, path: '/servers/one/mcp?debug=1' });
    assert.equal(answer.status, 200, answer.text);
    const { result } = JSON.parse(answer.text);
    assert.deepEqual(Object.keys(result.headers).sort(), [
      'accept',
      'connection',
      'content-length',
      'content-type',
      'host',
      'mcp-param-region',
      'traceparent',
    ]);
    assert.equal(result.url, '/mcp');
    assert.equal(answer.headers['set-cookie'], undefined);
    assert.equal(answer.headers['www-authenticate'], undefined);
    assert.ok(!running.logs.join('').includes('of-the-client'));
  });

  it('turns the server’s refusals, redirects, pages, silence and absence into its own answers', async () => {
    let status = 401;
    let page = '';
    const url = await upstream((_request, response) => {
      const type = page === '' ? {} : { 'Content-Type': 'text/html; charset=utf-8' };
      if (status !== 0) response.writeHead(status, { Location: 'http://127.0.0.1/elsewhere', ...type }).end(page);
    });
    const gone = await relay({ servers: { one: { url: 'http://127.0.0.1:1/mcp' } } });
    const running = await relay({ servers: { one: { url, timeout: '300ms' } } });
    for (const [upstreamStatus, expected] of [
      [401, 502],
      [403, 502],
      [307, 502],
      [0, 504],
    ] as const) {
      status = upstreamStatus;
      const answer = await ask(running.port, { headers: USER });
      assert.equal(answer.status, expected);
      assert.equal(rejection(answer).id, 7);
    }
    page = '<h1>Error</h1><pre>at secret.js:1</pre>';
    for (const [upstreamStatus, expected] of [
      [200, 502],
      [500, 502],
      [404, 404],
    ] as const) {
      status = upstreamStatus;
      const answer = await ask(running.port, { headers: USER });
      assert.equal(answer.status, expected);
      assert.deepEqual(rejection(answer), {
        ...{ code: -32000, id: 7 },
        message: 'the MCP server answered with a page instead of a message',
      });
    }
    assert.equal((await ask(gone.port, { headers: USER })).status, 502);
    assert.match(await gone.metrics(), /upstream_up\{server="one"\} 0/);
  });
});
