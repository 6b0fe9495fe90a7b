import assert from 'node:assert/strict';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  type LoggingMessageNotification,
  LoggingMessageNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, it } from 'mocha';
import { startEverythingServer } from '../../support/everything-server.ts';
import { freePorts } from '../../support/free-port.ts';
import { endAll, onEnd } from '../support/relay.ts';
import { sdkClient } from '../support/sdk-client.ts';
import { aggregate, legacyClient, modernClient, newModernClient, send, whole } from './support.ts';

async function threeServers() {
  const [port] = (await freePorts(1)) as [number];
  const everything = await startEverythingServer(port);
  onEnd(() => everything.stop());
  const [old, modern] = await Promise.all([whole('legacy'), whole('modern')]);
  return aggregate({ everything: { url: `http://127.0.0.1:${port}/mcp` }, old, modern });
}

/** The servers that come up in a list, in its order. */
function serversOf(names: readonly string[]): string[] {
  return [...new Set(names.map((name) => name.replace(/^mcp-/, '').split(/__|\+/)[0] as string))];
}

const ALL = ['everything', 'old', 'modern'];

describe('all servers as one', function () {
  this.timeout(60_000);
  afterEach(endAll);

  it('for a client of the sessions’ era: lists, calls, resources, prompts, completion', async () => {
    const client = await legacyClient(await threeServers());
    assert.deepEqual(client.getServerCapabilities(), {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      logging: {},
      completions: {},
    });
    assert.match(client.getInstructions() ?? '', /everything, old, modern.*# everything/s);

    const { tools, _meta, ...rest } = await client.listTools();
    assert.deepEqual(serversOf(tools.map(({ name }) => name)), ALL);
    assert.ok(!('ttlMs' in rest), 'cache hints are of a later revision');
    assert.deepEqual(_meta?.['postern/leftOut'], [
      { server: 'everything', name: 'simulate-research-query', reason: 'needs_tasks' },
    ]);
    for (const server of ['old', 'modern']) {
      const { content } = await client.callTool({ name: `${server}__test_embedded_resource` });
      assert.match(JSON.stringify(content), new RegExp(`"mcp-${server}\\+test://embedded-resource"`));
    }
    const { resources } = await client.listResources();
    assert.deepEqual(serversOf(resources.map(({ uri }) => uri)), ALL);
    const { resourceTemplates } = await client.listResourceTemplates();
    assert.deepEqual(serversOf(resourceTemplates.map(({ uriTemplate }) => uriTemplate)), ALL);
    const read = await client.readResource({ uri: 'mcp-old+test://template/7/data' });
    assert.match(JSON.stringify(read.contents), /"mcp-old\+test:\/\/template\/7\/data".*Data for ID: 7/);

    const { prompts } = await client.listPrompts();
    assert.deepEqual(serversOf(prompts.map(({ name }) => name)), ALL);
    for (const server of ['old', 'modern']) {
      const name = `${server}__test_prompt_with_arguments`;
      const prompt = await client.getPrompt({ name, arguments: { arg1: 'x', arg2: 'y' } });
      assert.match(JSON.stringify(prompt.messages), /arg1='x'/);
      const argument = { name: 'arg1', value: 'par' };
      const { completion } = await client.complete({ ref: { type: 'ref/prompt', name }, argument });
      assert.deepEqual(completion.values, ['paris', 'park', 'party']);
    }
  });

  it('for a client of the stateless era: the same', async () => {
    const running = await threeServers();
    const client = await modernClient(running);
    const { tools, ttlMs, cacheScope } = await client.listTools();
    assert.deepEqual(serversOf(tools.map(({ name }) => name)), ALL);
    assert.deepEqual([ttlMs, cacheScope], [0, 'private']);
    assert.deepEqual(serversOf((await client.listResources()).resources.map(({ uri }) => uri)), ALL);
    assert.deepEqual(serversOf((await client.listPrompts()).prompts.map(({ name }) => name)), ALL);
    for (const server of ['old', 'modern']) {
      const { content } = await client.callTool({ name: `${server}__test_embedded_resource` });
      assert.match(JSON.stringify(content), new RegExp(`"mcp-${server}\\+test://embedded-resource"`));
      const read = await client.readResource({ uri: `mcp-${server}+test://static-text` });
      assert.match(JSON.stringify(read.contents), /content of the static text/);
      const ref = { type: 'ref/prompt' as const, name: `${server}__test_prompt_with_arguments` };
      const { completion } = await client.complete({ ref, argument: { name: 'arg1', value: 'pari' } });
      assert.deepEqual(completion.values, ['paris']);
    }
    // The argument that is mirrored in a header reaches the server with its header.
    const { content } = await client.callTool({ name: 'modern__test_custom_headers', arguments: { region: 'eu' } });
    assert.match(JSON.stringify(content), /in eu/);
    const discovered = JSON.parse((await modernRequest(running, 'server/discover')).text).result;
    assert.equal(discovered.cacheScope, 'private');
    assert.deepEqual(discovered.capabilities.tools, { listChanged: true });
    assert.equal(discovered._meta['io.modelcontextprotocol/serverInfo'].name, 'postern');
  });

  it('unknown methods and names are refused in the protocol’s own form, in both eras', async () => {
    const running = await aggregate({ old: await whole('legacy') });
    const client = await legacyClient(running);
    await assert.rejects(client.callTool({ name: 'old__no__such' }), /no__such|not found/i);
    for (const name of ['a__b__c', 'old', 'test_simple_text', '*__x'])
      await assert.rejects(client.callTool({ name }), /there is no such (tool|server)/);
    await assert.rejects(client.readResource({ uri: 'mcp-other+test://static-text' }), /there is no such server/);
    await assert.rejects(client.readResource({ uri: 'test://static-text' }), /there is no such resource/);
    const unknown = await modernRequest(running, 'tasks/list');
    assert.equal(unknown.status, 404);
    assert.equal(JSON.parse(unknown.text).error.code, -32601);
    assert.equal((await modernRequest(running, 'ping')).status, 404);
  });
});

function modernRequest(running: Parameters<typeof send>[0], method: string, params: object = {}) {
  const meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const headers = ['MCP-Protocol-Version', '2026-07-28', 'Mcp-Method', method];
  return send(running, { id: 1, method, params: { ...params, _meta: meta } }, headers);
}

describe('what servers ask and say, with all servers as one', function () {
  this.timeout(60_000);
  afterEach(endAll);

  it('two servers that ask at once, with the same ids, get their own answers', async () => {
    const [one, two] = await Promise.all([whole('legacy'), whole('legacy')]);
    const client = sdkClient();
    const ids: unknown[] = [];
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }, { requestId }) => {
      ids.push(requestId);
      const asked = params.messages[0]?.content as { text: string };
      return {
        model: 'none',
        role: 'assistant' as const,
        content: { type: 'text' as const, text: `to ${asked.text}` },
      };
    });
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
      action: 'accept' as const,
      content: { username: params.message, email: 'a@b' },
    }));
    await legacyClient(await aggregate({ one, two }), 'alice', client);
    const call = async (name: string, args: Record<string, unknown>) =>
      JSON.stringify((await client.callTool({ name, arguments: args })).content);
    const answers = await Promise.all([
      call('one__test_sampling', { prompt: 'first' }),
      call('two__test_sampling', { prompt: 'second' }),
      call('two__test_elicitation', { message: 'third' }),
    ]);
    assert.match(answers[0] as string, /LLM response: to first/);
    assert.match(answers[1] as string, /LLM response: to second/);
    assert.match(answers[2] as string, /action=accept.*third/);
    assert.equal(new Set(ids).size, 2);
  });

  it('progress and log messages come with the call, and say which server logs', async () => {
    const [one, two] = await Promise.all([whole('legacy'), whole('modern')]);
    const client = sdkClient();
    const logged: LoggingMessageNotification['params'][] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void logged.push(params));
    await legacyClient(await aggregate({ one, two }), 'alice', client);
    await client.setLoggingLevel('info');
    for (const server of ['one', 'two']) {
      const seen: number[] = [];
      await client.callTool({ name: `${server}__test_tool_with_progress` }, undefined, {
        onprogress: ({ progress }) => void seen.push(progress),
      });
      assert.deepEqual(seen, [0, 50, 100], server);
    }
    await client.callTool({ name: 'one__test_logging_tool' });
    assert.deepEqual(logged, [{ level: 'info', data: 'about to end', logger: 'one' }]);
    await assert.rejects(client.setLoggingLevel('loud' as 'info'));
  });

  it('a stateless client answers what a stateless server asks for, at that server', async () => {
    const [one, two] = await Promise.all([whole('modern'), whole('modern')]);
    const client = newModernClient();
    client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { name: 'Ada' } }));
    await modernClient(await aggregate({ one, two }), 'alice', client);
    const { content } = await client.callTool({ name: 'two__test_input_required_result_elicitation' });
    assert.match(JSON.stringify(content), /Ada/);
  });

  it('a question crosses the eras in both directions', async () => {
    const [old, modern] = await Promise.all([whole('legacy'), whole('modern')]);
    const running = await aggregate({ old, modern });
    const stateless = newModernClient();
    stateless.setRequestHandler('sampling/createMessage', async () => ({
      model: 'none',
      role: 'assistant',
      content: { type: 'text', text: 'across' },
    }));
    await modernClient(running, 'alice', stateless);
    const asked = await stateless.callTool({ name: 'old__test_sampling', arguments: { prompt: 'x' } });
    assert.match(JSON.stringify(asked.content), /LLM response: across/);

    const client = sdkClient();
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' as const, content: { name: 'Ada' } }));
    await legacyClient(running, 'alice', client);
    const { content } = await client.callTool({ name: 'modern__test_input_required_result_elicitation' });
    assert.match(JSON.stringify(content), /Ada/);
  });
});
