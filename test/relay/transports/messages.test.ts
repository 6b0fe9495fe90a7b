import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, describe, it } from 'mocha';
import { ask, CALL, ECHO, endAll, rejection, relay, type Sent, upstream } from '../support/relay.ts';

const USER = ['X-Authenticated-User', 'alice'];
const MODERN = ['MCP-Protocol-Version', '2026-07-28'];
const LEGACY = ['MCP-Protocol-Version', '2025-11-25'];

async function start(more: object = {}) {
  return relay({ servers: { one: { url: await upstream(ECHO) } }, ...more });
}

describe('what is asked', () => {
  afterEach(endAll);

  const refusals: Array<[name: string, sent: Sent, status: number, code: number, id: unknown]> = [
    ['another path', { path: '/servers/one/other' }, 404, -32000, null],
    ['an unknown server', { path: '/servers/two/mcp' }, 404, -32000, null],
    ['an encoded path', { path: '/servers/%6fne/mcp' }, 404, -32000, null],
    ['another method', { method: 'PUT' }, 405, -32000, null],
    ['a token in the query', { path: '/servers/one/mcp?access_token=x' }, 400, -32000, null],
    ['a foreign Origin', { headers: [...USER, 'Origin', 'https://evil.example'] }, 403, -32000, null],
    ['another content type', { headers: [...USER, 'Content-Type', 'text/plain'] }, 415, -32000, null],
    ['another charset', { headers: [...USER, 'Content-Type', 'application/json; charset=utf-7'] }, 415, -32000, null],
    [
      'two charsets',
      { headers: [...USER, 'Content-Type', 'application/json; charset=utf-8; charset=utf-16'] },
      415,
      -32000,
      null,
    ],
    ['a second method', { body: '{"jsonrpc":"2.0","id":3,"method":"a","Method":"b"}' }, 400, -32600, 3],
    ['no JSON', { body: '{' }, 400, -32700, null],
    ['no UTF-8', { body: Buffer.from([0x22, 0xff, 0x22]) }, 400, -32700, null],
    ['a batch', { body: `[${CALL}]` }, 400, -32600, null],
    ['JSON-RPC 1.0', { body: '{"id":3,"method":"x"}' }, 400, -32600, 3],
    ['an object as id', { body: '{"jsonrpc":"2.0","id":{},"method":"x"}' }, 400, -32600, null],
    ['a body over the limit', { body: JSON.stringify({ x: 'x'.repeat(2000) }) }, 413, -32000, null],
    ['a chunked body over the limit', { body: 'x'.repeat(2000), trailers: [] }, 413, -32000, null],
  ];
  for (const [name, sent, status, code, id] of refusals)
    it(`${name} is answered ${status}`, async () => {
      const running = await start({ limits: { maxBody: '1KiB' } });
      const answer = await ask(running.port, { headers: USER, ...sent });
      assert.equal(answer.status, status, answer.text);
      const error = rejection(answer);
      assert.deepEqual([error.code, error.id], [code, id]);
      assert.match(await running.metrics(), /postern_relay_rejected_total\{reason="\w+"\} 1/);
    });

  it('answers OPTIONS, and takes the Origins it was told', async () => {
    const running = await start({ allowedOrigins: ['https://app.example'] });
    assert.equal((await ask(running.port, { method: 'OPTIONS' })).status, 204);
    for (const origin of ['https://mcp.example.com', 'https://app.example'])
      assert.equal((await ask(running.port, { headers: [...USER, 'Origin', origin] })).status, 200);
  });
});

describe('headers and body agree', () => {
  afterEach(endAll);

  const call = (name: unknown, meta?: object) =>
    JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name, ...meta } });
  const meta = (version: string) => ({ _meta: { 'io.modelcontextprotocol/protocolVersion': version } });
  const named = (name: string) => [...MODERN, 'Mcp-Method', 'tools/call', 'Mcp-Name', name];
  const base64 = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;

  const cases: Array<[name: string, headers: string[], body: string, status: number]> = [
    ['modern, all agree', named('add'), call('add', meta('2026-07-28')), 200],
    ['modern, encoded name', named(base64('größe')), call('größe'), 200],
    ['modern, other encoded name', named(base64('delete')), call('add'), 400],
    ['modern, no Mcp-Method', MODERN, call('add'), 400],
    ['modern, other Mcp-Method', [...MODERN, 'Mcp-Method', 'tools/list'], call('add'), 400],
    ['modern, no Mcp-Name', [...MODERN, 'Mcp-Method', 'tools/call'], call('add'), 400],
    ['modern, other Mcp-Name', named('add'), call('delete'), 400],
    ['modern, name as Latin-1', named('d\xe4nger'), call('d\xe4nger'), 400],
    ['modern, name as UTF-8', named('d\xc3\xa4nger'), call('d\xc3\xa4nger'), 400],
    [
      'modern, method as Latin-1',
      [...MODERN, 'Mcp-Method', 't\xf6ols'],
      call('add').replace('tools/call', 't\xf6ols'),
      400,
    ],
    ['legacy, name as Latin-1', [...LEGACY, 'Mcp-Name', 'd\xe4nger'], call('d\xe4nger'), 400],
    ['modern, name in a second spelling of its encoding', named('=?base64?YR==?='), call('a'), 400],
    ['modern, name in an unknown encoding', named('=?utf-8?a?='), call('=?utf-8?a?='), 400],
    ['modern, other version in the body', named('add'), call('add', meta('2025-11-25')), 400],
    ['legacy version, modern body', LEGACY, call('add', meta('2026-07-28')), 400],
    ['no version, modern body', [], call('add', meta('2026-07-28')), 400],
    ['legacy without the headers', LEGACY, call('add'), 200],
    ['legacy, agreeing headers', [...LEGACY, 'Mcp-Method', 'tools/call', 'Mcp-Name', 'add'], call('add'), 200],
    ['legacy, other Mcp-Method', [...LEGACY, 'Mcp-Method', 'tools/list'], call('add'), 400],
    ['legacy, other Mcp-Name', [...LEGACY, 'Mcp-Name', 'add'], call('delete'), 400],
  ];
  for (const [name, headers, body, status] of cases)
    it(`${name}: ${status}`, async () => {
      const running = await start();
      const answer = await ask(running.port, { headers: [...USER, ...headers], body });
      assert.equal(answer.status, status, answer.text);
      if (status === 400) assert.deepEqual([rejection(answer).code, rejection(answer).id], [-32020, 7]);
    });

  it('modern GET and DELETE are no part of the protocol; a version that is none is named so', async () => {
    const running = await start();
    for (const method of ['GET', 'DELETE'])
      assert.equal((await ask(running.port, { method, headers: [...USER, ...MODERN] })).status, 405);
    const answer = await ask(running.port, { headers: [...USER, 'MCP-Protocol-Version', 'latest'] });
    assert.deepEqual([answer.status, rejection(answer).code], [400, -32022]);
  });
});

describe('sessions belong to the user who opened them', () => {
  afterEach(endAll);

  it('on every replica with the same key, and to nobody else', async () => {
    const got: Array<string | string[] | undefined> = [];
    const url = await upstream((request, response) => {
      got.push(request.headers['mcp-session-id']);
      request.resume().on('end', () => {
        response.writeHead(200, { 'Content-Type': 'application/json', 'Mcp-Session-Id': 'raw-id' }).end('{}');
      });
    });
    const servers = { one: { url }, two: { url } };
    const sessionKey = randomBytes(32).toString('base64url');
    const [first, second, stranger] = await Promise.all([
      relay({ servers, sessionKey }),
      relay({ servers, sessionKey }),
      relay({ servers }),
    ]);
    const opened = (await ask(first.port, { headers: USER })).headers['mcp-session-id'] as string;
    assert.ok(!opened.includes('raw-id') && !Buffer.from(opened, 'base64url').includes('raw-id'));
    const session = ['Mcp-Session-Id', opened];
    const again = await ask(second.port, { headers: [...USER, ...session] });
    assert.deepEqual([again.status, again.headers['mcp-session-id']], [200, opened]);
    assert.deepEqual(got, [undefined, 'raw-id']);

    const bob = ['X-Authenticated-User', 'bob'];
    const torn = `${opened.slice(0, -4)}AAAA`;
    const refused = [
      await ask(first.port, { headers: [...bob, ...session] }),
      await ask(first.port, { headers: [...bob, ...session], method: 'DELETE' }),
      await ask(first.port, { headers: [...USER, ...session], path: '/servers/two/mcp' }),
      await ask(first.port, { headers: [...USER, 'Mcp-Session-Id', torn] }),
      await ask(first.port, { headers: [...USER, 'Mcp-Session-Id', 'raw-id'] }),
      await ask(stranger.port, { headers: [...USER, ...session] }),
    ];
    for (const answer of refused)
      assert.deepEqual([answer.status, rejection(answer).message], [404, 'session not found']);
    assert.equal(got.length, 2);
    const metrics = await first.metrics();
    assert.match(metrics, /reason="session_owner"\} 2/);
    assert.match(metrics, /reason="session_server"\} 1/);
    assert.match(metrics, /reason="session_unknown"\} 2/);
  });
});
