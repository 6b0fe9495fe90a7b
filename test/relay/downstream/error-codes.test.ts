import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { afterEach, describe, it } from 'mocha';
import { askModern } from '../eras/support/wire.ts';
import { ask, endAll, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';

type Json = Record<string, unknown>;

/** A server with sessions that answers everything but its beginning in this way. */
async function failing(fail: (id: unknown, response: ServerResponse) => void) {
  const { url } = await scriptedServer({
    post: ({ id, method }, response) => {
      if (method === 'initialize' || id === undefined) return false;
      fail(id, response);
      return true;
    },
  });
  const { port } = await relay({
    servers: { one: { url, era: 'legacy' } },
    aggregate: { servers: ['one'], timeout: '10s' },
  });
  return port;
}

const erring = (error: Json) => (id: unknown, response: ServerResponse) => {
  response.writeHead(200, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id, error }));
};

describe('errors of servers with sessions, as stateless clients get them', function () {
  this.timeout(20_000);
  afterEach(endAll);

  it('a resource that is not there: the parameters are invalid', async () => {
    const port = await failing(erring({ code: -32002, message: 'Resource not found', data: { uri: 'test://x' } }));
    const { error } = await askModern(port, 'alice', 'resources/read', { uri: 'test://x' });
    assert.deepEqual(error, { code: -32602, message: 'Resource not found', data: { uri: 'test://x' } });
  });

  it('an address to go to, for a client that cannot be led there: the ability that it lacks', async () => {
    const elicitations = [{ mode: 'url', elicitationId: 'x', url: 'https://a.example/go', message: 'go there' }];
    const port = await failing(erring({ code: -32042, message: 'first go there', data: { elicitations } }));
    const { error } = await askModern(port, 'alice', 'tools/call', { name: 'it' });
    assert.deepEqual(error, {
      code: -32021,
      message: 'first go there',
      data: { elicitations, requiredCapabilities: { elicitation: { url: {} } } },
    });
  });

  it('any other code stays', async () => {
    const port = await failing(erring({ code: -32050, message: 'as it is' }));
    assert.deepEqual((await askModern(port, 'alice', 'tools/call', { name: 'it' })).error, {
      code: -32050,
      message: 'as it is',
    });
  });

  it('a method that the server refuses by 400 and plain text is one that it does not know', async () => {
    const port = await failing((_id, response) => {
      response.writeHead(400, { 'Content-Type': 'text/plain' }).end('unknown method');
    });
    const answer = await askModern(port, 'alice', 'vendor/frobnicate');
    assert.deepEqual([answer.status, answer.error?.code], [404, -32601]);
    const known = await askModern(port, 'alice', 'tools/list');
    assert.equal(known.status, 502, 'a known method has failed');
  });

  it('clients with sessions get the codes of their era', async () => {
    const port = await failing(erring({ code: -32002, message: 'Resource not found' }));
    const user = ['X-Authenticated-User', 'alice', 'Accept', 'application/json, text/event-stream'];
    const post = (message: Json, headers: string[] = []) =>
      ask(port, { path: '/mcp', headers: [...user, ...headers], body: JSON.stringify({ jsonrpc: '2.0', ...message }) });
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
    const { headers } = await post({ id: 1, method: 'initialize', params });
    const session = ['Mcp-Session-Id', String(headers['mcp-session-id'])];
    const { text } = await post({ id: 2, method: 'resources/read', params: { uri: 'mcp-one+test://x' } }, session);
    assert.match(text, /"code":-32002/);
  });
});
