import assert from 'node:assert/strict';
import { assertAllowed, assertRefused, type Gate, openGate, RESOURCE } from './support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from './support/key-server.ts';

const KEY = rsaKey('one');
const OURS = 'postern-client';

describe('ID tokens in the place of access tokens', () => {
  let provider: KeyServer;
  let gate: Gate;
  before(async () => {
    provider = await startKeyServer([KEY]);
    gate = await openGate({
      providers: [{ id: 'corp', issuer: provider.issuer, clientId: OURS }],
      rules: [{ match: { path: '/**' }, allow: 'anyone-signed-in' }],
    });
  });
  after(async () => {
    await gate?.close();
    await provider?.stop();
  });

  const ask = async (claims: object, header: Record<string, unknown> = { typ: 'JWT' }) => {
    const now = Math.floor(Date.now() / 1000);
    const all = { iss: provider.issuer, sub: 'alice', scope: undefined, iat: now, exp: now + 300, ...claims };
    return gate.ask('/servers/github/mcp', { token: await provider.sign(KEY, all, header) });
  };

  for (const [title, claims] of [
    ['oauth2-proxy before a provider with at_hash', { aud: OURS, at_hash: 'x', email: 'a@example.com' }],
    ['the hybrid flow, c_hash', { aud: OURS, c_hash: 'x' }],
    ['a nonce', { aud: OURS, nonce: 'x' }],
    ['Keycloak, typ', { aud: OURS, typ: 'ID', azp: OURS }],
    ['Cognito, token_use', { aud: OURS, token_use: 'id' }],
    ['one with the resource for its audience', { aud: RESOURCE, at_hash: 'x' }],
  ] as const)
    it(`are refused, and the answer says what to send: ${title}`, async () => {
      const answer = await ask(claims);
      const body = assertRefused(answer, 401, 'token_type');
      assert.match(body.error_description ?? '', /this is an ID token.*send an access token for this server/);
      assert.match(
        String(answer.headers['www-authenticate']),
        /error="invalid_token", error_description="this is an ID token/,
      );
    });

  for (const [title, claims] of [
    ['our own client', { aud: OURS }],
    ['our own client, in a list', { aud: [OURS], name: 'Alice' }],
    ['another client, by azp', { aud: 'other', azp: 'other' }],
  ] as const)
    it(`that show no more than their audience are told as tokens for a client: ${title}`, async () => {
      for (let time = 0; time < 2; time++) {
        const { error_description: text = '' } = assertRefused(await ask(claims), 401, 'token_audience');
        assert.match(text, /as ID tokens are: send an access token for this server/);
      }
    });

  for (const [title, claims] of [
    ['another resource', { aud: 'https://other.example.com/mcp' }],
    ['our client, with scopes', { aud: OURS, scope: 'mcp:use' }],
    ['several', { aud: [OURS, 'other'] }],
  ] as const)
    it(`are no name for an access token for ${title}`, async () => {
      const { error_description: text = '' } = assertRefused(await ask(claims), 401, 'token_audience');
      assert.equal(text, 'the token was issued for another resource');
    });

  it('are no name for an access token that is taken', async () => {
    assertAllowed(await ask({ aud: RESOURCE }), 'alice');
    assertAllowed(await ask({ aud: RESOURCE, nonce: 'x' }, { typ: 'at+jwt' }), 'alice');
    assertAllowed(await ask({ aud: RESOURCE, token_use: 'access' }), 'alice');
    assertAllowed(await ask({ aud: RESOURCE, typ: 'Bearer', nonce: 'x' }), 'alice');
  });

  it('and logout tokens are none either', async () => {
    const body = assertRefused(await ask({ aud: RESOURCE, events: {} }), 401, 'token_type');
    assert.equal(body.error_description, 'this is not an access token');
  });
});
