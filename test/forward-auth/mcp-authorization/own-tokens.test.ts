import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createProvider } from '../../../src/forward-auth/mcp-authorization/broker/oidc-library.ts';
import { prefixTokens } from '../../../src/forward-auth/mcp-authorization/broker/token-prefix.ts';
import { CLIENT } from '../../support/sign-in-provider.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './support/mcp-client.ts';
import { postForm, RawClient, register } from './support/raw-client.ts';

describe('opaque tokens of the broker', () => {
  const shown: string[] = [];
  let introspector: Server;
  let callback: CallbackPage;
  let gate: BrokerGate;
  before(async () => {
    introspector = createServer(async (request, response) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      shown.push(new URLSearchParams(body).get('token') ?? '');
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ active: false }));
    });
    introspector.listen(0, '127.0.0.1');
    await once(introspector, 'listening');
    callback = await openCallbackPage();
    gate = await openBrokerGate();
    const url = `http://127.0.0.1:${(introspector.address() as AddressInfo).port}/`;
    const { issuer } = gate.provider;
    const credentials = { clientId: CLIENT.id, clientSecret: CLIENT.secret };
    await gate.reload({ providers: [{ id: 'corp', issuer, ...credentials, introspection: { enabled: true, url } }] });
  });
  after(async () => {
    await gate?.stop();
    await callback?.stop();
    introspector?.close();
    introspector?.closeAllConnections();
  });
  beforeEach(() => {
    shown.length = 0;
  });

  /** Of each kind that a client gets. */
  const tokens = async (): Promise<Record<string, string>> => {
    const { body: registered } = await register(gate, { redirect_uris: [callback.url] });
    const client = await RawClient.register(gate, callback.url);
    const { body: first } = await client.exchange(await client.code());
    const { body: second } = await postForm(`${gate.issuer}/_postern/oauth/token`, {
      ...{ grant_type: 'refresh_token', client_id: client.id, refresh_token: String(first.refresh_token) },
    });
    return {
      'a registration access token': String(registered.registration_access_token),
      'a code': await client.code(),
      'a refresh token': String(first.refresh_token),
      'its successor': String(second.refresh_token),
    };
  };

  it('are shown to no provider that is asked about opaque tokens', async () => {
    for (const [kind, token] of Object.entries(await tokens())) {
      assert.match(token, /^pso_[\w-]{43}$/, kind);
      assert.equal((await gate.check('github', token)).status, 401, kind);
    }
    for (const token of ['pso_', 'pso_invented', `pst_ABCDEFGHIJ_${'k'.repeat(43)}`])
      assert.equal((await gate.check('github', token)).status, 401, token);
    assert.deepEqual(shown, []);
    for (const token of ['xpso_1', 'PSO_1', 'opaque']) await gate.check('github', token);
    assert.deepEqual(shown, ['xpso_1', 'PSO_1', 'opaque'], 'others are');
  });

  it('stay good that were given out without the prefix', async () => {
    const provider = await createProvider('http://127.0.0.1', {
      clients: [{ client_id: 'app', token_endpoint_auth_method: 'none', redirect_uris: ['https://app.example/'] }],
    });
    const client = await provider.Client.find('app');
    assert.ok(client);
    const issue = () =>
      new provider.RefreshToken({
        client,
        accountId: 'alice',
        grantId: 'g',
        gty: 'authorization_code',
        scope: '',
      }).save();
    const before = await issue();
    prefixTokens(provider);
    const after = await issue();
    assert.deepEqual([before.startsWith('pso_'), after.startsWith('pso_')], [false, true]);
    for (const token of [before, after]) assert.equal((await provider.RefreshToken.find(token))?.jti, token);
  });
});
