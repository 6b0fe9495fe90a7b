import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { CreateMessageRequestSchema, ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, it } from 'mocha';
import { endAll, onEnd, relay, upstream } from '../support/relay.ts';

/** A stateful server whose tool reports progress and asks the client's model. */
async function statefulServer(): Promise<{ url: string; notify(): void }> {
  const transports = new Map<string, StreamableHTTPServerTransport>();
  const servers: McpServer[] = [];
  const url = await upstream(async (request, response) => {
    const known = transports.get(String(request.headers['mcp-session-id']));
    if (known !== undefined) return known.handleRequest(request, response);
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (id) => void transports.set(id, transport),
    });
    const server = new McpServer({ name: 'stateful', version: '1.0.0' });
    server.registerTool('ask', {}, async ({ _meta, sendNotification, sendRequest }) => {
      const progressToken = _meta?.progressToken ?? '';
      await sendNotification({ method: 'notifications/progress', params: { progressToken, progress: 1, total: 2 } });
      const answer = await sendRequest(
        {
          method: 'sampling/createMessage',
          params: { maxTokens: 10, messages: [{ role: 'user', content: { type: 'text', text: 'say it' } }] },
        },
        (await import('@modelcontextprotocol/sdk/types.js')).CreateMessageResultSchema,
      );
      return { content: [{ type: 'text', text: `model said: ${JSON.stringify(answer.content)}` }] };
    });
    servers.push(server);
    await server.connect(transport as Transport);
    return transport.handleRequest(request, response);
  });
  return { url, notify: () => servers.at(-1)?.sendToolListChanged() };
}

describe('the official client and a stateful server through the relay', () => {
  afterEach(endAll);

  it('progress, sampling, notifications of the GET stream and the end of the session', async () => {
    const server = await statefulServer();
    const running = await relay({ servers: { one: { url: server.url } } });
    const client = new Client({ name: 'test', version: '1.0.0' }, { capabilities: { sampling: {} } });
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      model: 'none',
      role: 'assistant' as const,
      content: { type: 'text' as const, text: 'it' },
    }));
    const changed = new Promise<void>((resolve) => {
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => resolve());
    });
    const transport = new StreamableHTTPClientTransport(new URL(running.url), {
      requestInit: { headers: { 'X-Authenticated-User': 'alice' } },
    });
    await client.connect(transport as Transport);
    onEnd(() => client.close());

    const progress: number[] = [];
    const result = await client.callTool({ name: 'ask' }, undefined, {
      onprogress: (step) => progress.push(step.progress),
    });
    assert.deepEqual(progress, [1]);
    assert.match(JSON.stringify(result.content), /model said/);

    const poke = setInterval(() => server.notify(), 50);
    await changed.finally(() => clearInterval(poke));
    await transport.terminateSession();
    assert.equal(transport.sessionId, undefined);
  });
});
