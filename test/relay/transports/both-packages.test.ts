import assert from 'node:assert/strict';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, it } from 'mocha';
import { startConformanceServer } from '../../support/conformance-server/server.ts';
import { endAll, onEnd, relay } from '../support/relay.ts';

const INIT = { headers: { 'X-Authenticated-User': 'alice' } };

async function relayedServer(era: 'legacy' | 'modern'): Promise<URL> {
  const server = await startConformanceServer([era]);
  onEnd(() => server.stop());
  const running = await relay({ servers: { one: { url: server.url } } });
  return new URL(running.url);
}

describe("the MCP project's client packages through the relay", () => {
  afterEach(endAll);

  it('version 1 with a server of sessions: a question on the open stream', async () => {
    const client = new Client({ name: 'test', version: '1.0.0' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
      action: 'accept' as const,
      content: { username: params.message, email: 'alice@example.com' },
    }));
    const transport = new StreamableHTTPClientTransport(await relayedServer('legacy'), { requestInit: INIT });
    await client.connect(transport as Transport);
    onEnd(() => client.close());
    const result = await client.callTool({ name: 'test_elicitation', arguments: { message: 'who?' } });
    assert.match(JSON.stringify(result.content), /action=accept, content=.*who\?/);
  });

  it('version 2 with a stateless server: an answer that asks back first', async () => {
    const client = new ModernClient(
      { name: 'test', version: '1.0.0' },
      { capabilities: { elicitation: {} }, versionNegotiation: { mode: { pin: '2026-07-28' } } },
    );
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept' as const, content: { name: 'Alice' } }));
    await client.connect(new ModernTransport(await relayedServer('modern'), { requestInit: INIT }));
    onEnd(() => client.close());
    assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
    const result = await client.callTool({ name: 'test_input_required_result_elicitation' });
    assert.deepEqual(result.content, [{ type: 'text', text: 'Hello, Alice!' }]);
  });
});
