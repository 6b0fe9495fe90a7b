import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { SIGN_IN_PATHS } from '../../src/forward-auth/decision/own-endpoints.ts';
import { AUDIENCE, type Gate, type Replica, startGate } from '../support/gate-replicas.ts';
import { HttpPerson } from '../support/http-person.ts';
import { type Keycloak, keycloakOrSkip } from '../support/keycloak.ts';
import { until } from '../support/until.ts';

const CLIENT = { id: 'postern', secret: 'secret of the Keycloak client in the tests' };
const PASSWORD = 'password of the Keycloak tests';
/** Seconds. */
const ACCESS_TOKEN = 4;

/** What an administrator would set up by hand; the mappers are what Keycloak does not do by itself. */
function realm(publicUrl: string): object {
  const inTokens = { 'id.token.claim': 'true', 'access.token.claim': 'true', 'userinfo.token.claim': 'false' };
  const mapper = (name: string, protocolMapper: string, config: object) => ({
    name,
    protocol: 'openid-connect',
    protocolMapper,
    config,
  });
  const user = (username: string, roles: readonly string[], groups: readonly string[]) => ({
    username,
    enabled: true,
    firstName: username,
    lastName: 'Example',
    email: `${username}@example.com`,
    emailVerified: true,
    credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
    realmRoles: roles,
    groups,
  });
  return {
    realm: 'postern',
    enabled: true,
    accessTokenLifespan: ACCESS_TOKEN,
    eventsEnabled: true,
    // Refreshes are not kept by default.
    enabledEventTypes: ['LOGIN', 'LOGOUT', 'REFRESH_TOKEN', 'REFRESH_TOKEN_ERROR'],
    roles: { realm: [{ name: 'gatekeeper' }] },
    groups: [{ name: 'engineering' }],
    users: [user('alice', ['gatekeeper'], ['/engineering']), user('bob', [], ['/engineering'])],
    clients: [
      {
        clientId: CLIENT.id,
        secret: CLIENT.secret,
        publicClient: false,
        directAccessGrantsEnabled: true,
        redirectUris: [publicUrl + SIGN_IN_PATHS.callback],
        attributes: {
          'backchannel.logout.url': publicUrl + SIGN_IN_PATHS.backChannelLogout,
          'backchannel.logout.session.required': 'true',
          'post.logout.redirect.uris': publicUrl + SIGN_IN_PATHS.signedOut,
          'pkce.code.challenge.method': 'S256',
        },
        protocolMappers: [
          mapper('realm roles', 'oidc-usermodel-realm-role-mapper', {
            ...inTokens,
            'claim.name': 'realm_access.roles',
            multivalued: 'true',
            'jsonType.label': 'String',
          }),
          mapper('groups', 'oidc-group-membership-mapper', {
            ...inTokens,
            'claim.name': 'groups',
            'full.path': 'false',
          }),
          mapper('audience', 'oidc-audience-mapper', {
            'included.custom.audience': AUDIENCE,
            'access.token.claim': 'true',
            'id.token.claim': 'false',
          }),
        ],
      },
    ],
  };
}

describe('people of a real Keycloak', () => {
  let keycloak: Keycloak;
  let gate: Gate;
  let replica: Replica;

  before(async function () {
    this.timeout(300_000);
    keycloak = await keycloakOrSkip(this);
    gate = await startGate(1, {
      auth: async (publicUrl) => {
        await keycloak.createRealm(realm(publicUrl));
        return {
          providers: [
            {
              id: 'keycloak',
              issuer: `${keycloak.url}/realms/postern`,
              clientId: CLIENT.id,
              clientSecret: CLIENT.secret,
              audiences: [AUDIENCE],
              claims: { groups: 'realm_access.roles' },
            },
          ],
          rules: [{ match: { path: '/app/**' }, allow: { groups: ['gatekeeper'] } }],
        };
      },
    });
    replica = gate.replicas[0] as Replica;
  });

  after(async function () {
    this.timeout(60_000);
    await gate?.stop();
    await keycloak?.stop();
  });

  /** Through Keycloak's own page. */
  async function signIn(username: string): Promise<{ person: HttpPerson; cookie: string }> {
    const person = new HttpPerson();
    const form = await person.visit(`${gate.publicUrl}${SIGN_IN_PATHS.signIn}?rd=${encodeURIComponent('/app/?a=1')}`);
    assert.equal(form.url.origin, keycloak.url);
    const back = await person.submit(form, { username, password: PASSWORD });
    assert.equal(back.url.href, `${gate.publicUrl}/app/?a=1`);
    return { person, cookie: person.cookie('127.0.0.1') };
  }

  const statusOf = async (cookie: string) => {
    const answer = await replica.check({ Cookie: cookie });
    await answer.body?.cancel();
    return answer.status;
  };
  const events = async (type: string) => (await keycloak.admin('GET', `/postern/events?type=${type}`)) as unknown[];

  it('sign in, and nested realm roles are their groups', async () => {
    const { cookie } = await signIn('alice');
    const answer = await replica.check({ Cookie: cookie });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('x-authenticated-email'), 'alice@example.com');
    assert.equal(answer.headers.get('x-authenticated-method'), 'session');
    assert.equal(answer.headers.get('x-authenticated-issuer'), `${keycloak.url}/realms/postern`);
    assert.ok(answer.headers.get('x-authenticated-groups')?.split(',').includes('gatekeeper'));
  });

  it('are refused without the role', async () => {
    const { cookie } = await signIn('bob');
    assert.equal(await statusOf(cookie), 403);
  });

  it('may send an access token instead', async () => {
    const answer = await fetch(`${keycloak.url}/realms/postern/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        username: 'alice',
        password: PASSWORD,
        scope: 'openid',
      }),
    });
    const { access_token: token } = (await answer.json()) as { access_token: string };
    const checked = await replica.check({ Authorization: `Bearer ${token}` });
    assert.equal(checked.status, 200);
    assert.equal(checked.headers.get('x-authenticated-method'), 'bearer');
    assert.ok(checked.headers.get('x-authenticated-groups')?.split(',').includes('gatekeeper'));
  });

  it('stay signed in when their access token expires', async function () {
    this.timeout(60_000);
    const { cookie } = await signIn('alice');
    const before = (await events('REFRESH_TOKEN')).length;
    await sleep(ACCESS_TOKEN * 1_000 + 200);
    const statuses = await Promise.all(Array.from({ length: 20 }, () => statusOf(cookie)));
    assert.deepEqual([...new Set(statuses)], [200]);
    assert.equal((await events('REFRESH_TOKEN')).length - before, 1);
    assert.deepEqual(await events('REFRESH_TOKEN_ERROR'), []);
  });

  it('sign out here and there', async () => {
    const { person, cookie } = await signIn('alice');
    const before = (await events('LOGOUT')).length;
    const confirm = await person.visit(gate.publicUrl + SIGN_IN_PATHS.signOut);
    const done = await person.submit(confirm);
    assert.equal(done.url.origin + done.url.pathname, gate.publicUrl + SIGN_IN_PATHS.signedOut);
    assert.equal(done.status, 200);
    assert.equal(await statusOf(cookie), 401);
    assert.equal((await events('LOGOUT')).length - before, 1);
    // Keycloak has no session any more either: it asks for the password again.
    const form = await person.visit(`${gate.publicUrl}${SIGN_IN_PATHS.signIn}?rd=${encodeURIComponent('/app/')}`);
    assert.match(form.text, /name="password"/);
  });

  it('are signed out when an administrator ends their session', async () => {
    const { cookie } = await signIn('alice');
    assert.equal(await statusOf(cookie), 200);
    const [user] = (await keycloak.admin('GET', '/postern/users?username=alice&exact=true')) as Array<{ id: string }>;
    await keycloak.admin('POST', `/postern/users/${user?.id}/logout`);
    await until('the session has ended', async () => (await statusOf(cookie)) === 401);
  });
});
