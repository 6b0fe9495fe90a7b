import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as LegacyTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { UrlElicitationRequiredError } from '@modelcontextprotocol/sdk/types.js';
import { endAll, onEnd } from '../support/relay.ts';
import { type Connecting, ConnectingPerson, startConnecting } from './support/connecting.ts';

/** The official clients, as people who have not connected their account yet. */
describe('clients of people who have connected nothing', () => {
  afterEach(endAll);

  const endpoint = ({ url }: Connecting) => new URL(url);
  const requestInit = { headers: { 'X-Authenticated-User': 'alice' } };

  it('of 2025-11-25 get the error that they know, with the address', async () => {
    const place = await startConnecting();
    const capabilities = { elicitation: { form: {}, url: {} } };
    const client = new LegacyClient({ name: 'test', version: '1' }, { capabilities });
    onEnd(() => client.close());
    await assert.rejects(
      client.connect(new LegacyTransport(endpoint(place), { requestInit }) as never),
      (error) =>
        error instanceof UrlElicitationRequiredError &&
        error.elicitations[0]?.url === `${place.origin}/connect/servers/one`,
    );
  });

  it('of 2026-07-28 are asked, and their call goes on when the person has connected', async () => {
    const place = await startConnecting();
    const alice = new ConnectingPerson(place.origin, 'alice');
    const capabilities = { elicitation: { form: {}, url: {} } };
    const client = new Client(
      { name: 'test', version: '1' },
      { capabilities, versionNegotiation: { mode: { pin: '2026-07-28' } } },
    );
    onEnd(() => client.close());
    const asked: unknown[] = [];
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      asked.push(params);
      await alice.connect();
      return { action: 'accept' };
    });
    await alice.connect();
    await client.connect(new StreamableHTTPClientTransport(endpoint(place), { requestInit }));
    await alice.send('disconnect');
    const result = await client.callTool({ name: 'who', arguments: {} });
    assert.deepEqual(result.content, [{ type: 'text', text: 'alice' }]);
    assert.deepEqual(asked.length, 1);
    assert.equal((asked[0] as { url: string }).url, `${place.origin}/connect/servers/one`);
  });
});
