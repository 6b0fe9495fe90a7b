import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { rawRequest } from '../support/raw-request.ts';
import { assertAllowed, assertRefused, type Gate, openGate, RESOURCE } from './support/gate.ts';
import { type KeyServer, rsaKey, startKeyServer } from './support/key-server.ts';

const GITHUB = '/servers/github/mcp';
const APP = '/app/page';
const EVERYBODY = [{ match: { path: '/**' } }];
const ADMINS = [{ match: { path: '/**' }, allow: { groups: ['admins'] } }];

describe('another configuration while forward-auth runs', () => {
  const key = rsaKey('one');
  let idp: KeyServer;
  let gate: Gate;
  let providers: object[];
  const token = (claims = {}) => idp.sign(key, { aud: RESOURCE, ...claims });

  beforeEach(async () => {
    idp = await startKeyServer([key]);
    providers = [{ id: 'corp', issuer: idp.issuer, audiences: ['app'] }];
    gate = await openGate({ providers, rules: EVERYBODY });
  });
  afterEach(async () => {
    await gate.close();
    await idp.stop();
  });

  it('is obeyed at once, also for a token whose verdict is in the cache', async () => {
    const bearer = { token: await token() };
    assertAllowed(await gate.ask(GITHUB, bearer), 'alice');
    await gate.reload({ providers, rules: ADMINS });
    assertRefused(await gate.ask(GITHUB, bearer), 403, 'not_allowed');
    await gate.reload({ providers, rules: EVERYBODY });
    assertAllowed(await gate.ask(GITHUB, bearer), 'alice');
  });

  it('keeps verified tokens and keys of a provider that did not change, also while it is away', async () => {
    const bearer = { token: await token() };
    assertAllowed(await gate.ask(GITHUB, bearer), 'alice');
    const fresh = { token: await token({ sub: 'bob' }) };
    await idp.stop();
    await gate.reload({ providers, rules: [...EVERYBODY, ...ADMINS] });
    assertAllowed(await gate.ask(GITHUB, bearer), 'alice');
    assertAllowed(await gate.ask(GITHUB, fresh), 'bob');
    await idp.restart();
  });

  it('forgets what it knew of a provider that changed or is gone', async () => {
    const bearer = { token: await token({ aud: 'app' }) };
    assertAllowed(await gate.ask(APP, bearer), 'alice');
    await gate.reload({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: EVERYBODY });
    assertRefused(await gate.ask(APP, bearer), 401, 'token_audience');
    await gate.reload({ providers: [], rules: EVERYBODY });
    assertRefused(await gate.ask(APP, bearer), 401, 'token_issuer');
  });

  it('gives another scope hierarchy, other servers, limits and headers', async () => {
    const needy = [{ match: { path: '/servers/**' }, scopes: { default: ['mcp:read'] } }];
    const bearer = { token: await token({ aud: [RESOURCE, 'https://mcp.example.com/servers/files/mcp'] }) };
    await gate.reload({ providers, rules: needy });
    assertRefused(await gate.ask(GITHUB, bearer), 403, 'insufficient_scope');
    await gate.reload({ providers, rules: needy, scopeHierarchy: { 'mcp:use': ['mcp:read'] } });
    assertAllowed(await gate.ask(GITHUB, bearer), 'alice');
    assertRefused(await gate.ask('/servers/files/mcp', bearer), 401, 'token_audience');
    await gate.reload({ providers, rules: EVERYBODY }, ['github', 'files']);
    assertAllowed(await gate.ask('/servers/files/mcp', bearer), 'alice');
    await gate.reload({ providers, rules: [{ ...EVERYBODY[0], emit: ['grafana'] }] });
    assert.equal((await gate.ask(GITHUB, bearer)).headers['x-webauth-user'], 'alice');
    await gate.reload({ providers, rules: EVERYBODY, rateLimits: [{ by: 'user', limit: 1, per: '1m' }] });
    assert.equal((await gate.ask(GITHUB, bearer)).headers['x-webauth-user'], undefined);
    assertRefused(await gate.ask(GITHUB, bearer), 429, 'rate_limited');
    await gate.reload({ providers, rules: EVERYBODY });
    assertAllowed(await gate.ask(GITHUB, bearer), 'alice');
  });

  it('trusts other proxies, also on a connection that is open', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ask = async () => {
      const asked = get({ port: gate.port, agent, path: '/verify/traefik' });
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      const body = (await answer.toArray()).join('');
      return { reused: asked.reusedSocket, untrusted: body.includes('untrusted_proxy') };
    };
    assert.deepEqual(await ask(), { reused: false, untrusted: false });
    await gate.reload({ providers, rules: EVERYBODY, trustedProxies: ['192.0.2.1'] });
    assert.deepEqual(await ask(), { reused: true, untrusted: true });
    await gate.reload({ providers, rules: EVERYBODY });
    assert.deepEqual(await ask(), { reused: true, untrusted: false });
    agent.destroy();
  });

  it('is not taken where it is wrong: the one before goes on, and the log and a metric say so', async () => {
    const bearer = { token: await token() };
    await gate.reload({ providers, rules: [{ match: {}, allow: { goups: ['x'] } }] }, []);
    const clientSecretPath = '/nowhere/secret';
    await gate.reload({ providers: [{ ...providers[0], clientId: 'x', clientSecretPath }], rules: ADMINS });
    assertAllowed(await gate.ask(GITHUB, bearer), 'alice');
    assert.match(gate.log(), /auth\.rules\[0\]\.allow\.goups: unknown key.*the one before goes on/);
    assert.match(gate.log(), /auth\.providers\[0\]\.clientSecretPath: .* cannot be read.*the one before goes on/);
    const metrics = async () => (await rawRequest(gate.internalPort, '/metrics')).body;
    assert.match(await metrics(), /postern_config_reloads_total\{process="forward-auth",outcome="rejected"\} 2/);
    await gate.reload({ providers, rules: ADMINS });
    assertRefused(await gate.ask(GITHUB, bearer), 403, 'not_allowed');
    assert.match(await metrics(), /postern_config_reloads_total\{process="forward-auth",outcome="applied"\} 1/);
    assert.match(await metrics(), /postern_config_last_reload_success_timestamp_seconds \d{10}/);
  });

  it('names the keys that wait for a restart, and takes the rest', async () => {
    await gate.reload({ providers, rules: ADMINS, listen: '127.0.0.1:1', limits: { maxHeaders: '64KiB' } });
    assertRefused(await gate.ask(GITHUB, { token: await token() }), 403, 'not_allowed');
    assert.match(gate.log(), /"paths":\["auth\.listen","auth\.limits\.maxHeaders"\].*restart/);
    assert.ok(!gate.log().includes('auth.internalListen'));
  });

  it('does not take a ready process away because an added provider does not answer', async () => {
    await gate.ask(GITHUB, { token: await token() });
    assert.equal((await rawRequest(gate.internalPort, '/readyz')).status, 200);
    await gate.reload({ providers: [...providers, { id: 'gone', issuer: 'http://127.0.0.1:9' }], rules: EVERYBODY });
    assert.equal((await rawRequest(gate.internalPort, '/readyz')).status, 200);
    assertAllowed(await gate.ask(GITHUB, { token: await token() }), 'alice');
  });
});

describe('a decision during a reload', () => {
  it('is made by one configuration from start to end', async () => {
    let answer = () => {};
    let asked = () => {};
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const provider: Server = createServer((request, response) => {
      if (request.url !== '/introspect') return response.writeHead(404).end();
      answer = () => response.end(JSON.stringify({ active: true, sub: 'alice', aud: RESOURCE, exp: 4_000_000_000 }));
      return asked();
    });
    provider.listen(0, '127.0.0.1');
    await once(provider, 'listening');
    const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
    const introspection = { enabled: true, url: `${issuer}/introspect` };
    const providers = [{ id: 'corp', issuer, jwksUri: `${issuer}/jwks`, clientId: 'gate', introspection }];
    const gate = await openGate({ providers, rules: EVERYBODY });
    try {
      const bearer = { token: 'opaque' };
      const before = gate.ask(GITHUB, bearer);
      await arrived;
      await gate.reload({ providers, rules: ADMINS });
      const after = gate.ask(GITHUB, bearer);
      answer();
      assertAllowed(await before, 'alice');
      assertRefused(await after, 403, 'not_allowed');
    } finally {
      await gate.close();
      provider.closeAllConnections();
      provider.close();
    }
  });
});
