import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { request as send } from 'node:http';
import { afterEach, describe, it } from 'mocha';
import { CONNECTION_TIMES } from '../../../src/relay/transports/channel/connection.ts';
import { until } from '../../support/until.ts';
import { modernRequest, openSession } from '../eras/support/wire.ts';
import { ask, endAll, onEnd, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';

type Json = Record<string, unknown>;

const RESULT = { content: [{ type: 'text', text: 'it took\u2028long' }] };

/** A program whose tool `wait` is answered when `release` is called. */
const PROGRAM = `
const waiting = [];
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'initialize')
    say({ id, result: { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'one', version: '1' } } });
  else if (params?.name === 'wait') waiting.push(id);
  else if (params?.name === 'release') {
    for (const one of waiting.splice(0))
      say(params.arguments?.fail ? { id: one, error: { code: -32050, message: 'no' } } : { id: one, result: ${JSON.stringify(RESULT)} });
    say({ id, result: { content: [] } });
  } else say({ id, result: { tools: [] } });
});
`;

/** The same over HTTP, which answers each request by JSON, on several lines. */
async function httpServer(era: 'legacy' | 'modern'): Promise<Json> {
  const waiting: Array<(message: Json) => void> = [];
  const { url } = await scriptedServer({
    post: ({ id, method, params }, response: ServerResponse) => {
      if (id === undefined) return false;
      const json = (message: Json) => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...message }, undefined, 2));
        return true;
      };
      const { name, arguments: given } = (params ?? {}) as { name?: string; arguments?: { fail?: boolean } };
      if (name === 'wait') return waiting.push(json) > 0;
      if (name === 'release') {
        for (const answer of waiting.splice(0))
          answer(
            given?.fail
              ? { error: { code: -32050, message: 'no' } }
              : { result: { ...RESULT, ...(era === 'modern' && { resultType: 'complete' }) } },
          );
        return json({ result: { content: [], resultType: 'complete' } });
      }
      if (method !== 'server/discover') return false;
      return json(
        era === 'legacy'
          ? { error: { code: -32601, message: 'there is no such method' } }
          : { result: { resultType: 'complete', supportedVersions: ['2026-07-28'], capabilities: { tools: {} } } },
      );
    },
  });
  return { url, era };
}

const program = (settings: Json = {}) => ({
  command: process.execPath,
  args: ['-e', PROGRAM],
  sharing: 'identity',
  ...settings,
});

const SERVERS: Readonly<Record<string, () => Promise<Json>>> = {
  'a program': async () => program(),
  'a server with sessions': () => httpServer('legacy'),
  'a server without': () => httpServer('modern'),
};

/** What a client of an era sends for one call. */
type Caller = (name: string, args?: Json) => { headers: string[]; body: string };

const CLIENTS: Readonly<Record<string, (port: number, path: string) => Promise<Caller>>> = {
  'a client with sessions': async (port, path) => {
    const session = await openSession(port, 'alice', path);
    const headers = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
    headers.push('Mcp-Session-Id', session, 'MCP-Protocol-Version', '2025-06-18');
    return (name, args = {}) => ({
      headers,
      body: JSON.stringify({ jsonrpc: '2.0', id: name, method: 'tools/call', params: { name, arguments: args } }),
    });
  },
  'a client without':
    async () =>
    (name, args = {}) =>
      modernRequest('alice', 'tools/call', { name, arguments: args }),
};

const PLACES = { 'the server': ['/servers/one/mcp', ''], 'all as one': ['/mcp', 'one__'] } as const;

/** Opens a request and tells what has come of its response so far. */
function open(port: number, path: string, { headers, body }: { headers: string[]; body: string }) {
  const seen = { status: 0, type: '', text: '', ended: false };
  const request = send(
    {
      ...{ host: '127.0.0.1', port, path, method: 'POST', agent: false },
      headers: [...headers, 'Host', 'mcp.example.com', 'Content-Type', 'application/json'].concat(
        ...['Content-Length', String(Buffer.byteLength(body))],
      ),
    },
    (response) => {
      seen.status = response.statusCode ?? 0;
      seen.type = String(response.headers['content-type']);
      response.setEncoding('utf8').on('data', (chunk: string) => {
        seen.text += chunk;
      });
      response.on('end', () => {
        seen.ended = true;
      });
      response.on('error', () => {});
    },
  );
  request.on('error', () => {});
  request.end(body);
  onEnd(() => request.destroy());
  return seen;
}

const TIMES = { ...CONNECTION_TIMES, keepAlive: 40, silence: { own: 20, passed: 60 } };

async function start(server: Json) {
  const aggregate = { servers: ['one'], timeout: '10s' };
  return relay({ servers: { one: server }, aggregate }, { times: TIMES });
}

const answerIn = (text: string) =>
  JSON.parse(text.replaceAll(/^:.*\n\n/gm, '').replace(/^data: /, '')) as { result?: Json; error?: Json };

describe('a call that a server is silent about', function () {
  this.timeout(60_000);
  afterEach(endAll);

  for (const [client, connect] of Object.entries(CLIENTS))
    for (const [kind, serve] of Object.entries(SERVERS))
      for (const [place, [path, prefix]] of Object.entries(PLACES)) {
        const begin = async () => {
          const { port, metrics } = await start(await serve());
          const caller = await connect(port, path);
          const call = (name: string, args?: Json) => ({ ...caller(`${prefix}${name}`, args), path });
          const waiting = open(port, path, call('wait'));
          await until('comments come before the answer', () => /^: .*\n\n: /.test(waiting.text));
          assert.deepEqual([waiting.status, waiting.type], [200, 'text/event-stream']);
          return { port, call, waiting, metrics };
        };

        it(`has its response’s headers and comments at once, and then its answer: ${client} → ${kind}, by ${place}`, async () => {
          const { port, call, waiting, metrics } = await begin();
          await ask(port, call('release'));
          await until('the answer is there', () => waiting.ended);
          assert.deepEqual(answerIn(waiting.text).result?.content, RESULT.content, waiting.text);
          assert.doesNotMatch(waiting.text, /\u2028/, 'which ends a line for some readers');
          assert.match(await metrics(), /open_streams\{transport="streamable-http"\} 0/);
        });

        it(`has an error of the server as its answer: ${client} → ${kind}, by ${place}`, async () => {
          const { port, call, waiting } = await begin();
          await ask(port, call('release', { fail: true }));
          await until('the answer is there', () => waiting.ended);
          assert.equal(answerIn(waiting.text).error?.code, -32050, waiting.text);
        });
      }

  for (const [client, connect] of Object.entries(CLIENTS))
    for (const [place, [path, prefix]] of Object.entries(PLACES))
      it(`has the relay’s refusal as its answer where it takes too long: ${client}, by ${place}`, async () => {
        const { port, metrics } = await start(program({ timeout: '500ms' }));
        const call = await connect(port, path);
        const waiting = open(port, path, call(`${prefix}wait`));
        await until('comments come', () => waiting.text.startsWith(':'));
        await until('it ends', () => waiting.ended);
        assert.match(String(answerIn(waiting.text).error?.message), /did not answer in time/);
        assert.match(await metrics(), /outcome="upstream_timeout"\} 1/);
      });

  it('has JSON as its answer for a client that takes no stream', async () => {
    const { port } = await start(program());
    const caller = await (CLIENTS['a client without'] as (typeof CLIENTS)[string])(port, '');
    const { headers, body } = caller('wait');
    const json = headers.map((field) => (field.startsWith('application/json,') ? 'application/json' : field));
    const waiting = open(port, '/servers/one/mcp', { headers: json, body });
    const other = open(port, '/servers/one/mcp', { headers, body });
    await until('comments come for another', () => /^: .*\n\n: /.test(other.text));
    assert.equal(waiting.status, 0);
    await ask(port, { ...caller('release'), path: '/servers/one/mcp' });
    await until('the answer is there', () => waiting.ended);
    assert.deepEqual([waiting.status, waiting.type], [200, 'application/json']);
  });
});
