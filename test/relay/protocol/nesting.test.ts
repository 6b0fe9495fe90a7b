import assert from 'node:assert/strict';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, it } from 'mocha';
import { MAX_NESTING, nestsTooDeep } from '../../../src/relay/protocol/nesting.ts';
import { ask, endAll, relay, upstream } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { connectAs, sdkClient, TRANSPORTS } from '../support/sdk-client.ts';

const PROGRAM = fileURLToPath(new URL('../support/scripted-program.js', import.meta.url));
const USER = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
/** Can be parsed, cannot be stringified. */
const DEPTH = 20_000;
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

describe('messages that are nested deep', function () {
  this.timeout(30_000);
  afterEach(endAll);

  it('are told from long ones', () => {
    assert.equal(nestsTooDeep(nested(MAX_NESTING)), false);
    assert.equal(nestsTooDeep(nested(MAX_NESTING + 1)), true);
    assert.equal(nestsTooDeep(JSON.stringify({ text: nested(DEPTH), quoted: `"\\${nested(DEPTH)}` })), false);
    assert.equal(nestsTooDeep(JSON.stringify(Array.from({ length: DEPTH }, () => [{}]))), false);
  });

  for (const [what, rest] of [
    ['a request', '"id":1,"method":"tools/call","params":{"name":"add","arguments":'],
    ['an answer', '"id":1,"result":{"content":'],
  ] as const)
    it(`${what} of a client is refused`, async () => {
      const { url, seen } = await scriptedServer();
      const running = await relay({ servers: { one: { url } } });
      const answer = await ask(running.port, { headers: USER, body: `{"jsonrpc":"2.0",${rest}${nested(DEPTH)}}}` });
      assert.equal(answer.status, 400);
      assert.match(answer.text, /nested/);
      assert.deepEqual(seen, []);
    });

  it('a client that sends one by WebSocket to a program ends neither the relay nor its own connection', async () => {
    const running = await relay({ servers: { one: { command: process.execPath, args: [PROGRAM] } } });
    const client = sdkClient();
    const transport = TRANSPORTS.websocket(running.port, 'alice');
    await client.connect(transport);
    const deep = JSON.parse(nested(MAX_NESTING + 100)) as unknown;
    await assert.rejects(client.callTool({ name: 'meta', arguments: { deep } }), /nested/);
    assert.ok((await client.listTools()).tools.length > 0);
  });

  it('a program that says one is not heard, and the relay goes on', async () => {
    const running = await relay({ servers: { one: { command: process.execPath, args: [PROGRAM] } } });
    const client = await connectAs(running.url, 'alice');
    await client.callTool({
      name: 'raw',
      arguments: { line: `{"jsonrpc":"2.0","method":"x","params":${nested(DEPTH)}}` },
    });
    assert.ok((await client.listTools()).tools.length > 0);
  });

  it('an error of a server that holds one is no answer to a client of the other era', async () => {
    const error = `"error":{"code":-32000,"message":"no","data":${nested(DEPTH)}}`;
    const url = await upstream(async (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      await once(request, 'end');
      const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id: number; method: string };
      const discovered = '"result":{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}';
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},${method === 'server/discover' ? discovered : error}}`);
    });
    const running = await relay({ servers: { one: { url, era: 'modern' } } });
    const client = await connectAs(running.url, 'alice');
    await assert.rejects(client.callTool({ name: 'any' }), /no answer/);
  });
});
