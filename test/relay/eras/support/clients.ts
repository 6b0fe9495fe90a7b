import { Client, type ClientOptions, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
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
