import { Client, type ClientOptions, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  type ClientCapabilities as LegacyCapabilities,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { onEnd } from '../../support/relay.ts';

/** The official client of the stateless era, as the user that a proxy would name; it can do everything that can be asked. */
export async function modernClient(
  url: string,
  user = 'alice',
  capabilities: ClientOptions['capabilities'] = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} },
): Promise<Client> {
  const client = new Client(
    { name: 'test', version: '1.0.0' },
    { capabilities, versionNegotiation: { mode: { pin: '2026-07-28' } } },
  );
  if (capabilities?.elicitation !== undefined)
    client.setRequestHandler('elicitation/create', ({ params }) => ({
      action: 'accept' as const,
      content: { username: params.message, email: `${user}@example.com` },
    }));
  if (capabilities?.sampling !== undefined)
    client.setRequestHandler('sampling/createMessage', () => ({
      role: 'assistant' as const,
      model: 'none',
      content: { type: 'text' as const, text: `sampled by ${user}` },
    }));
  if (capabilities?.roots !== undefined)
    client.setRequestHandler('roots/list', () => ({ roots: [{ uri: `file:///home/${user}`, name: user }] }));
  const requestInit = { headers: { 'X-Authenticated-User': user } };
  onEnd(() => client.close());
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  return client;
}

/** The official client of the sessions' era over streamable HTTP, which can do everything that can be asked. */
export async function legacyClient(
  port: number,
  user = 'alice',
  capabilities: LegacyCapabilities = { sampling: {}, elicitation: { form: {}, url: {} }, roots: {} },
  transport: Transport = streamableHttp(port, user),
): Promise<LegacyClient> {
  const client = new LegacyClient({ name: 'test', version: '1.0.0' }, { capabilities });
  if (capabilities.elicitation !== undefined)
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({
      action: 'accept' as const,
      content: { name: user, username: params.message, email: `${user}@example.com`, color: 'red', ok: true },
    }));
  if (capabilities.sampling !== undefined)
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      role: 'assistant' as const,
      model: 'none',
      content: { type: 'text' as const, text: `sampled by ${user}` },
    }));
  if (capabilities.roots !== undefined)
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: `file:///home/${user}`, name: user }] }));
  onEnd(() => client.close());
  await client.connect(transport);
  return client;
}

function streamableHttp(port: number, user: string): Transport {
  const requestInit = { headers: { 'X-Authenticated-User': user } };
  const url = new URL(`http://127.0.0.1:${port}/servers/one/mcp`);
  return new LegacyTransport(url, { requestInit }) as Transport;
}
