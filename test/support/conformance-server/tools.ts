import { setTimeout as sleep } from 'node:timers/promises';
import { fromJsonSchema, type McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { PNG, WAV } from './contents.ts';

/** A result that is one text. */
export function text(value: string) {
  return { content: [{ type: 'text' as const, text: value }] };
}

const MIRRORED = { type: 'string', 'x-mcp-header': 'Region' } as const;

/** Tools by the names that the conformance scenarios ask for, which need nothing of the client. */
export function registerTools(server: McpServer): void {
  server.registerTool('test_simple_text', { description: 'one text' }, () =>
    text('This is a simple text response for testing.'),
  );
  server.registerTool('test_image_content', { description: 'one picture' }, () => ({
    content: [{ type: 'image', data: PNG, mimeType: 'image/png' }],
  }));
  server.registerTool('test_audio_content', { description: 'one sound' }, () => ({
    content: [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
  }));
  server.registerTool('test_embedded_resource', { description: 'one resource' }, () => ({
    content: [
      {
        type: 'resource',
        resource: {
          uri: 'test://embedded-resource',
          mimeType: 'text/plain',
          text: 'This is an embedded resource content.',
        },
      },
    ],
  }));
  server.registerTool('test_multiple_content_types', { description: 'one of each' }, () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      { type: 'image', data: PNG, mimeType: 'image/png' },
      {
        type: 'resource',
        resource: {
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: JSON.stringify({ test: 'data', value: 123 }),
        },
      },
    ],
  }));
  server.registerTool('test_error_handling', { description: 'always fails' }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  server.registerTool('test_tool_with_logging', { description: 'logs while it works' }, async ({ mcpReq }) => {
    await mcpReq.log('info', 'Tool execution started');
    await sleep(50);
    await mcpReq.log('info', 'Tool processing data');
    await sleep(50);
    await mcpReq.log('info', 'Tool execution completed');
    return text('logged three times');
  });
  server.registerTool('test_logging_tool', { description: 'logs once' }, async ({ mcpReq }) => {
    await mcpReq.log('info', 'about to end');
    return text('logged once');
  });
  server.registerTool('test_tool_with_progress', { description: 'says how far it is' }, async ({ mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progress > 0) await sleep(50);
      if (progressToken === undefined) continue;
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
    }
    return text('done');
  });
  server.registerTool(
    'test_custom_headers',
    {
      description: 'its argument is mirrored in a header',
      inputSchema: fromJsonSchema<{ region: string }>({
        type: 'object',
        properties: { region: MIRRORED },
        required: ['region'],
      }),
    },
    ({ region }) => text(`in ${region}`),
  );
  server.registerTool(
    'delete_everything',
    { description: 'pretends to', inputSchema: z.object({ sure: z.boolean().default(false) }) },
    ({ sure }) => text(sure ? 'everything is gone' : 'nothing was done'),
  );
}
