import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { until } from '../../support/until.ts';
import { ask, endAll, relay, upstream } from '../support/relay.ts';
import { askModern, modernRequest } from './support/wire.ts';

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

  for (const [what, discovers] of [
    ['knows no server/discover', { error: { code: -32601, message: 'no such method' } }],
    ['says by server/discover that it speaks others', { result: { supportedVersions: ['2025-11-25', '2025-06-18'] } }],
    ['answers server/discover by anything', { result: { tools: [] } }],
    ['answers it with a list that is none', { result: { supportedVersions: '2026-07-28' } }],
  ] as const)
    it(`is not wrong by a server that answers every request, with or without a session, and ${what}`, async () => {
      const url = await upstream(async (request, response) => {
        let text = '';
        for await (const chunk of request) text += chunk;
        const { id, method, params } = text === '' ? ({} as never) : JSON.parse(text);
        if (request.method !== 'POST') return void response.writeHead(405).end();
        if (id === undefined) return void response.writeHead(202).end();
        const serverInfo = { name: 'stateless', version: '1' };
        const initialized = { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo };
        const tools = [{ name: 'it', inputSchema: { type: 'object' } }];
        const answer =
          method === 'server/discover'
            ? discovers
            : { result: method === 'initialize' ? initialized : { tools, resultType: undefined } };
        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
      });
      const { port } = await relay({ servers: { one: { url } } });
      for (const user of ['alice', 'bob', 'alice']) {
        const { result } = await askModern(port, user, 'tools/list');
        assert.equal(result?.resultType, 'complete', 'it is translated');
        assert.match(JSON.stringify(result?.tools), /"it"/);
      }
    });

  it('is not wrong by a server that refuses one of them', async () => {
    const url = await upstream(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const { id, method } = text === '' ? ({} as never) : JSON.parse(text);
      if (request.headers['x-who']?.includes('alice') === true) return void response.writeHead(404).end();
      const common = { resultType: 'complete', ttlMs: 0, cacheScope: 'private' };
      const result =
        method === 'server/discover'
          ? { ...common, supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
          : { ...common, tools: [{ name: 'of the server itself', inputSchema: { type: 'object' } }] };
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
    const { port } = await relay({
      servers: { one: { url, passthrough: ['x-who'] } },
      passthrough: { enabled: true },
    });
    const list = (user: string) => {
      const { headers, body } = modernRequest(user, 'tools/list');
      return ask(port, { headers: [...headers, 'X-Who', user], body });
    };
    await list('alice');
    assert.match((await list('bob')).text, /of the server itself/);
  });
});
