import assert from 'node:assert/strict';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { Child } from '../../support/child.ts';
import { startConformanceServer } from '../../support/conformance-server/server.ts';
import { startEverythingServer } from '../../support/everything-server.ts';
import { freePorts } from '../../support/free-port.ts';
import { endAll, onEnd, type RelayUnderTest, relay } from '../support/relay.ts';
import { sdkClient, TRANSPORTS } from '../support/sdk-client.ts';

const RULES = [
  { tools: ['echo'], arguments: { type: 'object', required: ['message'], properties: { message: { maxLength: 8 } } } },
  { prompts: ['simple-prompt'], resources: ['demo://resource/static/*'] },
];

describe('the policy in front of real servers', () => {
  let everything: Child;
  let running: RelayUnderTest;

  before(async function () {
    this.timeout(60_000);
    const [port = 0] = await freePorts(1);
    everything = await startEverythingServer(port);
    const modern = await startConformanceServer(['modern']);
    onEnd(() => modern.stop());
    running = await relay({
      servers: { one: { url: `http://127.0.0.1:${port}/mcp` }, two: { url: modern.url } },
      policy: {
        rules: [
          ...RULES.map((rule) => ({ ...rule, servers: ['one'] })),
          { servers: ['two'], tools: ['test_simple_text'] },
        ],
      },
    });
  });
  after(async () => {
    await endAll();
    await everything?.stop();
  });

  const streamable = () =>
    new StreamableHTTPClientTransport(new URL(running.url), {
      requestInit: { headers: { 'X-Authenticated-User': 'alice' } },
    }) as Transport;
  const ways: Array<[name: string, open: () => Transport]> = [
    ['streamable HTTP', streamable],
    ['WebSocket', () => TRANSPORTS.websocket(running.port, 'alice')],
    ['HTTP+SSE', () => TRANSPORTS['http-sse'](running.port, 'alice')],
  ];
  for (const [name, open] of ways)
    it(`shows and allows the same by ${name}`, async () => {
      const client = sdkClient();
      await client.connect(open());
      assert.deepEqual(
        (await client.listTools()).tools.map((tool) => tool.name),
        ['echo'],
      );
      assert.deepEqual(
        (await client.listPrompts()).prompts.map((prompt) => prompt.name),
        ['simple-prompt'],
      );
      for (const { uri } of (await client.listResources()).resources) assert.match(uri, /^demo:\/\/resource\/static\//);
      const { content } = await client.callTool({ name: 'echo', arguments: { message: 'hello' } });
      assert.deepEqual(content, [{ type: 'text', text: 'Echo: hello' }]);
      await assert.rejects(
        client.callTool({ name: 'echo', arguments: { message: 'much too long' } }),
        /MCP error -32003: you may not use/,
      );
      await assert.rejects(
        client.callTool({ name: 'get-env', arguments: {} }),
        /tools\/call "get-env" of server "one"/,
      );
      await client.close();
    });

  it('and by the stateless era', async () => {
    const { Client, StreamableHTTPClientTransport: Modern } = await import('@modelcontextprotocol/client');
    const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    const url = new URL(`http://127.0.0.1:${running.port}/servers/two/mcp`);
    await client.connect(new Modern(url, { requestInit: { headers: { 'X-Authenticated-User': 'alice' } } }));
    assert.deepEqual(
      (await client.listTools()).tools.map((tool) => tool.name),
      ['test_simple_text'],
    );
    assert.ok((await client.callTool({ name: 'test_simple_text', arguments: {} })).content);
    await assert.rejects(client.callTool({ name: 'delete_everything', arguments: {} }), /you may not use/);
    await client.close();
  });
});
