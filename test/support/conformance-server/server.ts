import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
  toWebRequest,
} from '@modelcontextprotocol/node';
import { createMcpHandler, createRequestStateCodec, isLegacyRequest, McpServer } from '@modelcontextprotocol/server';
import { registerPrompts, registerResources } from './contents.ts';
import { type Progress, registerInputs } from './inputs.ts';
import { registerQuestions } from './questions.ts';
import { registerTools } from './tools.ts';

type Era = 'legacy' | 'modern';
/** What the server's requests always have. */
type McpRequest = IncomingMessage & { method: string; url: string };

export interface ConformanceServer {
  readonly port: number;
  /** Its MCP endpoint. */
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * An MCP server with everything that the conformance scenarios call, by the MCP project's own server package: with
 * sessions up to 2025-11-25, stateless from 2026-07-28, or both on one address.
 *
 * @param eras that it speaks; another one is refused, as a server that knows nothing of it would
 */
export async function startConformanceServer(
  eras: readonly Era[] = ['legacy', 'modern'],
  port = 0,
): Promise<ConformanceServer> {
  const states = createRequestStateCodec<Progress>({ key: randomBytes(32) });
  const create = (era: Era) => createConformanceServer(era, states);
  const modern = createMcpHandler(() => create('modern'), { legacy: 'reject' });
  const serveModern = toNodeHandler(modern);
  const legacy = new LegacySessions(() => create('legacy'));
  const mayHost = localhostHostValidation();
  const mayOrigin = localhostOriginValidation();

  const server = createServer((request, response) => {
    if (!mayHost(request, response) || !mayOrigin(request, response)) return;
    void serve(request as McpRequest, response).catch((error: unknown) => response.destroy(error as Error));
  });
  const serve = async (request: McpRequest, response: ServerResponse) => {
    if (request.url !== '/mcp') return void response.writeHead(404).end();
    const body = request.method === 'POST' ? await readJson(request) : undefined;
    const isLegacy = await isLegacyRequest(await toWebRequest(request, body), body);
    if (!eras.includes('legacy') || (!isLegacy && eras.includes('modern'))) await serveModern(request, response, body);
    else await legacy.serve(request, response, body);
  };
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    url: `http://127.0.0.1:${address.port}/mcp`,
    stop: async () => {
      await modern.close();
      await legacy.close();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function createConformanceServer(era: Era, states: ReturnType<typeof createRequestStateCodec<Progress>>): McpServer {
  const server = new McpServer(
    { name: 'conformance', version: '1.0.0' },
    {
      capabilities: {
        logging: {},
        tools: { listChanged: true },
        prompts: { listChanged: true },
        resources: { subscribe: true, listChanged: true },
        completions: {},
      },
      requestState: { verify: (state, context) => states.verify(state, context) },
    },
  );
  registerTools(server);
  registerResources(server);
  registerPrompts(server);
  registerInputs(server, states);
  registerQuestions(server);
  if (era === 'legacy') {
    server.server.setRequestHandler('resources/subscribe', () => ({}));
    server.server.setRequestHandler('resources/unsubscribe', () => ({}));
  }
  return server;
}

/** One server and transport for each session (2025-03-26 to 2025-11-25). */
class LegacySessions {
  readonly #create: () => McpServer;
  readonly #open = new Map<string, { server: McpServer; transport: NodeStreamableHTTPServerTransport }>();

  constructor(create: () => McpServer) {
    this.#create = create;
  }

  async serve(request: IncomingMessage, response: ServerResponse, body: unknown): Promise<void> {
    const id = request.headers['mcp-session-id'];
    const known = typeof id === 'string' ? this.#open.get(id) : undefined;
    if (known !== undefined) return known.transport.handleRequest(request, response, body);
    // A session that has ended is 404 (2025-11-25, basic/transports, session management), whatever is asked of it.
    if (id !== undefined)
      return void response
        .writeHead(404, { 'Content-Type': 'application/json' })
        .end('{"jsonrpc":"2.0","error":{"code":-32001,"message":"session not found"},"id":null}');
    const server = this.#create();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (session) => void this.#open.set(session, { server, transport }),
      onsessionclosed: (session) => void this.#open.delete(session),
    });
    await server.connect(transport);
    await transport.handleRequest(request, response, body);
  }

  async close(): Promise<void> {
    for (const { server } of this.#open.values()) await server.close();
  }
}

/** @returns undefined where it is no JSON, which the transport then refuses itself */
async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString());
}
