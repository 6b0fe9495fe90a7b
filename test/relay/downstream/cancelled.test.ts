import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { call } from '../protocol/numbers/clients.ts';
import { endAll, relay } from '../support/relay.ts';
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
const cancel = (id: number, reason: string) =>
  JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: id, reason } });

describe('a program is told that nobody waits for a call', function () {
  this.timeout(60_000);
  afterEach(endAll);

  for (const [client, connect] of Object.entries(CONNECTIONS))
    for (const [place, path, prefix] of [
      ['the server', '/servers/one', ''],
      ['all as one', '', 'one__'],
    ] as const)
      it(`by its client, in the client’s words, and the client hears no answer: ${client}, by ${place}`, async () => {
        const aggregate = { servers: ['one'], timeout: '10s' };
        const { port } = await relay({ servers: { one: server() }, aggregate });
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

  it('by the relay, where the answer does not come in time', async () => {
    const { port } = await relay({ servers: { one: server({ timeout: '300ms' }) } });
    const connection = await (CONNECTIONS['streamable HTTP'] as (typeof CONNECTIONS)[string])(port, '/servers/one');
    connection.send(call('silent', '5', '{}'));
    await until('the client knows', () => connection.text.includes('did not answer in time'));
    connection.send(call('heard', '6', '{}'));
    await until('the program knows', () => connection.text.includes('the answer did not come in time'));
  });
});
