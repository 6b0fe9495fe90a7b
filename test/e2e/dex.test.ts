import assert from 'node:assert/strict';
import { type BrokerGate, openBrokerGate } from '../forward-auth/mcp-authorization/support/broker-gate.ts';
import {
  type CallbackPage,
  openCallbackPage,
  SdkClient,
} from '../forward-auth/mcp-authorization/support/mcp-client.ts';
import { buildDex, DEX_CLIENT, type Dex, startDex } from '../support/dex.ts';
import { freePorts } from '../support/free-port.ts';

describe('Dynamic Client Registration in front of the real Dex', () => {
  let dex: Dex | undefined;
  let gate: BrokerGate | undefined;
  let callback: CallbackPage | undefined;
  before(async function () {
    this.timeout(300_000);
    const built = await buildDex();
    if ('missing' in built) {
      process.stderr.write(`  skipped: ${built.missing}\n`);
      return this.skip();
    }
    const [port] = (await freePorts(1)) as [number];
    dex = await startDex(built, `http://127.0.0.1:${port}/_postern/callback`);
    gate = await openBrokerGate({
      port,
      auth: {
        providers: [
          {
            id: 'dex',
            issuer: dex.issuer,
            clientId: DEX_CLIENT.id,
            clientSecret: DEX_CLIENT.secret,
            scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
          },
        ],
        rules: [{ match: { path: '/servers/**' }, allow: { groups: ['authors'] }, scopes: { default: ['mcp:use'] } }],
      },
    });
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
    await dex?.stop();
  });

  it('a client registers at Postern, a person signs in at Dex, and their groups are those of Dex at each refresh', async () => {
    assert.ok(gate && callback && dex);
    const client = new SdkClient(callback.url);
    const first = await client.connect(gate.resource('github'));
    for (const token of [first.access_token, (await client.connect(gate.resource('github'))).access_token]) {
      const allowed = await gate.check('github', token);
      assert.equal(allowed.status, 200);
      assert.equal(allowed.headers.get('x-authenticated-groups'), 'authors');
      assert.equal(allowed.headers.get('x-authenticated-email'), 'kilgore@kilgore.trout');
      assert.equal(allowed.headers.get('x-authenticated-issuer'), dex.issuer);
      assert.equal((await gate.check('files', token)).status, 401);
    }
    assert.notEqual(client.saved?.access_token, first.access_token);
  });

  it('a second device of the same person, which ends the first one’s refresh token at Dex, ends its grant and is no outage', async () => {
    assert.ok(gate && callback);
    const { issuer } = gate;
    const [one, two] = [new SdkClient(callback.url), new SdkClient(callback.url)];
    await one.connect(gate.resource('github'));
    await two.connect(gate.resource('github'));
    const refresh = async ({ information, saved }: SdkClient) => {
      const response = await fetch(`${issuer}/_postern/oauth/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'refresh_token',
          client_id: information?.client_id ?? '',
          refresh_token: saved?.refresh_token ?? '',
        }),
      });
      const body = (await response.json()) as { error?: string };
      return [response.status, body.error];
    };
    assert.deepEqual(await refresh(one), [400, 'invalid_grant']);
    assert.deepEqual(await refresh(one), [400, 'invalid_grant']);
    assert.deepEqual(await refresh(two), [200, undefined]);
    // What is left to the first device is to sign in again, and that works.
    one.saved = undefined;
    assert.ok((await one.connect(gate.resource('github'))).access_token);
  });
});
