import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, inputRequired, McpServer } from '@modelcontextprotocol/server';
import { onEnd } from '../../support/relay.ts';

/** A server of the stateless era by the MCP project's own package, whose tools a test can watch. */
export async function serverWithoutSessions() {
  const asked: string[] = [];
  const cancelled: string[] = [];
  const create = (): McpServer => {
    const server = new McpServer(
      { name: 'without-sessions', version: '1.0.0' },
      {
        capabilities: { logging: {}, tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } },
      },
    );
    server.registerTool('waits', {}, async ({ mcpReq }) => {
      asked.push('waits');
      await new Promise<void>((resolve) => {
        mcpReq.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      cancelled.push('waits');
      return { content: [] };
    });
    server.registerTool('asks_again_and_again', {}, async () =>
      inputRequired({
        inputRequests: {
          name: inputRequired.elicit({ message: 'who?', requestedSchema: { type: 'object', properties: {} } }),
        },
      }),
    );
    server.registerTool('logs', {}, async ({ mcpReq }) => {
      await mcpReq.log('info', 'logged');
      return { content: [] };
    });
    server.registerTool('numbers', {}, () => ({ content: [{ type: 'text', text: '1' }], structuredContent: [1] }));
    server.registerTool('secret', {}, () => {
      asked.push('secret');
      return { content: [] };
    });
    server.registerResource('watched', 'test://watched', {}, ({ href }) => ({ contents: [{ uri: href, text: 'x' }] }));
    return server;
  };
  const handler = createMcpHandler(create, { legacy: 'reject' });
  const serve = toNodeHandler(handler);
  const http = createServer((request, response) => {
    const { method = '', url = '' } = request;
    void serve(Object.assign(request, { method, url }), response);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onEnd(async () => {
    await handler.close();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    asked,
    cancelled,
    notify: handler.notify,
    /** Cuts every connection, as a network would. */
    cut: () => http.closeAllConnections(),
  };
}
