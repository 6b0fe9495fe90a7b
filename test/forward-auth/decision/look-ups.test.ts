import assert from 'node:assert/strict';
import { type Gate, openGate } from '../support/gate.ts';
import { rsaKey, startKeyServer } from '../support/key-server.ts';

/** What MCP clients ask for before they know where the authorization server is, in the order of several of them. */
const LOOK_UPS = [
  '/.well-known/oauth-protected-resource/servers/none/mcp',
  '/.well-known/oauth-authorization-server',
  '/.well-known/oauth-authorization-server/servers/github/mcp',
  '/.well-known/oauth-authorization-server/servers/none/mcp',
  '/.well-known/openid-configuration',
  '/.well-known/openid-configuration/servers/github/mcp',
  '/servers/github/mcp/.well-known/openid-configuration',
  '/servers/github/mcp/.well-known/oauth-authorization-server',
  '/servers/github/mcp/.well-known/oauth-protected-resource',
  '/mcp/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server/mcp/',
];

describe('look-ups of metadata that is not there', () => {
  let gate: Gate;
  let close: () => Promise<unknown>;
  before(async () => {
    const idp = await startKeyServer([rsaKey('one')]);
    const providers = [{ id: 'corp', issuer: idp.issuer, audiences: ['x'] }];
    gate = await openGate({
      providers,
      rules: [
        { match: { path: '/servers/github/**' }, allow: { groups: ['engineering'] } },
        { match: { path: '/.well-known/openid-configuration/open/**' }, public: true },
        { match: { path: '/app/**', host: 'app.example.com' }, allow: 'anyone-signed-in' },
      ],
    });
    close = () => idp.stop();
  });
  after(async () => {
    await gate.close();
    await close();
  });

  for (const path of LOOK_UPS)
    for (const method of ['GET', 'HEAD'])
      it(`${method} ${path} is 404, so that a client goes on`, async () => {
        const answer = await gate.ask(path, { method });
        // Ours to answer, at the listener behind: it names the resources that there are.
        if (path.startsWith('/.well-known/oauth-protected-resource')) return assert.equal(answer.status, 200);
        assert.equal(answer.status, 404);
        assert.equal(answer.headers['www-authenticate'], undefined);
        assert.equal(JSON.parse(answer.body).reason, 'no_metadata');
      });

  it('are what rules say they are for another method, at another host, and where a rule lets everybody in', async () => {
    const [, path = ''] = LOOK_UPS;
    assert.equal((await gate.ask(path, { method: 'POST' })).status, 403);
    assert.equal((await gate.ask(path, { host: 'app.example.com' })).status, 403);
    assert.equal(
      (await gate.ask('/app/.well-known/openid-configuration', { host: 'app.example.com' })).status,
      401,
      'an application of its own',
    );
    assert.equal((await gate.ask('/.well-known/openid-configuration/open/x')).status, 200);
    assert.equal((await gate.ask('/.well-known/security.txt')).status, 403);
  });
});
