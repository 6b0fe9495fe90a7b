import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, it } from 'mocha';
import { isSameId } from '../../../src/relay/protocol/json-rpc.ts';
import { until } from '../../support/until.ts';
import { call } from '../protocol/numbers/clients.ts';
import { endAll, onEnd, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { CONNECTIONS } from './connections.ts';

/** A program that never answers `silent`, and answers `heard` with what it was told before, as the result of a task. */
const PROGRAM = `
const told = [];
const answer = (id, result) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === 'initialize')
    answer(id, { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'one', version: '1' } });
  else if (method === 'notifications/cancelled') told.push(params.reason ?? 'no reason');
  else if (method === 'tools/list') answer(id, { tools: [] });
  else if (params?.name === 'silent') told.push('the call');
  else if (params?.name === 'heard')
    answer(id, {
      content: [{ type: 'text', text: told.join() }],
      _meta: { 'io.modelcontextprotocol/related-task': { taskId: 'one' } },
    });
});
`;

const server = (settings: object = {}) => ({ command: process.execPath, args: ['-e', PROGRAM], ...settings });

/** A server that is silent, and what it was told of that. */
const SERVERS: Readonly<
  Record<string, (settings: object) => Promise<{ one: Record<string, unknown>; told: () => Promise<string> }>>
> = {
  'a program': async (settings) => {
    const file = join(mkdtempSync(join(tmpdir(), 'postern-')), 'told');
    onEnd(() => rmSync(dirname(file), { recursive: true }));
    const noted = PROGRAM.replace('told.push(params', `fs.appendFileSync(${JSON.stringify(file)}, params.reason), $&`);
    const one = { ...server(settings), args: ['-e', `const fs = require('node:fs');${noted}`] };
    return { one, told: async () => (existsSync(file) ? readFileSync(file, 'utf8') : '') };
  },
  'a server with sessions': async (settings) => {
    const { url, seen } = await scriptedServer({ post: ({ method }) => method === 'tools/call' });
    const isAbout = (id: unknown) =>
      seen.some(({ message }) => message?.method === 'tools/call' && isSameId(message.id, id));
    const told = () =>
      seen
        .filter(({ message }) => message?.method === 'notifications/cancelled')
        .map(({ message }) => message?.params as { requestId: unknown; reason: string })
        .filter(({ requestId }) => isAbout(requestId))
        .map(({ reason }) => reason);
    return { one: { url, era: 'legacy', ...settings }, told: async () => told().join() };
  },
};
const AGGREGATE = { servers: ['one'], timeout: '10s' };
const PLACES = [
  ['the server', '/servers/one', ''],
  ['all as one', '', 'one__'],
] as const;
const cancel = (id: number, reason: string) =>
  JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id, reason } });

describe('a server is told that nobody waits for a call', function () {
  this.timeout(60_000);
  afterEach(endAll);

  for (const [client, connect] of Object.entries(CONNECTIONS))
    for (const [place, path, prefix] of PLACES)
      it(`by its client, in the client’s words, and the client hears no answer: ${client}, by ${place}`, async () => {
        const { port } = await relay({ servers: { one: server() }, aggregate: AGGREGATE });
        const connection = await connect(port, path);
        connection.send(call(`${prefix}silent`, '5', '{}'));
        let id = 6;
        const isTold = (what: string) => () => {
          connection.send(call(`${prefix}heard`, String(id++), '{}'));
          return connection.text.includes(what);
        };
        await until('it has the call', isTold('the call'));
        connection.send(cancel(5, 'wrong button'));
        await until('it was told', isTold('the call,wrong button'));
        assert.match(connection.text, /"_meta":\{"io\.modelcontextprotocol\/related-task":\{"taskId":"one"\}\}/);
        assert.doesNotMatch(connection.text, /"id":5\b/);
      });

  for (const [what, settings, said] of [
    ['no answer in time', { timeout: '1s' }, 'the answer did not come in time'],
    ['a call that may not take so long', {}, 'had not answered whole within 300 ms'],
  ] as const)
    for (const [client, connect] of Object.entries(CONNECTIONS))
      for (const [kind, start] of Object.entries(SERVERS))
        for (const [place, path, prefix] of PLACES)
          it(`by the relay, for ${what}: ${client} → ${kind}, by ${place}`, async () => {
            const { one, told } = await start(settings);
            const callLimits = 'timeout' in settings ? [] : [{ tools: ['silent'], timeout: '300ms' }];
            const { port } = await relay({ servers: { one }, aggregate: AGGREGATE, callLimits });
            const connection = await connect(port, path);
            connection.send(call(`${prefix}silent`, '5', '{}'));
            await until('the client knows', () => /"id":5\b/.test(connection.text));
            assert.match(connection.text, /did not answer in time|had not answered whole/);
            await until('the server knows', async () => (await told()).includes(said));
          });
});
