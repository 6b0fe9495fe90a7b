import assert from 'node:assert/strict';
import { parseConfig } from '../../src/platform/config/load.ts';
import { assertAllowed, assertRefused, type Gate, openGate } from './support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from './support/key-server.ts';

const CLIENT = '4h57k0r1c2';
const KEY = rsaKey('one');

describe('tokens without an audience', () => {
  let provider: KeyServer;
  let taking: Gate;
  let refusing: Gate;
  before(async () => {
    provider = await startKeyServer([KEY]);
    const settings = (clientAsAudience: boolean) => ({
      providers: [
        {
          id: 'corp',
          issuer: provider.issuer,
          clientAsAudience,
          authorizedParties: [CLIENT, 'other-client'],
          serverAudiences: { github: [CLIENT] },
        },
      ],
      rules: [{ match: { path: '/**' }, allow: 'anyone-signed-in' }],
    });
    taking = await openGate(settings(true), ['github', 'files']);
    refusing = await openGate(settings(false), ['github', 'files']);
  });
  after(async () => {
    await taking?.close();
    await refusing?.close();
    await provider?.stop();
  });

  const now = () => Math.floor(Date.now() / 1000);
  const token = (claims: object) =>
    provider.sign(KEY, { iss: provider.issuer, sub: 'alice', iat: now(), exp: now() + 300, ...claims });
  const github = '/servers/github/mcp';

  for (const [title, claims] of [
    ['Cognito: client_id', { client_id: CLIENT, token_use: 'access', username: 'alice' }],
    ['Keycloak: azp', { azp: CLIENT, typ: 'Bearer' }],
    ['Entra v1: appid', { appid: CLIENT }],
    ['Okta: cid', { cid: CLIENT }],
    ['two claims that agree', { client_id: CLIENT, azp: CLIENT }],
  ] as const)
    it(`are for the client that they name, at its server only (${title})`, async () => {
      assertAllowed(await taking.ask(github, { token: await token(claims) }), 'alice');
      assertRefused(await taking.ask('/servers/files/mcp', { token: await token(claims) }), 401, 'token_audience');
      assertRefused(await taking.ask('/else', { token: await token(claims) }), 401, 'token_audience');
      assertRefused(await refusing.ask(github, { token: await token(claims) }), 401, 'token_audience');
    });

  for (const [title, claims, reason] of [
    ['the audience is there and another', { client_id: CLIENT, aud: 'something else' }, 'token_audience'],
    ['the audience is an empty list', { client_id: CLIENT, aud: [] }, 'token_audience'],
    ['the audience is null', { client_id: CLIENT, aud: null }, 'token_audience'],
    ['two clients are named', { client_id: CLIENT, azp: 'other-client' }, 'token_audience'],
    ['the client is accepted and no audience', { client_id: 'other-client' }, 'token_audience'],
    ['the client is a stranger', { client_id: 'stranger' }, 'token_client'],
    ['the client is a list', { client_id: [CLIENT] }, 'token_client'],
    ['no client is named', {}, 'token_client'],
  ] as const)
    it(`are refused where ${title}`, async () => {
      assertRefused(await taking.ask(github, { token: await token(claims) }), 401, reason);
    });

  it('with a resource for a client id open nothing by it', async () => {
    const named = { client_id: 'https://mcp.example.com/servers/github/mcp' };
    assertRefused(await taking.ask(github, { token: await token(named) }), 401, 'token_client');
  });

  it('need a client and its audience in the configuration', () => {
    const parse = (more: object) =>
      parseConfig({ auth: { providers: [{ id: 'corp', issuer: 'https://a', clientAsAudience: true, ...more }] } });
    assert.throws(() => parse({}), /clientAsAudience: needs authorizedParties/);
    assert.throws(() => parse({ authorizedParties: ['a'] }), /clientAsAudience: no client of authorizedParties/);
    assert.throws(() => parse({ authorizedParties: ['a'], audiences: ['b'] }), /no client of authorizedParties/);
    parse({ authorizedParties: ['a'], audiences: ['a'] });
  });
});
