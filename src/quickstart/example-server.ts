import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { createHttpServer, drain, listen, sendJson } from '../platform/http.ts';

export interface ExampleServer {
  readonly port: number;
  readonly url: string;
  close(grace: number): Promise<void>;
}

interface Serving {
  readonly sessions: Map<string, StreamableHTTPServerTransport>;
  readonly createMcpServer: () => McpServer;
}

/** More sessions than a first look needs; the oldest ends where one too many is opened. */
const MAX_SESSIONS = 100;

/**
 * An MCP server to try Postern with: Streamable HTTP with sessions (MCP 2025-11-25, basic/transports).
 *
 * @param createMcpServer makes what one session speaks to
 */
export async function startExampleServer(
  address: { host: string; port: number },
  createMcpServer: () => McpServer,
): Promise<ExampleServer> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const server = createHttpServer({ maxHeaderSize: 16_384, requestTimeout: 30_000 }, (request, response) => {
    handle(request, response, { sessions, createMcpServer }).catch(() => {
      if (response.headersSent) response.destroy();
      else sendJson(response, 500, { error: 'internal_error' });
    });
  });
  const port = await listen(server, address);
  return {
    port,
    url: `http://${address.host}:${port}/mcp`,
    async close(grace) {
      const closed = drain(server, grace);
      await Promise.all([...sessions.values()].map((transport) => transport.close()));
      await closed;
    },
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  { sessions, createMcpServer }: Serving,
): Promise<void> {
  if (request.url?.split('?')[0] !== '/mcp') return sendJson(response, 404, { error: 'not_found' });
  // A web page that rebinds its name to 127.0.0.1 sends that name (MCP 2025-11-25, basic/transports, security warning).
  if (!/^(?:127\.0\.0\.1|localhost)(?::\d+)?$/.test(request.headers.host ?? ''))
    return sendJson(response, 403, { error: 'forbidden_host' });
  const id = request.headers['mcp-session-id'];
  if (typeof id === 'string') {
    const transport = sessions.get(id);
    // 404 tells a client to initialize again (MCP 2025-11-25, session management).
    if (transport === undefined) return sendJson(response, 404, rpcError(-32001, 'Session not found'));
    return transport.handleRequest(request, response);
  }
  const transport = await openSession(sessions, createMcpServer());
  await transport.handleRequest(request, response);
  // The request was no `initialize`: nothing refers to this server any more.
  if (transport.sessionId === undefined) await transport.close();
}

async function openSession(
  sessions: Map<string, StreamableHTTPServerTransport>,
  server: McpServer,
): Promise<StreamableHTTPServerTransport> {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: async (id) => {
      sessions.set(id, transport);
      const oldest = sessions.keys().next().value;
      if (sessions.size > MAX_SESSIONS && oldest !== undefined) await sessions.get(oldest)?.close();
    },
  });
  server.server.onclose = () => {
    if (transport.sessionId !== undefined) sessions.delete(transport.sessionId);
  };
  // The SDK's class and its interface differ under exactOptionalPropertyTypes only.
  await server.connect(transport as Transport);
  return transport;
}

function rpcError(code: number, message: string): object {
  return { jsonrpc: '2.0', error: { code, message }, id: null };
}
