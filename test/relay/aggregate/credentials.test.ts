import assert from 'node:assert/strict';
import { UrlElicitationRequiredError } from '@modelcontextprotocol/sdk/types.js';
import { afterEach, describe, it } from 'mocha';
import { ConnectingPerson, startConnecting } from '../connect/support/connecting.ts';
import { endAll } from '../support/relay.ts';
import { sdkClient } from '../support/sdk-client.ts';
import { legacyClient, modernClient, newModernClient } from './support.ts';

describe('accounts of people at servers in the whole', function () {
  this.timeout(60_000);
  afterEach(endAll);

  const start = () => startConnecting({ relay: { aggregate: { servers: ['one'] } } });

  it('are asked for by an error where the client has a session, and are each person’s own', async () => {
    const place = await start();
    const alice = new ConnectingPerson(place.origin, 'alice');
    const client = sdkClient();
    client.registerCapabilities({ elicitation: { form: {}, url: {} } });
    await legacyClient(place, 'alice', client);
    await assert.rejects(
      client.callTool({ name: 'one__who' }),
      (error) =>
        error instanceof UrlElicitationRequiredError &&
        error.elicitations[0]?.url === `${place.origin}/connect/servers/one`,
    );
    await alice.connect();
    const { content } = await client.callTool({ name: 'one__who' });
    assert.deepEqual(content, [{ type: 'text', text: 'alice' }]);
    const bob = await legacyClient(place, 'bob');
    await assert.rejects(bob.callTool({ name: 'one__who' }), /is not connected/);
  });

  it('are asked for by a question of a stateless client, whose call then goes on', async () => {
    const place = await start();
    const alice = new ConnectingPerson(place.origin, 'alice');
    const client = newModernClient({ elicitation: { form: {}, url: {} } });
    const asked: unknown[] = [];
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      asked.push(params);
      await alice.connect();
      return { action: 'accept' };
    });
    await modernClient(place, 'alice', client);
    const { content } = await client.callTool({ name: 'one__who', arguments: {} });
    assert.deepEqual(content, [{ type: 'text', text: 'alice' }]);
    assert.equal(asked.length, 1);
  });
});
