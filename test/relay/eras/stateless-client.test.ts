import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { startConformanceServer } from '../../support/conformance-server/server.ts';
import { until } from '../../support/until.ts';
import { ask, endAll, onEnd, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { modernClient } from './support/clients.ts';
import { serverWithSessions } from './support/server-with-sessions.ts';
import { askModern, type Json, modernRequest, openModern } from './support/wire.ts';

async function conformance(era?: string) {
  const server = await startConformanceServer(['legacy']);
  onEnd(() => server.stop());
  return relay({ servers: { one: { url: server.url, ...(era && { era }) } } });
}

async function watched(settings: Record<string, unknown> = {}) {
  const server = await serverWithSessions();
  const running = await relay({ servers: { one: { url: server.url } }, ...settings });
  return { server, running };
}

describe('a stateless client of a server with sessions', function () {
  this.timeout(30_000);
  afterEach(endAll);

  for (const era of ['auto', 'legacy'])
    it(`finds out what the server has, and uses it (era: ${era})`, async () => {
      const client = await modernClient((await conformance(era)).url);
      assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
      assert.equal(client.getServerVersion()?.name, 'conformance');
      const { tools } = await client.listTools();
      assert.ok(tools.some(({ name }) => name === 'test_simple_text'));
      const said = await client.callTool({ name: 'test_simple_text' });
      assert.match(JSON.stringify(said.content), /simple text response/);
    });

  it('with `era: both` nothing is translated', async () => {
    const { port } = await conformance('both');
    assert.equal((await askModern(port, 'alice', 'tools/list')).status, 400);
  });

  it('is asked back by its result, and goes on with the call by its next request', async () => {
    const client = await modernClient((await conformance()).url);
    const asked = await client.callTool({ name: 'test_elicitation', arguments: { message: 'who?' } });
    assert.match(JSON.stringify(asked.content), /who\?.*alice@example.com/);
    const sampled = await client.callTool({ name: 'test_sampling', arguments: { prompt: 'hm' } });
    assert.match(JSON.stringify(sampled.content), /sampled by alice/);
  });

  it('one question after the other is one call of the server', async () => {
    const { server, running } = await watched();
    const client = await modernClient(running.url);
    const result = await client.callTool({ name: 'two_questions' });
    assert.match(JSON.stringify(result.content), /first.*second/);
    assert.deepEqual(server.finished, ['two_questions']);
  });

  it('what it has not declared is not asked, and the server hears so', async () => {
    const client = await modernClient((await conformance()).url, 'alice', {});
    const result = await client.callTool({ name: 'test_sampling', arguments: { prompt: 'hm' } });
    assert.equal(result.isError, true);
    assert.match(JSON.stringify(result.content), /did not declare|cannot be asked/);
  });

  it('hears progress by its own token, and logs only where it wants them', async () => {
    const { port } = await conformance();
    const progress: number[] = [];
    const client = await modernClient(`http://127.0.0.1:${port}/servers/one/mcp`);
    await client.callTool({ name: 'test_tool_with_progress' }, { onprogress: ({ progress: at }) => progress.push(at) });
    assert.deepEqual(progress, [0, 50, 100]);
    const logs: unknown[] = [];
    client.setNotificationHandler('notifications/message', ({ params }) => void logs.push(params.data));
    await client.callTool({ name: 'test_logging_tool' });
    assert.deepEqual(logs, []);
    await client.callTool({ name: 'test_logging_tool', _meta: { 'io.modelcontextprotocol/logLevel': 'info' } });
    assert.deepEqual(logs, ['about to end']);
  });

  it('lists say that nobody may keep them, since the server says nothing of that', async () => {
    const { port } = await conformance();
    const { result } = await askModern(port, 'alice', 'tools/list');
    assert.deepEqual([result?.ttlMs, result?.cacheScope, result?.resultType], [0, 'private', 'complete']);
    const discovered = await askModern(port, 'alice', 'server/discover');
    const { capabilities, supportedVersions } = discovered.result as {
      capabilities: Json;
      supportedVersions: string[];
    };
    assert.equal(supportedVersions[0], '2026-07-28');
    assert.deepEqual(capabilities.resources, { subscribe: true, listChanged: true });
  });

  it('goes away: the server is told to stop, and the session is not used again', async () => {
    const { server, running } = await watched();
    const call = openModern(running.port, 'alice', 'tools/call', { name: 'waits', arguments: { name: 'hers' } });
    await until('the call is there', () => server.sessions.size === 1);
    await askModern(running.port, 'alice', 'tools/list');
    call.close();
    await until('the server knows', () => server.cancelled.includes('hers'));
    await until('its session has ended', () => server.sessions.size === 1);
  });

  it('listens to what changes: lists, and the resources it named', async () => {
    const { running } = await watched();
    const notifications = {
      toolsListChanged: true,
      promptsListChanged: true,
      resourceSubscriptions: ['test://watched'],
    };
    const stream = openModern(running.port, 'alice', 'subscriptions/listen', { notifications });
    await until('it is told what it will hear', () => stream.messages.length === 1);
    const meta = { 'io.modelcontextprotocol/subscriptionId': 1 };
    assert.deepEqual(stream.messages[0], {
      jsonrpc: '2.0',
      method: 'notifications/subscriptions/acknowledged',
      params: { notifications: { toolsListChanged: true, resourceSubscriptions: ['test://watched'] }, _meta: meta },
    });
    stream.close();
  });

  it('a stream of changes brings them, each once and no others', async () => {
    const { server, running } = await watched();
    const notifications = { toolsListChanged: true, resourceSubscriptions: ['test://watched'] };
    const stream = openModern(running.port, 'alice', 'subscriptions/listen', { notifications });
    await until('it has begun', () => stream.messages.length === 1);
    const [session] = [...server.sessions.values()];
    session?.sendToolListChanged();
    await session?.server.sendResourceUpdated({ uri: 'test://other' });
    await session?.server.sendResourceUpdated({ uri: 'test://watched' });
    await until('both came', () => stream.messages.length === 3);
    assert.deepEqual(
      stream.messages.slice(1).map(({ method, params }) => [method, (params as Json).uri]),
      [
        ['notifications/tools/list_changed', undefined],
        ['notifications/resources/updated', 'test://watched'],
      ],
    );
    stream.close();
    await until('its session has ended', () => server.sessions.size === 0);
  });

  it('a session that the server has forgotten is opened anew', async () => {
    const { server, running } = await watched();
    assert.equal((await askModern(running.port, 'alice', 'tools/call', { name: 'session' })).status, 200);
    server.forget();
    const { result } = await askModern(running.port, 'alice', 'tools/call', { name: 'session' });
    assert.match(JSON.stringify(result), new RegExp([...server.sessions.keys()][0] ?? 'none'));
  });

  it('what has gone with the sessions is refused', async () => {
    const { running } = await watched();
    for (const method of ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe']) {
      const { status, error } = await askModern(running.port, 'alice', method);
      assert.deepEqual([status, error?.code], [404, -32601], method);
    }
    assert.equal((await askModern(running.port, 'alice', 'no/such')).error?.code, -32601);
    assert.equal((await askModern(running.port, 'alice', 'subscriptions/listen')).error?.code, -32602);
  });

  it('requests at once have a session each, up to a limit; the others wait', async () => {
    const { server, running } = await watched();
    const calls = Array.from({ length: 20 }, (_, index) =>
      openModern(running.port, 'alice', 'tools/call', { name: 'waits', arguments: { name: `call ${index}` } }),
    );
    await until('as many as may', () => server.sessions.size === 16);
    // Somebody else has room of their own.
    assert.equal((await askModern(running.port, 'bob', 'tools/list')).status, 200);
    for (const call of calls) call.close();
    await until('all are taken back', () => server.cancelled.length >= 16);
    assert.equal((await askModern(running.port, 'alice', 'tools/list')).status, 200);
  });

  it('idle sessions and calls that wait end with the relay', async () => {
    const { server, running } = await watched();
    const { result } = await askModern(running.port, 'alice', 'tools/call', { name: 'two_questions' });
    assert.equal(result?.resultType, 'input_required');
    await askModern(running.port, 'alice', 'tools/list');
    assert.equal(server.sessions.size, 2);
    await running.close();
    await until('they have ended', () => server.sessions.size === 0);
  });

  it('is led to an address by a result where the server says so by an error, and makes the call again', async () => {
    let calls = 0;
    const elicitations = [{ mode: 'url', elicitationId: 'x', url: 'https://a.example/go', message: 'go there' }];
    const { url, seen } = await scriptedServer({
      post: ({ id, method }, response) => {
        if (method !== 'tools/call') return undefined;
        calls += 1;
        const error = { code: -32042, message: 'first go there', data: { elicitations } };
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(
          JSON.stringify({ jsonrpc: '2.0', id, ...(calls === 1 ? { error } : { result: { content: [] } }) }),
        );
        return true;
      },
    });
    const { port } = await relay({ servers: { one: { url, era: 'legacy' } } });
    const able = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { url: {} } } };
    const { result } = await askModern(port, 'alice', 'tools/call', { name: 'it' }, able);
    assert.deepEqual(result, {
      resultType: 'input_required',
      inputRequests: {
        'elicitation-0': {
          method: 'elicitation/create',
          params: { mode: 'url', message: 'go there', url: 'https://a.example/go' },
        },
      },
    });
    const inputResponses = { 'elicitation-0': { action: 'accept' } };
    const again = await askModern(port, 'alice', 'tools/call', { name: 'it', inputResponses }, able);
    assert.equal(again.result?.resultType, 'complete');
    assert.deepEqual(seen.findLast(({ message }) => message?.method === 'tools/call')?.message?.params, { name: 'it' });
  });

  it('what says nothing of the era goes with the request, and nothing else of its headers', async () => {
    const { url, seen } = await scriptedServer();
    const { port } = await relay({ servers: { one: { url, era: 'legacy' } } });
    const { headers, body } = modernRequest('alice', 'tools/call', { name: 'it' });
    await ask(port, { headers: [...headers, 'Traceparent', '00-1-2-01', 'User-Agent', 'hers', 'Cookie', 'a=b'], body });
    const call = seen.find(({ message }) => message?.method === 'tools/call');
    const { traceparent, cookie, 'user-agent': agent, 'mcp-method': mirrored } = call?.headers ?? {};
    assert.deepEqual([traceparent, agent, cookie, mirrored], ['00-1-2-01', 'hers', undefined, undefined]);
  });
});
