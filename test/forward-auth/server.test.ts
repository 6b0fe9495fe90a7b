import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { createRemoteJWKSet } from 'jose';
import { signAssertion, verifyAssertion } from '../../src/identity/assertion.ts';
import { rawRequest } from '../support/raw-request.ts';
import { assertAllowed, assertRefused, type Gate, openGate, PUBLIC_URL, RESOURCE } from './support/gate.ts';
import { type KeyServer, publicJwk, rsaKey, startKeyServer } from './support/key-server.ts';

const GITHUB = '/servers/github/mcp';
const RULES = [
  { match: { path: '/public/**' }, public: true },
  {
    match: { path: '/servers/github/**', host: 'mcp.example.com' },
    allow: { groups: ['engineering'] },
    scopes: { default: ['mcp:use'], tools: { 'delete_*': ['mcp:admin'] } },
  },
  { match: { path: '/app/**' } },
];

describe('forward-auth over HTTP', () => {
  const key = rsaKey('one');
  // Made before anything serves: a loop that stands still is one that has no time for strangers.
  const others = { unknown: rsaKey('unknown'), one: rsaKey('one'), mine: rsaKey('mine') };
  let idp: KeyServer;
  let gate: Gate;
  const seconds = () => Math.floor(Date.now() / 1000);

  before(async () => {
    idp = await startKeyServer([key]);
    gate = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
  });
  after(async () => {
    await gate.close();
    await idp.stop();
  });
  const token = (claims = {}, header = {}) => idp.sign(key, { aud: RESOURCE, ...claims }, header);

  it('allows a valid token, and again from the cache', async () => {
    const good = await token();
    for (let i = 0; i < 2; i++) {
      const answer = await gate.ask(GITHUB, { token: good });
      assertAllowed(answer, 'alice');
      assert.equal(answer.headers['x-authenticated-groups'], 'engineering');
      assert.equal(answer.headers['x-authenticated-method'], 'bearer');
    }
    const metrics = (await rawRequest(gate.internalPort, '/metrics')).body;
    assert.match(metrics, /postern_token_cache_total\{outcome="hit"\} [1-9]/);
    assert.match(
      metrics,
      /postern_auth_decisions_total\{proxy="traefik",decision="allow",method="bearer",reason="authorized"\} [2-9]/,
    );
    assert.match(metrics, /postern_auth_decision_duration_seconds_count\{proxy="traefik",decision="allow"\} [2-9]/);
  });

  it('shows a person a page where nothing is, and of a request that it cannot read; a program gets JSON', async () => {
    const person = ['Accept', 'text/html', 'Accept-Language', 'de'];
    const many = Array.from({ length: 310 }, (_, n) => [`A${n}`, 'b']).flat();
    for (const [path, headers, status, title, error] of [
      ['/_postern/nothing', [], 404, /<h1>Hier ist nichts<\/h1>/, 'not_found'],
      ['/verify/traefik', many, 431, /<h1>Ihr Browser hat zu viel gesendet<\/h1>/, 'too_many_headers'],
    ] as const) {
      const page = await rawRequest(gate.port, path, { headers: [...person, ...headers] });
      assert.equal(page.status, status);
      assert.match(String(page.headers['content-type']), /^text\/html/);
      assert.match(page.body, title);
      const json = await rawRequest(gate.port, path, { headers: ['Accept', '*/*', ...headers] });
      assert.equal(json.status, status);
      assert.equal(JSON.parse(json.body).error, error);
    }
    const large = await rawRequest(gate.port, '/verify/traefik', { headers: ['Cookie', 'c'.repeat(70_000)] });
    assert.deepEqual([large.status, JSON.parse(large.body).error], [431, 'headers_too_large']);
  });

  it('says when the keys of a provider were loaded, and which version runs', async () => {
    const metrics = (await rawRequest(gate.internalPort, '/metrics')).body;
    assert.match(metrics, /postern_provider_up\{provider="corp"\} 1\n/);
    const loaded = Number(/postern_provider_keys_loaded_timestamp_seconds\{provider="corp"\} (\S+)/.exec(metrics)?.[1]);
    assert.ok(Math.abs(Date.now() / 1000 - loaded) < 600, String(loaded));
    assert.match(metrics, /postern_build_info\{process="forward-auth",version="\d+\.\d+\.\d+[^"]*"\} 1\n/);
  });

  it('says that a provider is away', async () => {
    const away = await startKeyServer([key]);
    await away.stop();
    const lonely = await openGate({ providers: [{ id: 'corp', issuer: away.issuer }], rules: RULES });
    try {
      await lonely.ask(GITHUB, { token: await away.sign(key, { aud: RESOURCE }) });
      const metrics = (await rawRequest(lonely.internalPort, '/metrics')).body;
      assert.match(metrics, /postern_provider_up\{provider="corp"\} 0\n/);
      assert.doesNotMatch(metrics, /postern_provider_keys_loaded_timestamp_seconds\{/);
    } finally {
      await lonely.close();
    }
  });

  it('signs an assertion for exactly this request, under the published keys', async () => {
    const answer = await gate.ask(GITHUB, { method: 'DELETE', token: await token() });
    const keys = createRemoteJWKSet(new URL(`http://127.0.0.1:${gate.port}/_postern/jwks.json`));
    const { identity, binding } = await verifyAssertion(String(answer.headers['x-authenticated-assertion']), keys, {
      issuer: PUBLIC_URL,
      audience: 'postern-relay',
      now: new Date(),
      clockTolerance: 5,
    });
    assert.equal(identity.subject, 'alice');
    assert.deepEqual(binding, { method: 'DELETE', host: 'mcp.example.com', path: GITHUB });
  });

  it('gives every identity header on public, preflight and metadata requests', async () => {
    assertAllowed(await gate.ask('/public/x'), '');
    assertAllowed(await gate.ask('/public/x', { token: 'not.a.token' }), '');
    const preflight = ['Origin', 'https://client.example', 'Access-Control-Request-Method', 'POST'];
    assertAllowed(await gate.ask(GITHUB, { method: 'OPTIONS', headers: preflight }), '');
    assertAllowed(await gate.ask('/.well-known/oauth-protected-resource/servers/github/mcp'), '');
    assertAllowed(await gate.ask('/_postern/jwks.json'), '');
    assertRefused(await gate.ask('/_postern/jwks.json', { method: 'POST' }), 403, 'no_rule');
  });

  it('challenges once, with the metadata and scopes, GET as well as POST', async () => {
    for (const [method, scopes] of [
      ['GET', 'mcp:use'],
      ['POST', 'mcp:use mcp:admin'],
    ] as const) {
      const answer = await gate.ask(GITHUB, { method });
      assertRefused(answer, 401, 'no_credential');
      assert.equal(
        answer.headers['www-authenticate'],
        `Bearer resource_metadata="${PUBLIC_URL}/.well-known/oauth-protected-resource/servers/github/mcp", scope="${scopes}"`,
      );
      assert.equal(answer.headers['access-control-allow-origin'], '*');
      assert.match(String(answer.headers['access-control-expose-headers']), /WWW-Authenticate, Mcp-Session-Id/);
    }
  });

  it('denies what no rule allows, and who is in no allowed group', async () => {
    assertRefused(await gate.ask('/elsewhere'), 403, 'no_rule');
    assertRefused(await gate.ask(GITHUB, { token: await token({ groups: ['sales'] }) }), 403, 'not_allowed');
  });

  it('asks for the scopes of a tool by headers of modern requests, and for all of a rule where only the body tells', async () => {
    const headers = (version: string) => [
      ...['MCP-Protocol-Version', version, 'Mcp-Method', 'tools/call', 'Mcp-Name', 'delete_repo'],
    ];
    const good = await token();
    const modern = await gate.ask(GITHUB, { method: 'POST', token: good, headers: headers('2026-07-28') });
    assertRefused(modern, 403, 'insufficient_scope');
    assert.match(
      String(modern.headers['www-authenticate']),
      /^Bearer error="insufficient_scope", .*scope="mcp:use mcp:admin"$/,
    );
    const harmless = headers('2026-07-28').with(-1, 'list_repos');
    assertAllowed(await gate.ask(GITHUB, { method: 'POST', token: good, headers: harmless }), 'alice');
    // A legacy server does not compare these headers with the body, so they prove nothing.
    const legacy = headers('2025-11-25').with(-1, 'list_repos');
    assertRefused(await gate.ask(GITHUB, { method: 'POST', token: good, headers: legacy }), 403, 'insufficient_scope');
    const wide = await token({ scope: 'mcp:use mcp:admin' });
    assertAllowed(await gate.ask(GITHUB, { method: 'POST', token: wide, headers: legacy }), 'alice');
  });

  describe('refuses', () => {
    const confused = () => {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const claims = { iss: idp.issuer, sub: 'alice', aud: RESOURCE, exp: seconds() + 60 };
      const input = `${part({ alg: 'HS256', typ: 'at+jwt', kid: 'one' })}.${part(claims)}`;
      const pem = key.publicKey.export({ type: 'spki', format: 'pem' });
      return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`;
    };
    const unsigned = () => {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      return `${part({ alg: 'none', typ: 'at+jwt' })}.${part({ iss: idp.issuer, sub: 'alice', aud: RESOURCE, exp: seconds() + 60 })}.AA`;
    };
    const identity = {
      subject: 'alice',
      email: '',
      name: '',
      groups: [],
      scopes: [],
      method: 'bearer',
      issuer: '',
    } as const;
    const assertion = () =>
      signAssertion(
        { kid: 'one', alg: 'ES256', privateKey: key.privateKey, publicJwk: {} },
        identity,
        { method: 'GET', host: 'mcp.example.com', path: GITHUB },
        { issuer: idp.issuer, audience: RESOURCE, issuedAt: seconds(), lifetime: 60 },
      );
    const bad: Array<[title: string, make: () => Promise<string> | string, reason: string]> = [
      ['a malformed token', () => 'rubbish', 'token_malformed'],
      ['an empty token', () => '', 'token_malformed'],
      ['another audience', () => token({ aud: `${PUBLIC_URL}/servers/other/mcp` }), 'token_audience'],
      ['no audience', () => token({ aud: undefined }), 'token_audience'],
      ['an expired token', () => token({ exp: seconds() - 31 }), 'token_expired'],
      ['a token of the future', () => token({ nbf: seconds() + 60 }), 'token_not_yet_valid'],
      ['a token issued in the future', () => token({ iat: seconds() + 60 }), 'token_not_yet_valid'],
      ['another issuer', () => token({ iss: 'https://evil.example' }), 'token_issuer'],
      ['an unknown key', () => idp.sign(others.unknown, { aud: RESOURCE }), 'token_key'],
      ['a forged signature', () => idp.sign(others.one, { aud: RESOURCE }), 'token_signature'],
      ['alg none', unsigned, 'token_algorithm'],
      ['HS256 with the public key', confused, 'token_algorithm'],
      ['a wrong typ', () => token({}, { typ: 'logout+jwt' }), 'token_type'],
      ['crit', () => token({}, { crit: ['b64'], b64: true }), 'token_header'],
      ['an assertion of Postern', assertion, 'token_type'],
      ['an ID token', () => token({ nonce: 'n', at_hash: 'h' }, { typ: 'JWT' }), 'token_type'],
      ['no subject', () => token({ sub: undefined }), 'token_claims'],
    ];
    for (const [title, make, reason] of bad)
      it(title, async () => {
        const answer = await gate.ask(GITHUB, { token: await make() });
        assertRefused(answer, 401, reason);
        assert.match(
          String(answer.headers['www-authenticate']),
          /^Bearer error="invalid_token", error_description="[^"]+", /,
        );
      });

    it('a key that the token brings along', async () => {
      const own = others.mine;
      const forged = await idp.sign(own, { aud: RESOURCE }, { jwk: publicJwk(own), jku: `${idp.issuer}/jwks` });
      assertRefused(await gate.ask(GITHUB, { token: forged }), 401, 'token_key');
    });

    it('a cached token on a resource that it is not for', async () => {
      const good = await token();
      assertAllowed(await gate.ask(GITHUB, { token: good }), 'alice');
      assertRefused(await gate.ask('/app/x', { token: good }), 401, 'token_audience');
    });

    it('a token that ends as a cached one does, whatever stands before', async () => {
      const good = await token();
      assertAllowed(await gate.ask(GITHUB, { token: good }), 'alice');
      const [header = '', payload = '', signature = ''] = good.split('.');
      const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), sub: 'mallory' };
      const forged = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
      assertRefused(await gate.ask(GITHUB, { token: forged }), 401, 'token_signature');
      assertAllowed(await gate.ask(GITHUB, { token: good }), 'alice');
    });

    it('a cached token after its expiry', async () => {
      const other = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
      try {
        const short = await token({ exp: seconds() + 60 });
        assertAllowed(await other.ask(GITHUB, { token: short }), 'alice');
        other.pass(95_000);
        assertRefused(await other.ask(GITHUB, { token: short }), 401, 'token_expired');
      } finally {
        await other.close();
      }
    });

    it('a second Authorization', async () => {
      const good = await token();
      const answer = await gate.ask(GITHUB, { token: good, headers: ['Authorization', 'Bearer x'] });
      assertRefused(answer, 400, 'credential_duplicated');
    });

    it('a token in the query string, however written', async () => {
      for (const name of ['access_token', '%61ccess_token'])
        assertRefused(await gate.ask(`${GITHUB}?${name}=x`, { token: await token() }), 400, 'credential_in_query');
    });

    it('a token that is too large, and headers that are', async () => {
      assertRefused(await gate.ask(GITHUB, { token: 'x'.repeat(17_000) }), 431, 'credential_too_large');
      assert.equal((await gate.ask(GITHUB, { headers: ['X-Large', 'x'.repeat(65_536)] })).status, 431);
    });

    it('targets that can be read two ways', async () => {
      for (const uri of [
        '//admin',
        '/public/..%2fadmin',
        '/public/../admin',
        '/public/..;/admin',
        '/public/%252e%252e/a',
        '/public\\a',
      ])
        assertRefused(await gate.ask(uri, { token: await token() }), 400, 'ambiguous_target');
    });

    for (const name of ['X-Forwarded-Uri', 'X-Forwarded-Method', 'X-Forwarded-Host'])
      it(`a missing or second ${name}`, async () => {
        const all: Array<[string, string]> = [
          ['X-Forwarded-Uri', '/public/x'],
          ['X-Forwarded-Method', 'GET'],
          ['X-Forwarded-Host', 'mcp.example.com'],
        ];
        const value = all.find(([candidate]) => candidate === name)?.[1] as string;
        const send = (headers: Array<[string, string]>) =>
          rawRequest(gate.port, '/verify/traefik', { headers: headers.flat() });
        assertAllowed(await send(all), '');
        assert.match(
          assertRefused(await send(all.filter(([n]) => n !== name)), 400, 'forwarded_headers')
            .error_description as string,
          new RegExp(name),
        );
        assertRefused(await send([...all, [name, value]]), 400, 'forwarded_headers');
        const joined = await send(all.map(([n, v]) => [n, n === name ? `${v},${v}` : v]));
        assertRefused(joined, 400, 'forwarded_headers');
      });

    it('everybody but trusted proxies', async () => {
      const closed = await openGate({ rules: RULES, trustedProxies: ['192.0.2.1'] });
      try {
        const body = assertRefused(await closed.ask('/public/x'), 403, 'untrusted_proxy');
        assert.match(body.error_description as string, /auth\.trustedProxies/);
      } finally {
        await closed.close();
      }
    });
  });

  it('has no other way to a 2xx below /verify/ and no health check beside it', async () => {
    for (const path of [
      '/verify/traefik/',
      '/verify/traefik/../../_postern/jwks.json',
      '/verify/envoy/healthz',
      '/verify/',
      '/verify',
      '/healthz',
      '//verify/traefik',
    ])
      for (const method of ['GET', 'OPTIONS']) {
        const { status } = await rawRequest(gate.port, path, { method });
        assert.ok(status >= 400 && status < 500, `${method} ${path}: ${status}`);
      }
  });

  it('writes decisions to the log and no token', async () => {
    const secret = await token();
    await gate.ask(GITHUB, { token: secret });
    assert.match(
      gate.log(),
      /"decision":"allow","reason":"authorized","rule":"auth.rules\[1\]"[^\n]*"user":"[^"#]+#alice"/,
    );
    assert.ok(!gate.log().includes(secret.split('.')[2] as string), 'the token is not in the log');
  });
});

describe('keys of a provider', () => {
  it('rotate without a restart, serve while the provider is away, and are no reason to sign out', async () => {
    const first = rsaKey('first');
    const second = rsaKey('second');
    const idp = await startKeyServer([first]);
    const gate = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
    try {
      assertAllowed(await gate.ask(GITHUB, { token: await idp.sign(first, { aud: RESOURCE }) }), 'alice');
      idp.keys = [publicJwk(second)];
      assertAllowed(await gate.ask(GITHUB, { token: await idp.sign(second, { aud: RESOURCE }) }), 'alice');
      assertRefused(
        await gate.ask(GITHUB, { token: await idp.sign(first, { aud: RESOURCE, jti: '2' }) }),
        401,
        'token_key',
      );
      await idp.stop();
      assertAllowed(await gate.ask(GITHUB, { token: await idp.sign(second, { aud: RESOURCE, jti: '3' }) }), 'alice');
      gate.pass(60_000);
      const unknown = await gate.ask(GITHUB, { token: await idp.sign(rsaKey('third'), { aud: RESOURCE }) });
      assertRefused(unknown, 503, 'dependency');
    } finally {
      await gate.close();
      await idp.stop();
    }
  });

  it('are asked for seldom, whatever key ids clients invent', async () => {
    const key = rsaKey('one');
    const idp = await startKeyServer([key]);
    const gate = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
    try {
      const stranger = rsaKey('x');
      for (let i = 0; i < 20; i++)
        assertRefused(
          await gate.ask(GITHUB, { token: await idp.sign(stranger, { aud: RESOURCE }, { kid: `k${i}` }) }),
          401,
          'token_key',
        );
      const asked = idp.asked.filter((path) => path === '/jwks').length;
      assert.ok(asked <= 4, `asked ${asked} times`);
    } finally {
      await gate.close();
      await idp.stop();
    }
  });

  it('that are new are found although others are invented, and are never refused as unknown', async () => {
    const key = rsaKey('one');
    const next = rsaKey('two');
    const stranger = rsaKey('x');
    const idp = await startKeyServer([key]);
    const gate = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
    const seconds = () => Math.floor(Date.now() / 1000);
    try {
      const invent = async (id: number, iat: number) =>
        gate.ask(GITHUB, { token: await idp.sign(stranger, { aud: RESOURCE, iat }, { kid: `k${id}` }) });
      for (let i = 0; i < 30; i++) assertRefused(await invent(i, seconds() - 60), 401, 'token_key');
      idp.keys = [publicJwk(key), publicJwk(next)];
      const before = idp.asked.length;
      const young = await idp.sign(next, { aud: RESOURCE, iat: seconds() + 1 });
      const flood = Array.from({ length: 50 }, (_, i) => invent(100 + i, seconds() + 10));
      assertAllowed(await gate.ask(GITHUB, { token: young }), 'alice');
      for (const answer of await Promise.all(flood)) assertRefused(answer, 401, 'token_key');
      assert.ok(idp.asked.length - before <= 3, `asked ${idp.asked.length - before} times`);
    } finally {
      await gate.close();
      await idp.stop();
    }
  });

  it('that are more than are used are told, once', async () => {
    const key = rsaKey('one');
    const idp = await startKeyServer([key]);
    idp.keys = [publicJwk(key), ...Array.from({ length: 100 }, (_, i) => ({ ...publicJwk(key), kid: `k${i}` }))];
    const gate = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
    try {
      assertAllowed(await gate.ask(GITHUB, { token: await idp.sign(key, { aud: RESOURCE }) }), 'alice');
      assert.match(gate.log(), /"count":101,"used":100.*publishes more keys than are used/);
    } finally {
      await gate.close();
      await idp.stop();
    }
  });

  it('that were never loaded are 503 with Retry-After, not ready, and load later', async () => {
    const key = rsaKey('one');
    const idp = await startKeyServer([key]);
    await idp.stop();
    const gate = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
    try {
      const token = await idp.sign(key, { aud: RESOURCE });
      const answer = await gate.ask(GITHUB, { token });
      assertRefused(answer, 503, 'dependency');
      assert.equal(answer.headers['retry-after'], '5');
      assert.equal((await rawRequest(gate.internalPort, '/readyz')).status, 503);
      await idp.restart();
      gate.pass(60_000);
      assertAllowed(
        await gate.ask(GITHUB, {
          token: await idp.sign(key, { aud: RESOURCE, exp: Math.floor(Date.now() / 1000) + 300 }),
        }),
        'alice',
      );
      assert.equal((await rawRequest(gate.internalPort, '/readyz')).status, 200);
    } finally {
      await gate.close();
      await idp.stop();
    }
  });

  it('of a discovery document about another issuer are not used', async () => {
    const key = rsaKey('one');
    const idp = await startKeyServer([key]);
    idp.claimedIssuer = 'https://evil.example';
    const gate = await openGate({ providers: [{ id: 'corp', issuer: idp.issuer }], rules: RULES });
    try {
      assertRefused(await gate.ask(GITHUB, { token: await idp.sign(key, { aud: RESOURCE }) }), 503, 'dependency');
      assert.ok(!idp.asked.includes('/jwks'));
    } finally {
      await gate.close();
      await idp.stop();
    }
  });
});
