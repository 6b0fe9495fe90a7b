import assert from 'node:assert/strict';
import { HttpPerson } from '../../support/http-person.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type DocumentHost, startDocumentHost } from './support/document-host.ts';
import { onwards } from './support/onwards.ts';
import { RawClient, register } from './support/raw-client.ts';

const EVIL = 'https://evil.example/login';

describe('an address that anybody can register', () => {
  let gate: BrokerGate;
  let documents: DocumentHost;
  before(async () => {
    documents = await startDocumentHost();
    gate = await openBrokerGate({
      broker: {
        registration: { maxPerAddress: 200 },
        metadataDocuments: { privateHosts: [documents.host], caPath: documents.caPath },
        clients: [{ id: 'known', name: 'Known', redirectUris: [EVIL] }],
      },
    });
  });
  after(async () => {
    await gate?.stop();
    await documents?.stop();
  });

  const failing: ReadonlyArray<readonly [what: string, over: Record<string, string | undefined>, error: string]> = [
    ['prompt=none without a session', { prompt: 'none' }, 'interaction_required'],
    ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
    ['another response type', { response_type: 'token' }, 'unsupported_response_type'],
    ['a scope that is none', { scope: 'mcp:use "' }, 'invalid_scope'],
    ['a prompt that is none', { prompt: 'none login' }, 'invalid_request'],
    ['a server of nobody here', { resource: 'https://elsewhere.example/mcp' }, 'invalid_target'],
    ['a fragment', { prompt: 'none', response_mode: 'fragment' }, 'interaction_required'],
    ['a request object', { request: 'x' }, 'request_not_supported'],
  ];

  it('is led to by no request that must fail, but from our own page', async () => {
    const document = documents.serve('/evil.json', {
      client_name: 'Evil',
      redirect_uris: [EVIL],
      token_endpoint_auth_method: 'none',
    });
    const clients = [await RawClient.register(gate, EVIL), new RawClient(gate, document, EVIL)];
    for (const client of clients)
      for (const [what, over, error] of failing) {
        const answer = await fetch(client.authorizationUrl(over), { redirect: 'manual' });
        assert.equal(answer.status, 400, `${client.id}: ${what}`);
        assert.equal(answer.headers.get('location'), null, what);
        const text = await answer.text();
        const to = onwards({ text });
        const given = new URLSearchParams(to.hash === '' ? to.search : to.hash.slice(1));
        assert.deepEqual([to.origin + to.pathname, given.get('error')], [EVIL, error], what);
        assert.match(text, /Return to evil\.example/);
      }
  });

  it('gets no form that sends itself', async () => {
    const client = await RawClient.register(gate, EVIL);
    const answer = await fetch(client.authorizationUrl({ prompt: 'none', response_mode: 'form_post' }));
    const text = await answer.text();
    assert.equal(answer.status, 400);
    assert.doesNotMatch(text, /<form|<script/);
    assert.match(text, /address is not verified/);
  });

  it('is led to with a session as little', async () => {
    const client = await RawClient.register(gate, 'http://127.0.0.1:9/callback');
    await client.authorize({}).catch(() => {});
    const stranger = await RawClient.register(gate, EVIL);
    const page = await client.person.visit(stranger.authorizationUrl({ prompt: 'none' }));
    assert.equal(page.url.origin, gate.issuer);
    assert.equal(onwards(page).searchParams.get('error'), 'interaction_required');
  });

  it('of a client that the operator wrote down is led to at once', async () => {
    const known = new RawClient(gate, 'known', EVIL);
    const answer = await fetch(known.authorizationUrl({ prompt: 'none' }), { redirect: 'manual' });
    assert.equal(answer.status, 303);
    assert.match(answer.headers.get('location') ?? '', /^https:\/\/evil\.example\/login\?error=interaction_required/);
  });

  it('is not a scheme of the system, and is one of an application', async () => {
    for (const redirect of [
      'ms-appinstaller://?source=https://evil.example/x',
      'search-ms:query=x',
      'intent://x#Intent;end',
      'mailto:a@evil.example',
      'smb://evil.example/x',
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'vbscript:x',
      'ws://evil.example/',
      'steam://x',
      'ms-word:ofe|u|https://evil.example/x',
      'tel:+1',
      'com:/x',
      'x-apple.systempreferences:com.apple.preference.security',
      'ms-settings.privacy:camera',
      'ms-word.ofe:u|https://evil.example/x',
      'web+app.example:x',
    ]) {
      const { status, body } = await register(gate, { redirect_uris: [redirect] });
      assert.deepEqual([status, body.error], [400, 'invalid_redirect_uri'], redirect);
    }
    for (const redirect of [
      'com.example.app:/callback',
      'io.github.someone.tool://callback',
      'xn--p1ai.example.app:/callback',
      'com.my-company.app2:/callback',
      'cursor://anysphere.cursor-mcp/oauth/callback',
      'vscode://vscode.github-authentication/did-authenticate',
      'claude://callback',
    ]) {
      const { status, body } = await register(gate, { redirect_uris: [redirect] });
      assert.equal(status, 201, `${redirect}: ${JSON.stringify(body)}`);
    }
  });

  it('shows a way on for an application too', async () => {
    const client = await RawClient.register(gate, 'cursor://anysphere.cursor-mcp/oauth/callback');
    const page = await new HttpPerson().visit(client.authorizationUrl({ prompt: 'none' }));
    assert.equal(onwards(page).protocol, 'cursor:');
  });
});
