import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { z } from 'zod';

const DAY = 86_400_000;
const date = z.iso.date().describe('as in 2026-02-28');

/** The second example. Its `add` is another one than the first's, so that it shows how names of several servers stay apart. */
export function createClockTools(): McpServer {
  const server = new McpServer({ name: 'postern-clock', version: '1.0.0' });
  server.registerTool('now', { description: 'Tells the time, in UTC.' }, () => ({
    content: [{ type: 'text', text: new Date().toISOString() }],
  }));
  server.registerTool(
    'add',
    { description: 'Adds days to a date.', inputSchema: { date, days: z.int().min(-100_000).max(100_000) } },
    ({ date: from, days }) => ({
      content: [{ type: 'text', text: new Date(Date.parse(from) + days * DAY).toISOString().slice(0, 10) }],
    }),
  );
  return server;
}
