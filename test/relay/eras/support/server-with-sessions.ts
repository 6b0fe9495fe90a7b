import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node';
import { McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { onEnd } from '../../support/relay.ts';

/** What a test sees of its server. */
export interface ServerWithSessions {
  readonly url: string;
  /** The sessions that are open now. */
  readonly sessions: Map<string, McpServer>;
  /** Tool calls that were taken back, and those that came to their end. */
  readonly cancelled: string[];
  readonly finished: string[];
  /** Forgets every session, as a server that was started anew. */
  forget(): void;
}

/** A server of the sessions' era by the MCP project's own package, whose tools a test can watch. */
export async function serverWithSessions(): Promise<ServerWithSessions> {
  const open = new Map<string, { server: McpServer; transport: NodeStreamableHTTPServerTransport }>();
  const sessions = new Map<string, McpServer>();
  const cancelled: string[] = [];
  const finished: string[] = [];
  const create = (): McpServer => {
    const server = new McpServer(
      { name: 'with-sessions', version: '1.0.0' },
      { capabilities: { tools: { listChanged: true }, resources: { subscribe: true, listChanged: true } } },
    );
    server.registerTool('two_questions', {}, async ({ mcpReq }) => {
      const ask = (message: string) =>
        mcpReq.send({
          method: 'elicitation/create',
          params: { message, requestedSchema: { type: 'object', properties: { username: { type: 'string' } } } },
        });
      const [first, second] = [await ask('first'), await ask('second')];
      finished.push('two_questions');
      return { content: [{ type: 'text', text: JSON.stringify([first.content, second.content]) }] };
    });
    server.registerTool('waits', { inputSchema: z.object({ name: z.string() }) }, async ({ name }, { mcpReq }) => {
      await new Promise<void>((resolve) => {
        mcpReq.signal.addEventListener('abort', () => resolve(), { once: true });
      });
      cancelled.push(name);
      return { content: [] };
    });
    server.registerTool('session', {}, ({ sessionId }) => ({ content: [{ type: 'text', text: String(sessionId) }] }));
    server.registerTool('changes', {}, async () => {
      server.sendToolListChanged();
      await server.server.sendResourceUpdated({ uri: 'test://watched' });
      await server.server.sendResourceUpdated({ uri: 'test://other' });
      return { content: [] };
    });
    server.registerResource('watched', 'test://watched', {}, ({ href }) => ({ contents: [{ uri: href, text: 'x' }] }));
    server.server.setRequestHandler('resources/subscribe', () => ({}));
    server.server.setRequestHandler('resources/unsubscribe', () => ({}));
    return server;
  };
  const http = createServer(async (request, response) => {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? open.get(id) : undefined;
    if (known !== undefined) return void known.transport.handleRequest(request, response);
    if (id !== undefined) return void response.writeHead(404).end();
    const server = create();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (session) => {
        open.set(session, { server, transport });
        sessions.set(session, server);
      },
      onsessionclosed: (session) => {
        open.delete(session);
        sessions.delete(session);
      },
    });
    await server.connect(transport);
    await transport.handleRequest(request, response);
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp`,
    sessions,
    cancelled,
    finished,
    forget: () => {
      open.clear();
      sessions.clear();
    },
  };
}
