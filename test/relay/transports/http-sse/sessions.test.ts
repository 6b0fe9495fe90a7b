import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request as send } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, it } from 'mocha';
import { ask, endAll, onEnd, rejection, relay } from '../../support/relay.ts';
import { answer, event, openStream, scriptedServer } from '../../support/scripted-server.ts';

const AS = (user: string) => ['X-Authenticated-User', user];
const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 'first',
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } },
});

class EventStream {
  readonly response: IncomingMessage;
  text = '';

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8').on('data', (chunk: string) => {
      this.text += chunk;
    });
    response.on('error', () => {});
    onEnd(() => response.destroy());
  }

  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.text);
      if (found !== null) return found;
      await once(this.response, 'data');
    }
  }

  async endpoint(): Promise<string> {
    return (await this.until(/^event: endpoint\ndata: (\S+)\n\n/))[1] as string;
  }
}

async function open(port: number, user = 'alice', path = '/servers/one/sse'): Promise<EventStream> {
  const headers = ['Host', 'mcp.example.com', 'Accept', 'text/event-stream', ...AS(user)];
  const request = send({ host: '127.0.0.1', port, path, headers, agent: false }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 200);
  return new EventStream(response);
}

describe('HTTP+SSE of 2024-11-05', () => {
  afterEach(endAll);

  const start = async (deps: Parameters<typeof relay>[1] = {}, overrides: object = {}) => {
    const { url, seen } = await scriptedServer();
    return { seen, running: await relay({ servers: { one: { url }, two: { url } }, ...overrides }, deps) };
  };

  it('names the address for messages below the public one, unbuffered', async () => {
    const { running } = await start({ publicUrl: 'https://mcp.example.com/gate/' });
    const stream = await open(running.port);
    const { headers } = stream.response;
    assert.equal(headers['content-type'], 'text/event-stream');
    assert.equal(headers['x-accel-buffering'], 'no');
    assert.equal(headers['cache-control'], 'no-cache, no-transform');
    assert.match(await stream.endpoint(), /^\/gate\/servers\/one\/messages\?sessionId=[\w-]{40,}$/);
  });

  it('says each message in one line, whatever ends lines for its reader', async () => {
    const text = 'a\u2028b\u2029c\u0085d';
    const { url } = await scriptedServer({
      post: ({ id }, response) => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result: { text } }));
        return true;
      },
    });
    const running = await relay({ servers: { one: { url } } });
    const stream = await open(running.port);
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'first', method: 'ping' });
    await ask(running.port, { path: await stream.endpoint(), headers: AS('alice'), body });
    const [, data] = await stream.until(/event: message\ndata: (\{.*"id":"first".*)\n\n/);
    assert.equal(JSON.parse(data as string).result.text, text);
    assert.doesNotMatch(data as string, /[\u0085\u2028\u2029]/);
  });

  it('takes messages with 202 and answers on the stream', async () => {
    const { running, seen } = await start();
    const stream = await open(running.port);
    const path = await stream.endpoint();
    const taken = await ask(running.port, { path, headers: AS('alice'), body: INITIALIZE });
    assert.equal(taken.status, 202);
    await stream.until(/event: message\ndata: \{.*"id":"first","result".*\}\n\n/);
    assert.equal(seen[0]?.headers['x-authenticated-user'], undefined);
    assert.deepEqual(seen[0]?.message, JSON.parse(INITIALIZE));
    assert.match(await running.metrics(), /open_streams\{transport="http-sse"\} 1/);
    stream.response.destroy();
    while (!seen.some(({ method }) => method === 'DELETE')) await sleep(5);
    assert.match(await running.metrics(), /open_streams\{transport="http-sse"\} 0/);
    assert.equal((await ask(running.port, { path, headers: AS('alice'), body: INITIALIZE })).status, 404);
  });

  it('refuses the session of somebody else as one that does not exist', async () => {
    const { running, seen } = await start();
    const path = await (await open(running.port)).endpoint();
    const sealed = path.split('=')[1] as string;
    const foreign = [
      await ask(running.port, { path, headers: AS('bob'), body: INITIALIZE }),
      await ask(running.port, { path: path.replace('one', 'two'), headers: AS('alice'), body: INITIALIZE }),
      await ask(running.port, { path: `${path}&sessionId=${sealed}`, headers: AS('alice'), body: INITIALIZE }),
      await ask(running.port, { path: `${path.slice(0, -2)}AA`, headers: AS('alice'), body: INITIALIZE }),
      await ask(running.port, { path: '/servers/one/messages', headers: AS('alice'), body: INITIALIZE }),
    ];
    for (const { status, text } of foreign) {
      assert.equal(status, 404);
      assert.equal(text, foreign[0]?.text);
    }
    assert.equal((await ask(running.port, { path, body: INITIALIZE })).status, 401);
    assert.equal(seen.length, 0);
    const reasons = running.logs.join('');
    assert.match(reasons, /session_owner/);
    assert.match(reasons, /session_server/);
    // Nor is it a session of the other transport.
    const headers = [...AS('alice'), 'Mcp-Session-Id', sealed];
    await ask(running.port, { headers, body: INITIALIZE });
    assert.match(String(seen[0]?.headers['mcp-session-id']), /^http-sse /);
  });

  const refusals: Array<
    [string, { path?: string; headers?: string[]; body?: string | Buffer; method?: string }, number]
  > = [
    ['no identity', { headers: [] }, 401],
    ['an alias of the identity', { headers: [...AS('alice'), 'x_authenticated_user', 'root'] }, 400],
    ['a foreign Origin', { headers: [...AS('alice'), 'Origin', 'https://evil.example'] }, 403],
    ['another type than JSON', { headers: [...AS('alice'), 'Content-Type', 'text/plain'] }, 415],
    ['no JSON', { body: '{' }, 400],
    ['a batch', { body: `[${INITIALIZE}]` }, 400],
    ['a key that comes twice', { body: '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}' }, 400],
    ['a body that is too large', { body: JSON.stringify({ x: 'y'.repeat(3000) }) }, 413],
    ['another method', { method: 'PUT' }, 405],
    [
      'headers of the stateless era, by which a proxy may have decided',
      { headers: [...AS('alice'), 'MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', 'initialize'] },
      400,
    ],
    ['a method header that lies', { headers: [...AS('alice'), 'Mcp-Method', 'ping'] }, 400],
  ];
  for (const [what, sent, status] of refusals)
    it(`refuses a message with ${status} for ${what}`, async () => {
      const { running, seen } = await start({}, { limits: { maxBody: '2KiB' } });
      const path = await (await open(running.port)).endpoint();
      const answered = await ask(running.port, { path, headers: AS('alice'), body: INITIALIZE, ...sent });
      assert.equal(answered.status, status, answered.text);
      assert.ok(rejection(answered).code < 0);
      assert.equal(seen.length, 0);
    });

  it('refuses a stream without identity, with a token in the query, to an unknown server', async () => {
    const { running } = await start();
    const get = (path: string, headers: string[]) => ask(running.port, { method: 'GET', path, headers });
    assert.equal((await get('/servers/one/sse', [])).status, 401);
    assert.equal((await get('/servers/one/sse?access_token=x', AS('alice'))).status, 400);
    assert.equal((await get('/servers/none/sse', AS('alice'))).status, 404);
    assert.equal((await get('/servers/one/sse', [...AS('alice'), 'MCP-Protocol-Version', '2026-07-28'])).status, 400);
    assert.equal((await ask(running.port, { path: '/servers/one/sse', headers: AS('alice') })).status, 405);
    const options = await ask(running.port, { method: 'OPTIONS', path: '/servers/one/messages' });
    assert.deepEqual([options.status, options.headers.allow], [204, 'POST, OPTIONS']);
  });

  it('lets the server wait for a client that does not read, and takes no more of its messages', async () => {
    let written = 0;
    const { url } = await scriptedServer({
      post: (message, response) => {
        if (message.method !== 'tools/call') return false;
        openStream(response);
        const more = (): void => {
          written += 64 * 1024;
          const data = event({ method: 'notifications/message', params: { data: 'x'.repeat(64 * 1024) } });
          if (written > 64 * 1024 * 1024) response.end();
          else if (response.write(data)) setImmediate(more);
          else response.once('drain', more);
        };
        more();
        return true;
      },
    });
    const running = await relay({ servers: { one: { url } } });
    const stream = await open(running.port);
    const path = await stream.endpoint();
    stream.response.pause();
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'much', method: 'tools/call', params: {} });
    assert.equal((await ask(running.port, { path, headers: AS('alice'), body })).status, 202);
    let before = -1;
    while (written === 0 || before !== written) {
      before = written;
      await sleep(200);
    }
    assert.ok(written < 32 * 1024 * 1024, `the server could write ${written} bytes`);
    const more = await ask(running.port, { path, headers: AS('alice'), body: INITIALIZE });
    assert.equal(more.status, 429);
    stream.response.removeAllListeners('data');
    let end = '';
    stream.response.on('data', (chunk: string) => {
      end = (end + chunk).slice(-500);
    });
    stream.response.resume();
    while (!/gave no answer to this request"\},"id":"much"/.test(end)) await once(stream.response, 'data');
  });

  it('ends after connectionLifetime', async () => {
    const { running } = await start({}, { limits: { connectionLifetime: '200ms' } });
    const stream = await open(running.port);
    await once(stream.response, 'end');
    assert.match(await running.metrics(), /open_streams\{transport="http-sse"\} 0/);
  });

  it('at the end of the relay answers what was asked, then ends its streams', async () => {
    let release: (() => void) | undefined;
    const { url } = await scriptedServer({
      post: (message, response) => {
        if (message.method !== 'tools/call') return false;
        release = () => answer(message, response);
        return true;
      },
    });
    const running = await relay({ servers: { one: { url } } }, { drain: '20s' });
    const [idle, busy] = [await open(running.port), await open(running.port, 'bob')];
    const body = JSON.stringify({ jsonrpc: '2.0', id: 'slow', method: 'tools/call', params: {} });
    await ask(running.port, { path: await busy.endpoint(), headers: AS('bob'), body });
    while (release === undefined) await sleep(5);
    const ended = once(busy.response, 'end');
    const end = running.close();
    await once(idle.response, 'end');
    release();
    await busy.until(/"id":"slow","result"/);
    await ended;
    await end;
  });
});
