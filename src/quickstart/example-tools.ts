import { setTimeout as delay } from 'node:timers/promises';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';

/** The first example: a little of everything that a server may offer. */
export function createExampleTools(): McpServer {
  const server = new McpServer({ name: 'postern-example', version: '1.0.0' });
  server.registerTool(
    'echo',
    { description: 'Answers with the text it was given.', inputSchema: { text: z.string().max(10_000) } },
    ({ text }) => ({ content: [{ type: 'text', text }] }),
  );
  server.registerTool(
    'add',
    { description: 'Adds two numbers.', inputSchema: { a: z.number(), b: z.number() } },
    ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }),
  );
  server.registerTool(
    'countdown',
    {
      description: 'Counts down and reports progress at every step.',
      inputSchema: {
        from: z.int().min(1).max(100).default(3),
        interval: z.int().min(0).max(1000).default(200).describe('milliseconds between two steps'),
      },
    },
    async ({ from, interval }, extra) => {
      const progressToken = extra._meta?.progressToken;
      for (let step = 1; step <= from; step++) {
        await delay(interval, undefined, { signal: extra.signal });
        if (progressToken === undefined) continue;
        await extra.sendNotification({
          method: 'notifications/progress',
          params: { progressToken, progress: step, total: from, message: `${from - step} left` },
        });
      }
      return { content: [{ type: 'text', text: 'liftoff' }] };
    },
  );
  server.registerResource(
    'about',
    'postern://example/about',
    { title: 'About this server', mimeType: 'text/plain' },
    (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'The example MCP server of Postern.' }] }),
  );
  server.registerPrompt(
    'greeting',
    { description: 'Asks for a greeting.', argsSchema: { name: z.string().max(200) } },
    ({ name }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name} in one sentence.` } }] }),
  );
  return server;
}
