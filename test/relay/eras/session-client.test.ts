import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, it } from 'mocha';
import { startConformanceServer } from '../../support/conformance-server/server.ts';
import { until } from '../../support/until.ts';
import { ask, endAll, onEnd, relay } from '../support/relay.ts';
import { scriptedServer } from '../support/scripted-server.ts';
import { TRANSPORTS } from '../support/sdk-client.ts';
import { legacyClient } from './support/clients.ts';
import { serverWithoutSessions } from './support/server-without-sessions.ts';
import { askLegacy, type Json, openSession } from './support/wire.ts';

async function conformance(era?: string) {
  const server = await startConformanceServer(['modern']);
  onEnd(() => server.stop());
  return relay({ servers: { one: { url: server.url, ...(era && { era }) } } });
}

describe('a client of sessions at a server without them', function () {
  this.timeout(30_000);
  afterEach(endAll);

  for (const era of ['auto', 'modern'])
    it(`finds out what the server has, and uses it (era: ${era})`, async () => {
      const client = await legacyClient((await conformance(era)).port);
      assert.equal(client.getServerVersion()?.name, 'conformance');
      const { tools } = await client.listTools();
      assert.ok(tools.some(({ name }) => name === 'test_simple_text'));
      const said = await client.callTool({ name: 'test_simple_text' });
      assert.match(JSON.stringify(said.content), /simple text response/);
      await client.ping();
    });

  it('is asked what the server wants to know, on the stream of its request', async () => {
    const client = await legacyClient((await conformance()).port);
    const asked = await client.callTool({ name: 'test_input_required_result_elicitation' });
    assert.deepEqual(asked.content, [{ type: 'text', text: 'Hello, alice!' }]);
    const sampled = await client.callTool({ name: 'test_input_required_result_sampling' });
    assert.match(JSON.stringify(sampled.content), /sampled by alice/);
    const roots = await client.callTool({ name: 'test_input_required_result_list_roots' });
    assert.match(JSON.stringify(roots.content), /home.alice/);
    const all = await client.callTool({ name: 'test_input_required_result_multiple_inputs' });
    assert.deepEqual(all.content, [{ type: 'text', text: 'have user_name, greeting, client_roots' }]);
    const rounds = await client.callTool({ name: 'test_input_required_result_multi_round' });
    assert.deepEqual(rounds.content, [{ type: 'text', text: 'all is known' }]);
    const state = await client.callTool({ name: 'test_input_required_result_request_state' });
    assert.deepEqual(state.content, [{ type: 'text', text: 'state-ok' }]);
  });

  it('hears progress and the logs of its level', async () => {
    const client = await legacyClient((await conformance()).port);
    const progress: number[] = [];
    const logs: unknown[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params.data));
    await client.callTool({ name: 'test_tool_with_progress' }, undefined, {
      onprogress: ({ progress: at }) => progress.push(at),
    });
    assert.deepEqual(progress, [0, 50, 100]);
    await client.callTool({ name: 'test_logging_tool' });
    assert.deepEqual(logs, []);
    await client.setLoggingLevel('info');
    await client.callTool({ name: 'test_logging_tool' });
    assert.deepEqual(logs, ['about to end']);
  });

  it('need not know that arguments are mirrored into header fields', async () => {
    const client = await legacyClient((await conformance()).port);
    for (const region of ['eu', 'żółw'])
      assert.deepEqual((await client.callTool({ name: 'test_custom_headers', arguments: { region } })).content, [
        { type: 'text', text: `in ${region}` },
      ]);
  });

  it('hears what changes: lists, and the resources that it subscribed to, also after the stream was cut', async () => {
    const server = await serverWithoutSessions();
    const { port } = await relay({ servers: { one: { url: server.url } } });
    const client = await legacyClient(port);
    const heard: unknown[] = [];
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('tools'));
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void heard.push(params.uri));
    // Before and after the stream is there, whichever comes first.
    await until('the stream is there', async () => {
      server.notify.toolsChanged();
      return heard.includes('tools');
    });
    await client.subscribeResource({ uri: 'test://watched' });
    server.notify.resourceUpdated('test://other');
    server.notify.resourceUpdated('test://watched');
    await until('it was told', () => heard.includes('test://watched'));
    assert.ok(!heard.includes('test://other'));
    server.cut();
    heard.length = 0;
    await until('it is told again', async () => {
      server.notify.resourceUpdated('test://watched');
      return heard.includes('test://watched');
    });
    await client.unsubscribeResource({ uri: 'test://watched' });
    heard.length = 0;
    server.notify.resourceUpdated('test://watched');
    server.notify.toolsChanged();
    await until('it was told of tools', () => heard.includes('tools'));
    assert.ok(!heard.includes('test://watched'));
  });

  it('takes a request back: the server stops', async () => {
    const server = await serverWithoutSessions();
    const { port } = await relay({ servers: { one: { url: server.url } } });
    const client = await legacyClient(port);
    const cancel = new AbortController();
    const call = client.callTool({ name: 'waits' }, undefined, { signal: cancel.signal });
    await until('the call is there', () => server.asked.includes('waits'));
    cancel.abort();
    await assert.rejects(call);
    await until('the server knows', () => server.cancelled.includes('waits'));
  });

  it('is told clearly what it cannot be asked', async () => {
    const question = (method: string, params: Json = {}) => ({ method, params });
    const questions: Record<string, Json> = {
      sampling: question('sampling/createMessage', { messages: [], maxTokens: 1 }),
      'elicitation by URL': question('elicitation/create', { mode: 'url', message: 'go', url: 'https://a.example' }),
      'does not know': question('files/delete'),
    };
    const { url } = await scriptedServer({
      post: ({ id, method, params }, response) => {
        const inputRequests = { it: questions[String((params as Json | undefined)?.name)] };
        const result =
          method === 'server/discover'
            ? { supportedVersions: ['2026-07-28'], capabilities: {} }
            : { resultType: 'input_required', inputRequests };
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
        return true;
      },
    });
    const { port } = await relay({ servers: { one: { url, era: 'modern' } } });
    const client = await legacyClient(port, 'alice', { elicitation: {}, roots: {} });
    for (const name of Object.keys(questions)) await assert.rejects(client.callTool({ name }), new RegExp(name));
  });

  it('a server that asks and asks is stopped', async () => {
    const server = await serverWithoutSessions();
    const { port } = await relay({ servers: { one: { url: server.url } } });
    await assert.rejects((await legacyClient(port)).callTool({ name: 'asks_again_and_again' }), /again and again/);
  });

  it('structured content that its revision cannot have is left out, the text stays', async () => {
    const server = await serverWithoutSessions();
    const { port } = await relay({ servers: { one: { url: server.url } } });
    const result = await (await legacyClient(port)).callTool({ name: 'numbers' });
    assert.deepEqual(result, { content: [{ type: 'text', text: '1' }] });
  });

  for (const transport of ['websocket', 'http-sse'] as const)
    it(`over ${transport} too, questions included`, async () => {
      const { port } = await conformance();
      const client = await legacyClient(port, 'alice', undefined, TRANSPORTS[transport](port, 'alice'));
      const asked = await client.callTool({ name: 'test_input_required_result_elicitation' });
      assert.deepEqual(asked.content, [{ type: 'text', text: 'Hello, alice!' }]);
      await client.setLoggingLevel('info');
      const logs: unknown[] = [];
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logs.push(params.data));
      await client.callTool({ name: 'test_logging_tool' });
      assert.deepEqual(logs, ['about to end']);
    });

  it('goes on with its session at another replica, and after a restart', async () => {
    const server = await startConformanceServer(['modern']);
    onEnd(() => server.stop());
    const settings = { servers: { one: { url: server.url } }, sessionKey: randomBytes(32).toString('base64url') };
    const [first, second] = [await relay(settings), await relay(settings)];
    const session = await openSession(first.port, 'alice');
    await first.close();
    const listed = await askLegacy(second.port, 'alice', session, 'tools/list');
    assert.equal(listed.status, 200);
    assert.match(listed.text, /test_simple_text/);
  });

  it('a server that is replaced by one with sessions is noticed', async () => {
    let now = 1_000_000;
    const { url, seen } = await scriptedServer({
      post: (message, response) => speaks.modern && refuse(message, response),
    });
    const speaks = { modern: true };
    const { port } = await relay({ servers: { one: { url } } }, { now: () => now });
    assert.match(await openSession(port, 'alice'), /./);
    speaks.modern = false;
    now += 61_000;
    await openSession(port, 'alice');
    assert.equal(seen.at(-1)?.message?.method, 'initialize');
    const { text } = await askLegacy(port, 'alice', await openSession(port, 'alice'), 'anything');
    assert.match(text, /"method":"anything"/);
  });

  it('bad requests are refused in the protocol’s own form', async () => {
    const { port } = await conformance('modern');
    const session = await openSession(port, 'alice');
    const error = async (method: string, params: Json, id?: string) =>
      JSON.parse((await askLegacy(port, 'alice', id, method, params)).text).error.code;
    assert.equal(await error('tools/list', {}), -32600);
    assert.equal(await error('initialize', {}, session), -32600);
    assert.equal(await error('logging/setLevel', { level: 'loud' }, session), -32602);
    assert.equal(await error('resources/subscribe', {}, session), -32602);
    assert.equal(await error('no/such', {}, session), -32601);
    const ended = ['X-Authenticated-User', 'alice', 'Mcp-Session-Id', session];
    assert.equal((await ask(port, { method: 'DELETE', headers: ended })).status, 200);
    assert.equal((await askLegacy(port, 'alice', session, 'ping')).status, 404);
    assert.equal((await ask(port, { method: 'DELETE', headers: ended })).status, 404);
  });
});

function refuse({ id, method }: Json, response: ServerResponse): boolean {
  const modern = method === 'server/discover';
  response.writeHead(modern ? 200 : 400, { 'Content-Type': 'application/json' });
  const result = { supportedVersions: ['2026-07-28'], capabilities: {}, resultType: 'complete' };
  const error = { code: -32022, message: 'only 2026-07-28' };
  response.end(JSON.stringify({ jsonrpc: '2.0', id, ...(modern ? { result } : { error }) }));
  return true;
}
