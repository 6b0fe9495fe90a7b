import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import { GroupNotices } from '../../../src/forward-auth/authenticators/group-notices.ts';
import { Introspection } from '../../../src/forward-auth/authenticators/introspection.ts';
import { JwtAuthenticator } from '../../../src/forward-auth/authenticators/jwt.ts';
import { ProviderKeys } from '../../../src/forward-auth/authenticators/provider-keys.ts';
import { Resources } from '../../../src/forward-auth/decision/resources.ts';
import { UnknownTokens } from '../../../src/forward-auth/limits/unknown-tokens.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { until } from '../../support/until.ts';
import { imagineRequest } from '../support/imagined.ts';
import { type KeyServer, rsaKey, startKeyServer } from '../support/key-server.ts';
import { SharedStore } from '../support/shared-store.ts';

const PUBLIC_URL = 'https://mcp.example.com';
const resources = new Resources(PUBLIC_URL, ['github', 'files']);
const GITHUB = '/servers/github/mcp';
const RESOURCE = `${PUBLIC_URL}${GITHUB}`;
const SECRET = 'gate:secret/with+odd&characters%';

async function serve(listener: (request: IncomingMessage, response: ServerResponse) => void) {
  const server: Server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { issuer: `http://127.0.0.1:${port}`, stop, server };
}

function open(providers: readonly object[]) {
  const { auth } = parseConfig({ publicUrl: PUBLIC_URL, auth: { providers } });
  let shift = 0;
  let written = '';
  const lookups: string[] = [];
  const dependencies = {
    log: createLogger('auth', 'debug', {
      write: (line: string) => {
        written += line;
      },
    }),
    now: () => Date.now() + shift,
    fetch,
    onLookup: (outcome: string) => void lookups.push(outcome),
  };
  const onLimited = () => {};
  const groupNotices = new GroupNotices(dependencies.log);
  const { stores } = new SharedStore().replica();
  const unknown = new UnknownTokens(auth.rateLimits, { ...dependencies, stores, onLimited });
  const introspection = new Introspection(auth, { ...dependencies, groupNotices, unknown });
  const keys = new Map(auth.providers.map((provider) => [provider.id, new ProviderKeys(provider, dependencies)]));
  const jwt = new JwtAuthenticator(auth, { ...dependencies, groupNotices, introspection, keys });
  const close = () => {
    for (const of of keys.values()) of.close();
  };
  const ask = async (
    token: string,
    path = GITHUB,
    clientAddress = '203.0.113.7',
    issuers: ReadonlySet<string> | undefined = undefined,
  ) => {
    const headers = ['Authorization', `Bearer ${token}`];
    const request = imagineRequest(path, { headers, clientAddress });
    const answer = await jwt.authenticate(request, resources.of(request), { issuers });
    if (answer.kind === 'limit') return `limit ${answer.limit} ${answer.resetIn}`;
    return answer.kind === 'identity' ? answer.identity.subject : answer.kind === 'rejected' ? answer.reason : 'absent';
  };
  const pass = (milliseconds: number) => {
    shift += milliseconds;
  };
  return { ask, pass, lookups, log: () => written, close };
}

describe('opaque tokens at a real OpenID provider', () => {
  for (const way of ['client_secret_basic', 'client_secret_post'] as const)
    it(`are taken while active, by ${way}`, async () => {
      const { issuer, stop, server } = await serve(() => {});
      const provider = new Provider(issuer, {
        clients: [
          {
            client_id: 'gate',
            client_secret: SECRET,
            grant_types: ['client_credentials'],
            redirect_uris: [],
            response_types: [],
            token_endpoint_auth_method: way,
          },
        ],
        scopes: ['mcp:use'],
        features: {
          clientCredentials: { enabled: true },
          introspection: { enabled: true },
          revocation: { enabled: true },
          devInteractions: { enabled: false },
          resourceIndicators: {
            enabled: true,
            getResourceServerInfo: (_context, audience) => ({
              scope: 'mcp:use',
              audience,
              accessTokenTTL: 20,
              accessTokenFormat: 'opaque',
            }),
          },
        },
        ttl: { ClientCredentials: 20 },
      });
      server.removeAllListeners('request').on('request', provider.callback());
      const post = async (path: string, form: Record<string, string>) => {
        const basic = `gate:${new URLSearchParams({ '': SECRET }).toString().slice(1)}`;
        const credentials = way === 'client_secret_post' ? { client_id: 'gate', client_secret: SECRET } : {};
        const answer = await fetch(issuer + path, {
          method: 'POST',
          body: new URLSearchParams({ ...form, ...credentials }),
          headers:
            way === 'client_secret_basic' ? { Authorization: `Basic ${Buffer.from(basic).toString('base64')}` } : {},
        });
        return (await answer.text()) as string;
      };
      const token = async (resource: string) => {
        const text = await post('/token', { grant_type: 'client_credentials', scope: 'mcp:use', resource });
        return (JSON.parse(text) as { access_token: string }).access_token;
      };
      const providers = [
        {
          id: 'corp',
          issuer,
          clientId: 'gate',
          clientSecret: SECRET,
          clientAuthentication: way,
          claims: { subject: 'client_id' },
          introspection: { enabled: true, entryLifetime: '3s' },
          clockTolerance: '0s',
        },
      ];
      const gate = open(providers);
      try {
        const good = await token(RESOURCE);
        assert.ok(!good.includes('.'), 'the token is opaque');
        assert.equal(await gate.ask(good), 'gate');
        assert.equal(await gate.ask(good), 'gate');
        assert.deepEqual(gate.lookups, ['miss', 'hit']);
        assert.equal(await gate.ask(good, '/servers/files/mcp'), 'token_audience');
        assert.equal(await gate.ask(await token('https://elsewhere.example')), 'token_audience');
        assert.equal(await gate.ask('garbage'), 'token_inactive');
        const old = await token(RESOURCE);
        assert.equal(await gate.ask(old), 'gate');
        const later = open(providers);
        later.pass(21_000);
        assert.equal(await later.ask(old), 'token_expired');
        later.close();
        await post('/token/revocation', { token: good });
        assert.equal(await gate.ask(good), 'gate', 'a verdict is reused for its ttl');
        gate.pass(3_000);
        assert.equal(await gate.ask(good), 'token_inactive');
        assert.equal(await gate.ask(old), 'gate');
        await stop();
        assert.equal(await gate.ask(old), 'gate', 'a live verdict goes on while the provider is away');
        await assert.rejects(gate.ask('another'), DependencyUnavailable);
        gate.pass(3_000);
        await assert.rejects(gate.ask(old), DependencyUnavailable);
        assert.ok(![good, old, SECRET].some((secret) => gate.log().includes(secret)));
      } finally {
        gate.close();
        await stop();
      }
    });
});

describe('answers about a token', () => {
  let answer: unknown;
  let asked: number;
  let status: number;
  let endpoint: Awaited<ReturnType<typeof serve>>;
  let keys: KeyServer;
  const key = rsaKey('one');
  const active = () => ({
    active: true,
    sub: 'alice',
    aud: RESOURCE,
    token_type: 'Bearer',
    exp: Math.floor(Date.now() / 1000) + 60,
  });

  before(async () => {
    keys = await startKeyServer([key]);
    endpoint = await serve((_request, response) => {
      asked += 1;
      response.writeHead(status, status === 302 ? { Location: '/' } : { 'Content-Type': 'application/json' });
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    });
  });
  after(async () => {
    await endpoint.stop();
    await keys.stop();
  });
  beforeEach(() => {
    answer = active();
    asked = 0;
    status = 200;
  });
  const provider = (more: object = {}) => ({
    id: 'corp',
    issuer: 'https://idp.example.com',
    clientId: 'gate',
    clientSecret: 'x',
    introspection: { enabled: true, url: endpoint.issuer, maxEntries: 2 },
    ...more,
  });

  it('are held to what a JWT is held to', async () => {
    const now = Math.floor(Date.now() / 1000);
    for (const [change, expected] of [
      [{}, 'alice'],
      [{ active: false }, 'token_inactive'],
      [{ exp: now - 60 }, 'token_expired'],
      [{ exp: undefined }, 'token_claims'],
      [{ nbf: now + 600 }, 'token_not_yet_valid'],
      [{ aud: undefined }, 'token_audience'],
      [{ aud: undefined, client_id: 'gate' }, 'token_audience'],
      [{ aud: 7, client_id: 'app' }, 'token_audience'],
      [{ aud: 'https://elsewhere.example' }, 'token_audience'],
      [{ aud: undefined, client_id: 'app' }, 'alice'],
      [{ aud: undefined, client_id: 'app', token_type: undefined }, 'token_audience'],
      [{ sub: undefined }, 'token_claims'],
      [{ iss: 'https://evil.example' }, 'token_issuer'],
      [{ token_type: 'refresh_token' }, 'token_type'],
      [{ token_type: 'DPoP' }, 'token_type'],
      [{ typ: 'Refresh' }, 'token_type'],
      [{ at_hash: 'x' }, 'token_type'],
    ] as const) {
      answer = { ...active(), ...change };
      assert.equal(await open([provider({ audiences: ['app'] })]).ask('opaque'), expected, JSON.stringify(change));
    }
  });

  it('that are none are an outage, never a verdict', async () => {
    for (const [code, text] of [
      [200, '{'],
      [200, '[]'],
      [200, '{"active":"true"}'],
      [200, `{"active":true,"x":"${'x'.repeat(1_100_000)}"}`],
      [401, '{}'],
      [500, '{}'],
      [302, '{}'],
    ] as const) {
      [status, answer] = [code, text];
      await assert.rejects(open([provider()]).ask('opaque'), DependencyUnavailable, `${code} ${text.slice(0, 20)}`);
    }
    await assert.rejects(open([provider({ clientSecret: undefined, clientSecretPath: '/nonexistent' })]).ask('x'), {
      status: 503,
    });
  });

  it('are asked for once by all who come at once, and garbage pushes no good one out', async () => {
    const gate = open([provider()]);
    const all = await Promise.all(Array.from({ length: 5 }, () => gate.ask('good')));
    assert.deepEqual([...new Set(all)], ['alice']);
    assert.equal(asked, 1);
    answer = { active: false };
    for (let i = 0; i < 5; i++) assert.equal(await gate.ask(`bad-${i}`), 'token_inactive');
    assert.equal(asked, 6);
    assert.equal(await gate.ask('bad-4'), 'token_inactive');
    assert.equal(await gate.ask('good'), 'alice');
    assert.equal(asked, 6);
    gate.pass(5_000);
    answer = active();
    assert.equal(await gate.ask('bad-4'), 'alice');
  });

  it('come from several providers in order, and an outage of one is no “no”', async () => {
    const second = await serve((_request, response) => response.end(JSON.stringify({ ...active(), sub: 'bob' })));
    const both = [
      provider(),
      provider({ id: 'b', issuer: 'https://b.example', introspection: { enabled: true, url: second.issuer } }),
    ];
    assert.equal(await open(both).ask('x'), 'alice');
    answer = { active: false };
    assert.equal(await open(both).ask('x'), 'bob');
    status = 500;
    assert.equal(await open(both).ask('x'), 'bob');
    await second.stop();
    [status, answer] = [200, { active: false }];
    await assert.rejects(open(both).ask('x'), DependencyUnavailable);
  });

  it('are asked for by one address about few invented tokens, and by all others as before', async () => {
    const gate = open([provider({ introspection: { enabled: true, url: endpoint.issuer } })]);
    assert.equal(await gate.ask('good'), 'alice');
    answer = { active: false };
    const flood = async (address: string) => {
      const answers: string[] = [];
      for (let i = 0; i < 70; i++) answers.push(await gate.ask(`invented-${address}-${i}`, GITHUB, address));
      return answers;
    };
    const answers = await flood('203.0.113.7');
    assert.ok(answers.slice(0, 60).every((reason) => reason === 'token_inactive'));
    assert.ok(
      answers.slice(61).every((reason) => /^limit 60 [1-9]/.test(reason)),
      answers.slice(60).join(),
    );
    assert.ok(asked <= 62, String(asked));
    assert.equal(await gate.ask('invented', GITHUB, '198.51.100.1'), 'token_inactive');
    answer = { ...active(), exp: Math.floor(Date.now() / 1000) + 600 };
    gate.pass(31_000);
    assert.equal(await gate.ask('good'), 'alice', 'a token that was good is asked about again, from there as well');
    gate.pass(61_000);
    assert.equal(await gate.ask('another'), 'alice');
  });

  it('are asked for by one address about few tokens at once, and room is kept for tokens that were good', async () => {
    let release = () => {};
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    let held = false;
    let running = 0;
    const provided = await serve(async (_request, response) => {
      running += 1;
      if (held) await slow;
      response.end(JSON.stringify(active()));
    });
    const gate = open([provider({ introspection: { enabled: true, url: provided.issuer } })]);
    assert.equal(await gate.ask('good'), 'alice');
    gate.pass(31_000);
    held = true;
    const same = Array.from({ length: 40 }, () => gate.ask('same', GITHUB, '198.51.100.9'));
    const one = Array.from({ length: 40 }, (_none, i) => gate.ask(`one-${i}`));
    const many = Array.from({ length: 200 }, (_none, i) =>
      gate.ask(`many-${i}`, GITHUB, `192.0.2.${i}`).catch((error) => (error as DependencyUnavailable).code),
    );
    const good = gate.ask('good');
    await until('those that may are asked about', () => running === 1 + 192 + 1);
    release();
    assert.equal(await good, 'alice');
    assert.deepEqual([...new Set(await Promise.all(same))], ['alice']);
    const limited = (await Promise.all(one)).filter((answered) => answered === 'limit 32 1000');
    assert.equal(limited.length, 8);
    assert.ok((await Promise.all(many)).includes('dependency_unavailable'));
    await provided.stop();
  });

  it('are asked for about opaque tokens and JWTs of that issuer only', async () => {
    const both = [provider(), { id: 'jwt', issuer: keys.issuer }];
    const gate = open(both);
    const good = await keys.sign(key, { aud: RESOURCE });
    assert.equal(await gate.ask(good), 'alice');
    assert.equal(await gate.ask(await keys.sign(key, { iss: 'https://evil.example', aud: RESOURCE })), 'token_issuer');
    assert.equal(asked, 0);
    answer = { active: false };
    // A good signature does not help where the issuer says that the token is over.
    const theirs = await keys.sign(key, { iss: 'https://idp.example.com', aud: RESOURCE });
    assert.equal(await gate.ask(theirs), 'token_inactive');
    assert.equal(asked, 1);
    gate.close();
    const without = open([{ id: 'jwt', issuer: keys.issuer }]);
    assert.equal(await without.ask('opaque'), 'token_malformed');
    assert.equal(asked, 1);
  });
});
