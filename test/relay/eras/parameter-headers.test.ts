import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { ask, endAll, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { askModern, type Json, modernRequest } from './support/wire.ts';

const mirrored = (type: string, field: string) => ({ type, 'x-mcp-header': field });
const TOOL = {
  name: 'it',
  inputSchema: {
    type: 'object',
    properties: {
      region: mirrored('string', 'Region'),
      count: mirrored('integer', 'Count'),
      sure: mirrored('boolean', 'Sure'),
      at: { type: 'object', properties: { place: mirrored('string', 'Place') } },
      free: { type: 'string' },
    },
  },
};
const OTHER = { name: 'other', inputSchema: { type: 'object', properties: { region: mirrored('string', 'Zone') } } };

const PROGRAM = `
const answer = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line);
  const about = { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'one', version: '1' } };
  if (method === 'initialize') answer(id, about);
  else if (method === 'tools/list') answer(id, { tools: ${JSON.stringify([OTHER, TOOL])} });
  else if (id !== undefined) answer(id, { content: [] });
});
`;

/** A server by HTTP of either era, which lists its tools a page at a time and looks at no header. */
async function httpServer(era: 'legacy' | 'modern', tools: readonly object[] = [OTHER, TOOL]) {
  let listed = tools;
  const { url, seen } = await scriptedServer({
    post: ({ id, method, params }, response) => {
      if (id === undefined) return false;
      const page = Number((params as Json).cursor ?? 0);
      const results: Record<string, object> = {
        initialize: {
          protocolVersion: '2025-11-25',
          capabilities: { tools: {} },
          serverInfo: { name: 'one', version: '1' },
        },
        'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} } },
        'tools/list': {
          tools: listed.slice(page, page + 1),
          ...(page + 1 < listed.length && { nextCursor: String(page + 1) }),
        },
      };
      response.writeHead(200, {
        'Content-Type': 'application/json',
        ...(era === 'legacy' && { 'Mcp-Session-Id': 's' }),
      });
      const result = { resultType: 'complete', ...(results[String(method)] ?? { content: [] }) };
      return response.end(JSON.stringify({ jsonrpc: '2.0', id, result })) !== undefined;
    },
  });
  const called = (what: string) => seen.filter(({ message }) => message?.method === what);
  const list = (now: readonly object[]) => {
    listed = now;
  };
  return { url, called, list };
}

const PLACES: Readonly<Record<string, readonly [server: () => Promise<Json>, path: string, tool: string]>> = {
  'a server with sessions': [
    async () => ({ url: (await httpServer('legacy')).url, era: 'legacy' }),
    '/servers/one/mcp',
    'it',
  ],
  'a program': [async () => ({ command: process.execPath, args: ['-e', PROGRAM] }), '/servers/one/mcp', 'it'],
  'all as one, of a server with sessions': [
    async () => ({ url: (await httpServer('legacy')).url, era: 'legacy' }),
    '/mcp',
    'one__it',
  ],
  'all as one, of a server without': [
    async () => ({ url: (await httpServer('modern')).url, era: 'modern' }),
    '/mcp',
    'one__it',
  ],
};

const encoded = (text: string) => `=?base64?${Buffer.from(text).toString('base64')}?=`;

/** Arguments as JSON, the header fields of the call, and what is refused of it. */
const CASES: ReadonlyArray<readonly [args: string, fields: readonly string[], refused?: RegExp]> = [
  ['{"region":"eu"}', ['Mcp-Param-Region', 'eu']],
  ['{"region":"eu"}', ['mcp-PARAM-region', 'eu']],
  ['{"region":"eu"}', ['Mcp-Param-Region', 'us'], /Mcp-Param-Region and the argument "region" in the body differ/],
  ['{"region":"eu"}', ['Mcp-Param-Region', 'EU'], /differ/],
  ['{"region":"eu"}', ['Mcp-Param-Region', 'eu', 'Mcp-Param-Region', 'us'], /differ/],
  ['{"region":"eu"}', [], /Mcp-Param-Region is missing/],
  ['{"region":"eu"}', ['Mcp-Param-Zone', 'us', 'Mcp-Param-Region', 'eu']],
  ['{"region":"żółw"}', ['Mcp-Param-Region', encoded('żółw')]],
  ['{"region":"żółw"}', ['Mcp-Param-Region', encoded('zolw')], /differ/],
  ['{"region":"żółw"}', ['Mcp-Param-Region', encoded('żółw').replace('=?=', '?=')], /neither ASCII nor/],
  ['{"region":"eu"}', ['Mcp-Param-Region', '=?base64?e$U=?='], /neither ASCII nor/],
  ['{"region":"=?BASE64?ZXU=?="}', ['Mcp-Param-Region', '=?BASE64?ZXU=?=']],
  ['{"region":"=?odd"}', ['Mcp-Param-Region', '=?odd']],
  ['{"region":"a\\tb"}', ['Mcp-Param-Region', 'a\tb']],
  ['{"region":""}', [], /missing/],
  ['{"region":null}', []],
  ['{"region":null}', ['Mcp-Param-Region', 'eu'], /differ/],
  ['{"free":"x"}', []],
  ['{"free":"x"}', ['Mcp-Param-Region', 'eu'], /differ/],
  ['{"count":42}', ['Mcp-Param-Count', '42']],
  ['{"count":42}', ['Mcp-Param-Count', '42.0']],
  ['{"count":42.0}', ['Mcp-Param-Count', '42']],
  ['{"count":-7}', ['Mcp-Param-Count', '-7']],
  ['{"count":42}', ['Mcp-Param-Count', '43'], /differ/],
  ['{"count":42}', ['Mcp-Param-Count', '0x2a'], /differ/],
  ['{"count":9007199254740993}', ['Mcp-Param-Count', '9007199254740993']],
  ['{"count":9007199254740993}', ['Mcp-Param-Count', '9007199254740992'], /differ/],
  ['{"count":"42"}', ['Mcp-Param-Count', '42.0'], /differ/],
  ['{"sure":true}', ['Mcp-Param-Sure', 'true']],
  ['{"sure":true}', ['Mcp-Param-Sure', 'false'], /differ/],
  ['{"sure":true}', ['Mcp-Param-Sure', '1'], /differ/],
  ['{"at":{"place":"here"}}', ['Mcp-Param-Place', 'here']],
  ['{"at":{"place":"here"}}', ['Mcp-Param-Place', 'there'], /the argument "at.place"/],
  ['{"at":"here"}', []],
];

async function start(server: Json) {
  return relay({ servers: { one: server }, aggregate: { servers: ['one'], timeout: '10s' } });
}

/** @param args as JSON */
async function callOf(
  port: number,
  path: string,
  tool: string,
  args: string,
  fields: readonly string[],
  user = 'alice',
) {
  const { headers, body } = modernRequest(user, 'tools/call', { name: tool, arguments: 'ARGS' });
  const { status, text } = await ask(port, {
    path,
    headers: [...headers, ...fields],
    body: body.replace('"ARGS"', args),
  });
  return { status, ...(JSON.parse(text) as { error?: { code: number; message: string } }) };
}

describe('header fields that mirror arguments, where the relay answers stateless clients', function () {
  this.timeout(30_000);
  afterEach(endAll);

  for (const [place, [server, path, tool]] of Object.entries(PLACES)) {
    it(`agree with the body, once the tools are listed: ${place}`, async () => {
      const { port } = await start(await server());
      await askModern(port, 'alice', 'tools/list', {}, {}, path);
      for (const [args, fields, refused] of CASES) {
        const { status, error } = await callOf(port, path, tool, args, fields);
        const what = `${args} ${fields.join(' ')}: ${error?.message}`;
        assert.deepEqual([status, error?.code], refused === undefined ? [200, undefined] : [400, -32020], what);
        if (refused !== undefined) assert.match(error?.message ?? '', refused);
      }
    });

    it(`agree with the body before anybody has listed the tools, and may be left out until then: ${place}`, async () => {
      const { port, metrics } = await start(await server());
      assert.equal((await callOf(port, path, tool, '{"region":"eu"}', [])).status, 200);
      const lie = await callOf(port, path, tool, '{"region":"eu"}', ['Mcp-Param-Region', 'us']);
      assert.deepEqual([lie.status, lie.error?.code], [400, -32020]);
      assert.match(await metrics(), /rejected_total\{reason="header_mismatch"\} 1/);
      assert.equal((await callOf(port, path, tool, '{"region":"eu"}', ['Mcp-Param-Region', 'eu'])).status, 200);
      assert.equal(
        (await callOf(port, path, 'one__no such tool', '{"region":"eu"}', ['Mcp-Param-Region', 'us'])).status,
        200,
      );
    });
  }

  it('are compared by the list that the server gives now, and it is asked only before it refuses', async () => {
    const { url, called, list } = await httpServer('legacy', [OTHER]);
    const { port } = await start({ url, era: 'legacy' });
    const path = '/servers/one/mcp';
    const call = (field: string) => callOf(port, path, 'other', '{"region":"eu"}', [field, 'eu']);
    await askModern(port, 'alice', 'tools/list', {}, {}, path);
    assert.equal((await call('Mcp-Param-Zone')).status, 200);
    assert.equal(called('tools/list').length, 1);
    list([{ ...OTHER, inputSchema: { type: 'object', properties: { region: mirrored('string', 'Area') } } }]);
    assert.equal((await call('Mcp-Param-Area')).status, 200);
    assert.equal(called('tools/list').length, 2);
    assert.equal((await call('Mcp-Param-Zone')).status, 400);
    assert.equal(called('tools/call').length, 2);
  });

  it('are the server’s own affair where nothing is translated', async () => {
    const { url, called } = await httpServer('modern');
    const { port } = await start({ url, era: 'modern' });
    const path = '/servers/one/mcp';
    await askModern(port, 'alice', 'tools/list', {}, {}, path);
    assert.equal((await callOf(port, path, 'it', '{"region":"eu"}', ['Mcp-Param-Region', 'us'])).status, 200);
    assert.equal(called('tools/call')[0]?.headers['mcp-param-region'], 'us');
  });
});
