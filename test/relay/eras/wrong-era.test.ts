import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { endAll, relay, upstream } from '../support/relay.ts';
import { askModern } from './support/wire.ts';

/** A server of sessions that says of everything outside of one, with status 200, that it failed. */
async function serverOfSessions(code: number, stream: boolean) {
  const failed: string[] = [];
  const url = await upstream(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    const { id, method, params } = text === '' ? ({} as never) : JSON.parse(text);
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const say = (body: object) => {
      const json = JSON.stringify({ jsonrpc: '2.0', id, ...body });
      response.setHeader('Content-Type', stream ? 'text/event-stream' : 'application/json');
      response.end(stream ? `data: ${json}\n\n` : json);
    };
    if (method === 'initialize') {
      response.setHeader('Mcp-Session-Id', 'one');
      const serverInfo = { name: 'sessions', version: '1' };
      return say({ result: { protocolVersion: params.protocolVersion, capabilities: { tools: {} }, serverInfo } });
    }
    if (id === undefined) return void response.writeHead(202).end();
    if (request.headers['mcp-session-id'] !== 'one') {
      failed.push(method);
      return say({ error: { code, message: 'failed' } });
    }
    say({ result: { tools: [{ name: 'in a session', inputSchema: { type: 'object' } }] } });
  });
  return { url, failed };
}

describe('what one client learns of the era of a server', function () {
  this.timeout(20_000);
  afterEach(endAll);

  for (const [code, stream] of [
    [-32602, false],
    [-32700, false],
    [-32000, false],
    [-32002, false],
    [-32603, false],
    [1, false],
    [-32602, true],
    [-32000, true],
  ] as const)
    it(`is not wrong by a 200 with error ${code} (${stream ? 'stream' : 'JSON'})`, async () => {
      const server = await serverOfSessions(code, stream);
      const { port } = await relay({ servers: { one: { url: server.url } } });
      await askModern(port, 'alice', 'tools/list');
      await until('another client is served', async () => {
        const { result } = await askModern(port, 'bob', 'tools/list');
        return JSON.stringify(result)?.includes('in a session') === true;
      });
      assert.ok(server.failed.includes('server/discover'), 'it was asked');
    });
});
