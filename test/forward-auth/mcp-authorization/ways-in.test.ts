import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage, SdkClient } from './support/mcp-client.ts';
import { postForm, RawClient } from './support/raw-client.ts';

const WELL_KNOWN = '/.well-known/oauth-protected-resource';

describe('the ways into one server', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async () => {
    gate = await openBrokerGate({ aggregate: true });
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
  });

  const ask = (path: string, token?: string) =>
    fetch(`${gate.issuer}/verify/traefik`, {
      headers: {
        'X-Forwarded-Method': 'GET',
        'X-Forwarded-Uri': path,
        'X-Forwarded-Host': new URL(gate.issuer).host,
        'X-Forwarded-Proto': 'http',
        'X-Forwarded-For': '203.0.113.7',
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
      },
    });

  for (const folder of ['/servers/github', ''])
    for (const [way, asked] of [
      ['mcp', 'mcp'],
      ['sse', 'sse'],
      ['sse', 'messages?sessionId=x'],
      ['ws', 'ws'],
    ] as const) {
      it(`are each a resource with metadata of its own, which its challenge names: ${folder}/${asked}`, async () => {
        const challenge = (await ask(`${folder}/${asked}`)).headers.get('www-authenticate') ?? '';
        const named = /resource_metadata="([^"]+)"/.exec(challenge)?.[1];
        assert.equal(named, `${gate.issuer}${WELL_KNOWN}${folder}/${way}`);
        const found = (await (await fetch(named ?? '')).json()) as Record<string, unknown>;
        assert.deepEqual(
          [found.resource, found.authorization_servers],
          [`${gate.issuer}${folder}/${way}`, [gate.issuer]],
        );
      });
    }

  for (const way of ['sse', 'ws'])
    for (const folder of ['/servers/github', ''])
      it(`lead the SDK’s client to a token for the server: ${folder}/${way}`, async () => {
        const client = new SdkClient(callback.url);
        const { access_token } = await client.connect(`${gate.issuer}${folder}/${way}`);
        assert.equal(decodeJwt(access_token).aud, `${gate.issuer}${folder}/mcp`);
        for (const own of ['mcp', 'sse', 'messages', 'ws'])
          assert.equal((await ask(`${folder}/${own}`, access_token)).status, 200, own);
        assert.equal((await ask('/servers/files/sse', access_token)).status, 401);
        const refreshed = await client.connect(`${gate.issuer}${folder}/${way}`);
        assert.notEqual(refreshed.access_token, access_token);
        assert.equal((await ask(`${folder}/${way}`, refreshed.access_token)).status, 200);
      });

  it('are one for the grant: a token is refreshed for another way in, and for no other server', async () => {
    const client = await RawClient.register(gate, callback.url);
    const resource = `${gate.issuer}/servers/github/sse`;
    const { refresh_token } = await client.tokens({ resource });
    const refresh = (token: unknown, at: string) =>
      postForm(`${gate.issuer}/_postern/oauth/token`, {
        grant_type: 'refresh_token',
        refresh_token: String(token),
        client_id: client.id,
        resource: gate.issuer + at,
      });
    const other = await refresh(refresh_token, '/servers/files/sse');
    assert.equal(other.body.error, 'invalid_target');
    const { status, body } = await refresh(refresh_token, '/servers/github/mcp');
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal((await ask('/servers/github/sse', String(body.access_token))).status, 200);
  });

  for (const nothing of ['/servers/github/messages', '/servers/none/sse', '/servers/github', '/servers/github/sse/x'])
    it(`are no others: ${nothing}`, async () => {
      assert.equal((await fetch(gate.issuer + WELL_KNOWN + nothing)).status, 404);
    });
});
