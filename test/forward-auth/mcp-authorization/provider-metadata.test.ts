import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { discoverAuthorizationServerMetadata } from '@modelcontextprotocol/sdk/client/auth.js';
import { metadataUrls, ProviderMetadata } from '../../../src/forward-auth/mcp-authorization/provider-metadata.ts';
import { startForwardAuth } from '../../../src/forward-auth/server.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { freePorts } from '../../support/free-port.ts';

const log = createLogger('auth', 'silent', { write: () => {} });

describe('the metadata of a provider at our own origin', () => {
  let stop: () => Promise<void>;
  let origin: string;
  let issuer: string;
  let document: Record<string, unknown>;

  before(async () => {
    // An issuer with a path, as many have one.
    const provider = createServer((request, response) => {
      const found = request.url === '/.well-known/openid-configuration/realms/one';
      response.writeHead(found ? 200 : 404, { 'Content-Type': 'application/json' });
      response.end(found ? JSON.stringify(document) : '{}');
    });
    provider.listen(0, '127.0.0.1');
    await once(provider, 'listening');
    issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}/realms/one`;
    document = {
      issuer,
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      registration_endpoint: `${issuer}/register`,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      'something of theirs': [1, null],
    };
    const [port, internal] = (await freePorts(2)) as [number, number];
    origin = `http://127.0.0.1:${port}`;
    const config = parseConfig({
      publicUrl: origin,
      auth: {
        listen: `127.0.0.1:${port}`,
        internalListen: `127.0.0.1:${internal}`,
        providers: [{ id: 'corp', issuer, jwksUri: `${issuer}/keys` }],
        originMetadata: 'corp',
      },
      relay: { servers: { github: { url: 'http://127.0.0.1:9/mcp' } } },
    });
    const running = await startForwardAuth(config, { log });
    stop = async () => {
      await running.close();
      provider.closeAllConnections();
      await new Promise((resolve) => provider.close(resolve));
    };
  });
  after(() => stop());

  for (const base of ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration'])
    for (const path of [base, `${base}/servers/github/mcp`])
      it(`is at ${path}, word for word, for pages of every origin`, async () => {
        const answer = await fetch(origin + path, { headers: { Origin: 'https://inspector.example' } });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get('access-control-allow-origin'), '*');
        assert.deepEqual(await answer.json(), document);
        assert.equal((await fetch(origin + path, { method: 'OPTIONS' })).status, 204);
      });

  it('is at no path of something that is no server', async () => {
    for (const path of ['/servers/nobody/mcp', '/servers/github', '/x'])
      assert.equal((await fetch(`${origin}/.well-known/oauth-authorization-server${path}`)).status, 404, path);
  });

  it('passes a proxy that asks about everything, and only by reading', async () => {
    const ask = (method: string, uri: string) =>
      fetch(`${origin}/verify/traefik`, {
        headers: {
          'X-Forwarded-Method': method,
          'X-Forwarded-Uri': uri,
          'X-Forwarded-Host': new URL(origin).host,
          'X-Forwarded-Proto': 'http',
          'X-Forwarded-For': '203.0.113.7',
        },
      });
    assert.equal((await ask('GET', '/.well-known/oauth-authorization-server')).status, 200);
    assert.equal((await ask('POST', '/.well-known/oauth-authorization-server')).status, 403);
    assert.equal((await ask('GET', '/.well-known/oauth-authorization-serverx')).status, 403);
  });

  it('leads a client that looks at our origin to the provider', async () => {
    const found = await discoverAuthorizationServerMetadata(origin);
    assert.equal(found?.registration_endpoint, `${issuer}/register`);
  });

  it('is 503 while the provider has never answered, and stays what it was when it answers no more', async () => {
    let now = 1_000;
    let answer: () => Response = () => new Response('', { status: 500 });
    const metadata = new ProviderMetadata('https://idp.example', { fetch: async () => answer(), now: () => now, log });
    await assert.rejects(metadata.read(), { status: 503 });
    answer = () => Response.json({ issuer: 'https://idp.example', a: 1 });
    await assert.rejects(metadata.read(), { status: 503 }, 'not asked again at once');
    now += 5_000;
    assert.deepEqual(await metadata.read(), { issuer: 'https://idp.example', a: 1 });
    answer = () => new Response('', { status: 500 });
    now += 300_000;
    assert.deepEqual(await metadata.read(), { issuer: 'https://idp.example', a: 1 });
  });

  it('is never that of another issuer', async () => {
    const fetchOther = async () => Response.json({ issuer: 'https://evil.example' });
    const metadata = new ProviderMetadata('https://idp.example', { fetch: fetchOther, now: () => 1, log });
    await assert.rejects(metadata.read(), { status: 503 });
  });

  it('is looked for where clients look', () => {
    assert.deepEqual(metadataUrls('https://idp.example'), [
      'https://idp.example/.well-known/oauth-authorization-server',
      'https://idp.example/.well-known/openid-configuration',
    ]);
    assert.deepEqual(metadataUrls('https://idp.example/realms/one'), [
      'https://idp.example/.well-known/oauth-authorization-server/realms/one',
      'https://idp.example/.well-known/openid-configuration/realms/one',
      'https://idp.example/realms/one/.well-known/openid-configuration',
    ]);
  });

  it('is configured for a provider that there is, and not beside the broker', () => {
    const providers = [{ id: 'corp', issuer: 'https://idp.example', clientId: 'postern' }];
    assert.throws(() => parseConfig({ auth: { providers, originMetadata: 'crop' } }), /no provider "crop"/);
    const both = { auth: { providers, originMetadata: 'corp', broker: { enabled: true } } };
    assert.throws(() => parseConfig(both), /originMetadata: the broker has metadata of its own/);
  });
});
