import assert from 'node:assert/strict';
import { openGate, PUBLIC_URL } from '../support/gate.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './support/mcp-client.ts';
import { onwards } from './support/onwards.ts';
import { postForm, RawClient } from './support/raw-client.ts';

describe('the broker’s addresses', () => {
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async () => {
    gate = await openBrokerGate();
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await gate?.stop();
  });

  const json = async (path: string) => {
    const response = await fetch(gate.issuer + path, { headers: { Origin: 'https://inspector.example' } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('access-control-allow-origin'), 'https://inspector.example');
    return (await response.json()) as Record<string, unknown>;
  };

  for (const path of ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'])
    it(`are in ${path}, whose issuer is the origin`, async () => {
      const found = await json(path);
      const at = (name: string) => `${gate.issuer}/_postern/oauth/${name}`;
      const pinned = {
        issuer: gate.issuer,
        authorization_endpoint: at('authorize'),
        token_endpoint: at('token'),
        registration_endpoint: at('register'),
        revocation_endpoint: at('revoke'),
        introspection_endpoint: at('introspect'),
        jwks_uri: at('jwks'),
        response_types_supported: ['code'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
        code_challenge_methods_supported: ['S256'],
        client_id_metadata_document_supported: true,
        authorization_response_iss_parameter_supported: true,
        id_token_signing_alg_values_supported: ['ES256'],
      };
      for (const [name, value] of Object.entries(pinned)) assert.deepEqual(found[name], value, name);
      const scopes = found.scopes_supported as string[];
      for (const scope of ['mcp:use', 'mcp:admin', 'offline_access']) assert.ok(scopes.includes(scope), scope);
    });

  it('are made of publicUrl, whatever host somebody claims', async () => {
    const response = await fetch(`${gate.issuer}/.well-known/oauth-authorization-server`, {
      headers: { 'X-Forwarded-Host': 'evil.example', 'X-Forwarded-Proto': 'https', Forwarded: 'host=evil.example' },
    });
    assert.ok(!(await response.text()).includes('evil.example'));
  });

  it('are named by the metadata of each server', async () => {
    const found = await fetch(`${gate.issuer}/.well-known/oauth-protected-resource/servers/github/mcp`);
    const { authorization_servers, resource } = (await found.json()) as Record<string, unknown>;
    assert.deepEqual(authorization_servers, [gate.issuer]);
    assert.equal(resource, gate.resource('github'));
  });

  it('serve clients of 2025-03-26 that guess /register, /authorize and /token', async () => {
    const response = await fetch(`${gate.issuer}/register`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ redirect_uris: [callback.url], token_endpoint_auth_method: 'none' }),
    });
    const { client_id } = (await response.json()) as { client_id: string };
    const client = new RawClient(gate, client_id, callback.url);
    const url = client.authorizationUrl();
    url.pathname = '/authorize';
    const page = await client.person.submit(await client.person.visit(url), { user: 'alice', do: 'go' });
    const code = (await client.person.submit(page, { decision: 'allow' })).url.searchParams.get('code') ?? '';
    const { status, body } = await postForm(`${gate.issuer}/token`, {
      grant_type: 'authorization_code',
      code,
      client_id,
      redirect_uri: callback.url,
      code_verifier: client.verifier,
    });
    assert.equal(status, 200, JSON.stringify(body));
  });

  it('let browsers of other origins register and get tokens', async () => {
    for (const path of ['register', 'token', 'revoke']) {
      const response = await fetch(`${gate.issuer}/_postern/oauth/${path}`, {
        method: 'OPTIONS',
        headers: { Origin: 'https://inspector.example', 'Access-Control-Request-Method': 'POST' },
      });
      assert.equal(response.status, 204, path);
      assert.ok(response.headers.get('access-control-allow-origin'), path);
    }
  });

  it('are let through by the check, with the cookies that they read', async () => {
    for (const [method, path] of [
      ['GET', '/.well-known/oauth-authorization-server'],
      ['POST', '/_postern/oauth/token'],
      ['POST', '/token'],
      ['GET', '/authorize'],
    ] as const) {
      const response = await fetch(`${gate.issuer}/verify/traefik`, {
        headers: {
          'X-Forwarded-Method': method,
          'X-Forwarded-Uri': path,
          'X-Forwarded-Host': new URL(gate.issuer).host,
          'X-Forwarded-Proto': 'http',
          'X-Forwarded-For': '203.0.113.7',
        },
      });
      assert.equal(response.status, 200, path);
      assert.equal(response.headers.get('x-authenticated-user'), '');
    }
  });

  it('ask a person to sign in anew where the client wants it', async () => {
    const client = await RawClient.register(gate, callback.url);
    await client.tokens();
    const page = await client.person.visit(client.authorizationUrl({ prompt: 'login' }));
    assert.doesNotMatch(page.url.pathname, /^\/_postern\/oauth\/interaction\//);
    const silent = await client.person.visit(client.authorizationUrl({ prompt: 'none' }));
    assert.match(onwards(silent).searchParams.get('error') ?? '', /_required$/);
  });

  it('keep the resource from the provider, which may refuse one that is not of its own scopes', async () => {
    const client = await RawClient.register(gate, callback.url);
    let at = client.authorizationUrl();
    for (let hop = 0; hop < 10 && at.origin === gate.issuer; hop++) {
      const { location } = await client.person.step(at);
      assert.ok(location !== undefined, at.href);
      at = new URL(location, at);
    }
    assert.equal(at.origin, gate.provider.issuer);
    assert.equal(at.searchParams.get('resource'), null);
    assert.equal(at.searchParams.get('scope'), 'openid profile email offline_access');
  });

  it('count what is given and refused', async () => {
    const text = await (await fetch(`${gate.internal}/metrics`)).text();
    assert.match(text, /postern_oauth_events_total\{event="client_registered"\} [1-9]/);
    assert.match(text, /postern_oauth_events_total\{event="token_issued"\} [1-9]/);
  });

  it('are none where the broker is off', async () => {
    const off = await openGate({ rules: [] });
    try {
      for (const path of [
        '/.well-known/oauth-authorization-server',
        '/.well-known/openid-configuration',
        '/_postern/oauth/token',
        '/token',
      ]) {
        assert.equal((await fetch(`http://127.0.0.1:${off.port}${path}`)).status, 404, path);
        assert.notEqual((await off.ask(path)).status, 200, `${PUBLIC_URL}${path}`);
      }
    } finally {
      await off.close();
    }
  });
});
