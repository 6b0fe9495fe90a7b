import {
  type ClientCapabilities,
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
} from '@modelcontextprotocol/client';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { type Sealing, sealingKey, sealingWith } from '../../../src/platform/sealing/sealing.ts';
import { CONNECTION_TIMES } from '../../../src/relay/transports/channel/connection.ts';
import { startConformanceServer } from '../../support/conformance-server/server.ts';
import { type Answer, ask, onEnd, type RelayUnderTest, relay } from '../support/relay.ts';
import { sdkClient } from '../support/sdk-client.ts';

/** Short, so that a test sees a server come back. */
export const TIMES = {
  ...CONNECTION_TIMES,
  // Answers are read as JSON, however long a busy machine takes.
  silence: { own: 60_000, passed: 60_000 },
  retry: { first: 20, longest: 100, attempts: 2 },
};
export const SESSION_KEY = Buffer.alloc(32, 7).toString('base64url');

export interface TestServer {
  readonly url: string;
  readonly timeout?: string;
}

/** All the servers as one, in the order in which they are given. */
export function aggregate(servers: Readonly<Record<string, TestServer>>, more: object = {}): Promise<RelayUnderTest> {
  const names = Object.keys(servers);
  const known = Object.fromEntries(
    Object.entries(servers).map(([name, { url, timeout = '60s' }]) => [name, { url, timeout }]),
  );
  return relay(
    { servers: known, sessionKey: SESSION_KEY, aggregate: { servers: names, timeout: '2s', ...more } },
    { times: TIMES },
  );
}

/** A whole MCP server, of one era. */
export async function whole(era: 'legacy' | 'modern', port = 0): Promise<TestServer & { stop(): Promise<void> }> {
  const server = await startConformanceServer([era], port);
  onEnd(() => server.stop());
  return server;
}

export async function legacyClient({ port }: RelayUnderTest, user = 'alice', given?: Client): Promise<Client> {
  const client = given ?? sdkClient();
  const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${port}/mcp`), {
    requestInit: { headers: { 'X-Authenticated-User': user } },
    reconnectionOptions: {
      initialReconnectionDelay: 50,
      maxReconnectionDelay: 50,
      reconnectionDelayGrowFactor: 1,
      maxRetries: 100,
    },
  });
  await client.connect(transport as Transport);
  return client;
}

export async function modernClient(
  { port }: RelayUnderTest,
  user = 'alice',
  given: ModernClient = newModernClient(),
): Promise<ModernClient> {
  onEnd(() => given.close());
  await given.connect(
    new ModernTransport(new URL(`http://127.0.0.1:${port}/mcp`), {
      requestInit: { headers: { 'X-Authenticated-User': user } },
    }),
  );
  return given;
}

export function newModernClient(
  capabilities: ClientCapabilities = { sampling: {}, elicitation: { form: {} }, roots: {} },
): ModernClient {
  return new ModernClient(
    { name: 'test', version: '1.0.0' },
    {
      capabilities,
      versionNegotiation: { mode: { pin: '2026-07-28' } },
    },
  );
}

/** One message to `/mcp` or another path, as it is. */
export function send(
  { port }: RelayUnderTest,
  message: object,
  headers: readonly string[] = [],
  user = 'alice',
  path = '/mcp',
): Promise<Answer> {
  const own = ['X-Authenticated-User', user, 'Accept', 'application/json, text/event-stream'];
  return ask(port, {
    path,
    headers: [...own, ...headers],
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  });
}

/** Opens a session by hand. @returns the header fields of the requests in it */
export async function openSession(running: RelayUnderTest, user = 'alice'): Promise<string[]> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } };
  const { headers } = await send(running, { id: 1, method: 'initialize', params }, [], user);
  return ['Mcp-Session-Id', String(headers['mcp-session-id']), 'MCP-Protocol-Version', '2025-06-18'];
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** @param key 32 bytes */
export function sealingOf(key: Buffer): Sealing {
  const keys = [sealingKey(key)];
  return sealingWith(() => keys);
}
