import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'mocha';
import { ask, endAll, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { askModern, type Json, modernRequest } from './support/wire.ts';

const PROGRAM = fileURLToPath(new URL('../support/scripted-program.js', import.meta.url));
const META = 'io.modelcontextprotocol/';

/** Where the relay itself answers stateless clients: a server with sessions, a program, and all as one. */
const PLACES: Readonly<Record<string, readonly [path: string, prefix: string]>> = {
  'a server with sessions': ['/servers/one/mcp', ''],
  'a program': ['/servers/two/mcp', ''],
  'all as one': ['/mcp', 'one__'],
};

async function start(script: Parameters<typeof scriptedServer>[0] = {}) {
  const { url } = await scriptedServer(script);
  const servers = { one: { url, era: 'legacy' }, two: { command: process.execPath, args: [PROGRAM] } };
  return (await relay({ servers, aggregate: { servers: ['one', 'two'], timeout: '10s' } })).port;
}

describe('the relay as a server of the stateless era', function () {
  this.timeout(30_000);
  afterEach(endAll);

  for (const [place, [path]] of Object.entries(PLACES)) {
    for (const [what, meta] of [
      ['revision', { [`${META}protocolVersion`]: undefined }],
      ['abilities', { [`${META}clientCapabilities`]: undefined }],
      ['abilities that are an object', { [`${META}clientCapabilities`]: ['elicitation'] }],
    ] as const)
      it(`refuses a request without ${what}: ${place}`, async () => {
        const { status, error } = await askModern(await start(), 'alice', 'tools/list', {}, meta, path);
        assert.deepEqual([status, error?.code], [400, -32602], error?.message);
        assert.match(error?.message ?? '', /io\.modelcontextprotocol/);
      });

    it(`needs no name of the client: ${place}`, async () => {
      const nameless = { [`${META}clientInfo`]: undefined };
      assert.equal((await askModern(await start(), 'alice', 'tools/list', {}, nameless, path)).status, 200);
    });

    it(`names the revisions that it speaks to a client of another one: ${place}`, async () => {
      const { headers, body } = modernRequest('alice', 'tools/list');
      const later = { headers: headers.map((field) => (field === '2026-07-28' ? '2027-03-01' : field)), path };
      const answer = await ask(await start(), { ...later, body: body.replaceAll('2026-07-28', '2027-03-01') });
      const { error } = JSON.parse(answer.text) as { error: { code: number; data: Json } };
      assert.deepEqual([answer.status, error.code, error.data.requested], [400, -32022, '2027-03-01']);
      assert.ok((error.data.supported as string[]).includes('2026-07-28'));
    });

    it(`refuses a request whose id is null: ${place}`, async () => {
      const { headers, body } = modernRequest('alice', 'tools/list');
      const answer = await ask(await start(), { headers, path, body: body.replace('"id":1', '"id":null') });
      assert.deepEqual([answer.status, JSON.parse(answer.text).error.code], [400, -32600]);
    });
  }

  for (const [declared, asked] of [
    [{ form: {} }, false],
    [{}, false],
    [{ url: {} }, true],
  ] as const)
    it(`${asked ? 'leads' : 'does not lead'} a client to an address that declares ${JSON.stringify(declared)}`, async () => {
      const question = { mode: 'url', message: 'go there', url: 'https://a.example/go', elicitationId: 'x' };
      const port = await start({
        post: ({ id, method, error }, response) => {
          const say = (message: object) =>
            response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
          if (method === 'tools/call') {
            response.writeHead(200, { 'Content-Type': 'text/event-stream' });
            say({ id: 'question', method: 'elicitation/create', params: question });
            waiting = () =>
              response.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } })}\n\n`);
            return true;
          }
          if (error !== undefined) waiting();
          return undefined;
        },
      });
      const able = { [`${META}clientCapabilities`]: { elicitation: declared } };
      const { result } = await askModern(port, 'alice', 'tools/call', { name: 'it' }, able);
      assert.equal(result?.resultType, asked ? 'input_required' : 'complete', JSON.stringify(result));
    });
  let waiting = () => {};

  it('carries extensions that a server with sessions offers', async () => {
    const port = await start({
      post: ({ id, method }, response) => {
        if (method !== 'initialize') return undefined;
        const capabilities = { tools: {}, extensions: { 'com.example/x': { a: 1 } } };
        const result = { protocolVersion: '2025-11-25', capabilities, serverInfo: { name: 'x', version: '1' } };
        response.writeHead(200, { 'Content-Type': 'application/json', 'Mcp-Session-Id': 's' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
        return true;
      },
    });
    const { result } = await askModern(port, 'alice', 'server/discover');
    assert.deepEqual((result?.capabilities as Json | undefined)?.extensions, { 'com.example/x': { a: 1 } });
  });
});
