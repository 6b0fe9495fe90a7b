import assert from 'node:assert/strict';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { postForm } from './support/raw-client.ts';

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';
const SIGNING_IN = { providers: [{ id: 'corp', issuer: 'https://idp.example', clientId: 'gate' }] };
const SECRET = 'secret-of-the-machine-in-the-tests';

describe('programs at the broker', () => {
  let gate: BrokerGate;
  before(async () => {
    gate = await openBrokerGate({
      broker: {
        clientCredentials: true,
        identityAssertions: true,
        clients: [
          { id: 'robot', secret: SECRET, clientCredentials: true, groups: ['robots'], scopes: ['mcp:use'] },
          { id: 'agent', secret: SECRET, identityAssertions: true },
        ],
      },
      auth: {
        rules: [
          {
            match: { path: '/servers/github/**' },
            allow: { groups: ['robots'], providers: ['mcp-clients'] },
            scopes: { default: ['mcp:use'] },
          },
          { match: { path: '/servers/files/**' }, allow: { groups: ['engineering'], providers: ['corp'] } },
        ],
      },
    });
  });
  after(() => gate?.stop());

  const token = (form: Record<string, string>, client = 'robot', secret = SECRET) =>
    postForm(`${gate.issuer}/_postern/oauth/token`, form, {
      Authorization: `Basic ${Buffer.from(`${client}:${secret}`).toString('base64')}`,
    });
  const metadata = async (of = gate) =>
    (await (await fetch(`${of.issuer}/.well-known/oauth-authorization-server`)).json()) as Record<string, string[]>;

  describe('by client credentials', () => {
    const ask = (over: Record<string, string> = {}, ...who: string[]) =>
      token({ grant_type: 'client_credentials', resource: gate.resource('github'), ...over }, ...who);

    it('gets a token for itself, which rules know apart from people', async () => {
      const { status, body } = await ask({ scope: 'mcp:use' });
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.refresh_token, undefined);
      const allowed = await gate.check('github', String(body.access_token));
      assert.equal(allowed.status, 200);
      assert.equal(allowed.headers.get('x-authenticated-user'), 'client:robot');
      assert.equal(allowed.headers.get('x-authenticated-issuer'), gate.issuer);
      assert.equal((await gate.check('files', String(body.access_token))).status, 401);
    });

    it('is not the person of the same name, whom a rule without providers means', async () => {
      await gate.reload({
        rules: [{ match: { path: '/servers/**' }, allow: { users: ['robot'] }, scopes: { default: ['mcp:use'] } }],
      });
      const { body } = await ask({ scope: 'mcp:use' });
      assert.equal((await gate.check('github', String(body.access_token))).status, 403);
      await gate.reload({});
      assert.equal((await gate.check('github', String(body.access_token))).status, 200);
    });

    it('shows the old or the new secret while they are rotated', async () => {
      const fresh = 'the new secret of the machine in the tests';
      const take = (secret: string | string[]) =>
        gate.reload({
          broker: {
            enabled: true,
            clientCredentials: true,
            clients: [{ id: 'robot', secret, clientCredentials: true, groups: ['robots'], scopes: ['mcp:use'] }],
          },
        });
      const basic = async () => {
        const found: number[] = [];
        for (const secret of [SECRET, fresh, `${fresh} ${SECRET}`, 'x'])
          found.push((await ask({}, 'robot', encodeURIComponent(secret))).status);
        return found;
      };
      await take([fresh, SECRET]);
      assert.deepEqual(await basic(), [200, 200, 401, 401]);
      await take(fresh);
      assert.deepEqual(await basic(), [401, 200, 401, 401]);
      await gate.reload({});
      assert.deepEqual(await basic(), [200, 401, 401, 401]);
    });

    it('gets what every request needs where it asks for no scope', async () => {
      const { status, body } = await ask();
      assert.deepEqual([status, body.scope], [200, 'mcp:use']);
    });

    it('gets nothing with a wrong secret, for another resource, or as a client that may not', async () => {
      assert.equal((await ask({}, 'robot', 'wrong')).body.error, 'invalid_client');
      assert.equal((await ask({ scope: 'mcp:admin' })).body.error, 'invalid_scope');
      assert.equal((await ask({ resource: 'https://elsewhere.example/' })).body.error, 'invalid_target');
      assert.equal((await ask({}, 'agent')).status, 400);
    });
  });

  describe('by an identity assertion (ID-JAG)', () => {
    const assertion = (over: Record<string, unknown> = {}, typ = 'oauth-id-jag+jwt') =>
      gate.provider.mint(
        {
          sub: 'alice',
          aud: gate.issuer,
          client_id: 'agent',
          jti: crypto.randomUUID(),
          resource: gate.resource('files'),
          scope: 'mcp',
          email: 'alice@example.com',
          ...over,
        },
        typ,
      );
    const exchange = (jag: string, over: Record<string, string> = {}, client = 'agent') =>
      token({ grant_type: JWT_BEARER, assertion: jag, ...over }, client);

    it('gets a token that stands for the person', async () => {
      const { status, body } = await exchange(await assertion());
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.refresh_token, undefined);
      const allowed = await gate.check('files', String(body.access_token));
      assert.equal(allowed.status, 200);
      assert.equal(allowed.headers.get('x-authenticated-user'), 'alice');
      assert.equal(allowed.headers.get('x-authenticated-issuer'), gate.provider.issuer);
    });

    it('stands in the place of a refresh token: good again until it ends, for its client alone', async () => {
      const jag = await assertion({ aud: [gate.issuer], resource: [gate.resource('files')] });
      const first = await exchange(jag);
      assert.deepEqual([first.status, first.body.resource], [200, gate.resource('files')]);
      assert.equal((await exchange(jag)).status, 200);
      assert.equal((await exchange(jag, {}, 'robot')).status, 400);
    });

    for (const [what, over, typ] of [
      ['of another type', {}, 'at+jwt'],
      ['that is an ID token', {}, 'JWT'],
      ['for another server', { aud: 'https://other.example' }],
      ['for several', { aud: ['https://other.example', 'https://mcp.example'] }],
      ['without a subject', { sub: undefined }],
      ['with an empty subject', { sub: '' }],
      ['about several', { sub: ['alice', 'bob'] as never }],
      ['about the client itself', { sub: 'agent' }],
      ['for another client', { client_id: 'robot' }],
      ['without a client', { client_id: undefined }],
      ['without an id', { jti: undefined }],
      ['that is over', { exp: Math.floor(Date.now() / 1_000) - 120 }],
      ['that is good for days', { exp: Math.floor(Date.now() / 1_000) + 86_400 }],
      ['with details that nobody heeds', { authorization_details: [{ type: 'x' }] }],
      ['of one tenant of several', { tenant: 'acme' }],
      ['that is bound to a key', { cnf: { jkt: 'x' } }],
      ['of an unknown provider', { iss: 'https://evil.example' }],
    ] as const)
      it(`${what}: invalid_grant`, async () => {
        const { status, body } = await exchange(await assertion(over, typ));
        assert.deepEqual([status, body.error], [400, 'invalid_grant']);
        assert.equal((await exchange(await assertion())).status, 200, 'the same without the fault is good');
      });

    it('for no server of ours, or beyond its scopes: nothing', async () => {
      const elsewhere = await assertion({ resource: 'https://elsewhere.example/mcp' });
      assert.equal((await exchange(elsewhere)).body.error, 'invalid_target');
      assert.equal((await exchange(await assertion({ resource: undefined }))).body.error, 'invalid_target');
      assert.equal((await exchange(await assertion(), { scope: 'mcp:use' })).body.error, 'invalid_scope');
    });

    it('with another’s signature: nothing', async () => {
      const [head, , signature] = (await assertion()).split('.');
      const other = (await assertion({ sub: 'bob' })).split('.')[1];
      assert.equal((await exchange(`${head}.${other}.${signature}`)).body.error, 'invalid_grant');
    });

    it('by a client without a secret: nothing, configured or registered', async () => {
      const clients = [{ id: 'public', identityAssertions: true }];
      assert.throws(
        () => parseConfig({ auth: { ...SIGNING_IN, broker: { enabled: true, identityAssertions: true, clients } } }),
        /auth\.broker\.clients\[0\]\.secret: needed for identity assertions/,
      );
      const registered = await fetch(`${gate.issuer}/_postern/oauth/register`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
          redirect_uris: ['http://127.0.0.1/callback'],
          grant_types: ['authorization_code', JWT_BEARER],
          token_endpoint_auth_method: 'none',
        }),
      });
      const { client_id: id = 'refused' } = (await registered.json()) as { client_id?: string };
      const form = { grant_type: JWT_BEARER, client_id: id, assertion: await assertion({ client_id: id }) };
      const { status, body } = await postForm(`${gate.issuer}/_postern/oauth/token`, form);
      assert.deepEqual([status >= 400, body.access_token], [true, undefined]);
    });

    it('by a client that may not: nothing', async () => {
      const { status, body } = await exchange(await assertion({ client_id: 'robot' }), {}, 'robot');
      assert.deepEqual([status, body.access_token], [400, undefined]);
    });
  });

  it('is advertised only where it is on', async () => {
    const { grant_types_supported: on } = await metadata();
    assert.ok(on?.includes('client_credentials') && on.includes(JWT_BEARER));
    const profiles = (of: Record<string, string[]>) => of.authorization_grant_profiles_supported;
    assert.deepEqual(profiles(await metadata()), ['urn:ietf:params:oauth:grant-profile:id-jag']);
    const plain = await openBrokerGate();
    try {
      const { grant_types_supported: off } = await metadata(plain);
      assert.deepEqual(off?.toSorted(), ['authorization_code', 'refresh_token']);
      assert.equal(profiles(await metadata(plain)), undefined);
    } finally {
      await plain.stop();
    }
  });
});
