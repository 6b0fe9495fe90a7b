import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { ask, ECHO, endAll, relay, upstream } from '../../support/relay.ts';
import { Judge } from './judge.ts';
import { SYSTEMS } from './systems.ts';
import { jwks, keyServer, makeKeys, seconds, signToken } from './token-signer.ts';

const judge = (trust: object, more: object = {}) => new Judge({ trust, ...more });

describe('what is special of oauth2-proxy', () => {
  const reason = (headers: string[], trust: object = {}) => judge({ preset: 'oauth2-proxy', ...trust }).reason(headers);

  it('two families that agree are one user; two that differ are refused', async () => {
    assert.equal(await reason(['X-Auth-Request-User', 'alice', 'X-Forwarded-User', 'alice']), 'identified alice');
    assert.equal(await reason(['X-Auth-Request-User', 'root', 'X-Forwarded-User', 'alice']), 'identity_conflict');
  });

  it('a client cannot add groups, or an address, in the family that the proxy does not write', async () => {
    for (const added of ['Groups', 'Email', 'Preferred-Username']) {
      assert.equal(
        await reason(['X-Forwarded-User', 'alice', `X-Auth-Request-${added}`, 'admin']),
        'identity_conflict',
      );
      assert.equal(
        await reason(['X-Auth-Request-User', 'alice', `X-Forwarded-${added}`, 'admin']),
        'identity_conflict',
      );
    }
  });

  it('one family by configuration: the other is not read at all', async () => {
    const trust = { headers: { family: 'x-forwarded' } };
    assert.equal(await reason(['X-Auth-Request-User', 'root'], trust), 'no_identity');
    assert.equal(await reason(['X-Auth-Request-User', 'root', 'X-Forwarded-User', 'alice'], trust), 'identified alice');
  });

  it('PROXY_USER_HEADER of the guide chooses it and what tells people apart', async () => {
    const by = judge({ userHeader: 'X-Auth-Request-Email' });
    const sent = ['User', 'alice', 'Email', 'alice@example.com'];
    for (const prefix of ['X-Auth-Request-', 'X-Forwarded-'])
      assert.equal(
        await by.reason(sent.map((text, index) => (index % 2 === 0 ? prefix + text : text))),
        'identified alice@example.com',
      );
  });
});

describe('a header of another product as PROXY_USER_HEADER', () => {
  it('does not let a client add our own other headers', async () => {
    const verdict = await judge({ userHeader: 'X-Forwarded-User' }).verdict([
      ...['X-Forwarded-User', 'alice'],
      ...['X-Authenticated-Groups', 'admin', 'X-Authenticated-Email', 'root@example.com'],
    ]);
    assert.ok(verdict.kind === 'identified');
    assert.deepEqual(verdict.identity.groups, []);
    assert.equal(verdict.identity.email, '');
  });
});

describe('what is special of Istio', () => {
  const istio = judge({ preset: 'istio', headers: { payload: 'X-Jwt-Payload' } });
  const payload = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

  it('the whole payload, with and without padding', async () => {
    const claims = { iss: 'https://idp.example', sub: 'alice', email: 'a@example.com', groups: ['dev', 'ops'] };
    for (const text of [payload(claims), `${payload(claims)}==`]) {
      const verdict = await istio.verdict(['X-Jwt-Payload', text]);
      assert.ok(verdict.kind === 'identified');
      assert.deepEqual(verdict.identity.groups, ['dev', 'ops']);
      assert.equal(verdict.identity.issuer, 'https://idp.example');
    }
  });

  it('anything else in that header is refused', async () => {
    for (const text of [
      payload([]),
      payload('alice'),
      payload({ sub: 7 }),
      '{"sub":"alice"}',
      '%%%',
      payload({ sub: '' }),
    ])
      assert.equal(await istio.reason(['X-Jwt-Payload', text]), 'identity_malformed', text);
  });
});

describe('what is special of products that know people by a cookie', () => {
  for (const [preset, user] of [
    ['oauth2-proxy', 'X-Forwarded-User'],
    ['oauth2-proxy', 'X-Auth-Request-User'],
    ['authelia', 'Remote-User'],
  ] as const)
    for (const [headers, method] of [
      [['Cookie', '_session=1'], 'session'],
      [['Cookie', '_session=1', 'Authorization', 'Bearer x'], 'bearer'],
      [['Cookie', '_session=1', 'Proxy-Authorization', 'Basic x'], 'bearer'],
      [['Authorization', 'Basic x'], 'bearer'],
      [['Cookie', ''], 'bearer'],
      [[], 'bearer'],
    ] as const)
      it(`${preset}: ${user} with ${headers.join(' ') || 'nothing else'} is of the method ${method}`, async () => {
        const verdict = await judge({ preset }).verdict([user, 'alice', ...headers]);
        assert.ok(verdict.kind === 'identified');
        assert.equal(verdict.identity.method, method);
      });

  it('a product that may know people otherwise is never taken for a session', async () => {
    for (const [preset, user] of [
      ['traefik', 'X-Forwarded-User'],
      ['headers', 'X-User'],
      ['authentik', 'X-Authentik-Username'],
    ] as const) {
      const trust = preset === 'headers' ? { preset, userHeader: user } : { preset };
      const verdict = await judge(trust).verdict([user, 'alice', 'Cookie', 'a=b']);
      assert.ok(verdict.kind === 'identified');
      assert.equal(verdict.identity.method, 'bearer', preset);
    }
  });
});

describe('what is special of Cloudflare Access', () => {
  afterEach(endAll);

  it('a service token has no address and is its client id; it cannot look like a person', async () => {
    const system = await SYSTEMS['cloudflare-access']();
    const { keys, claims } = system.signed ?? assert.fail();
    const by = judge(system.trust);
    const service = (name: string) =>
      signToken(keys, { ...claims, sub: '', email: undefined, groups: undefined, common_name: name });
    const verdict = await by.verdict(['Cf-Access-Jwt-Assertion', service('e367826f93b8d71185e03fe518aff3b4.access')]);
    assert.ok(verdict.kind === 'identified');
    assert.equal(verdict.identity.subject, 'e367826f93b8d71185e03fe518aff3b4.access');
    assert.equal(verdict.identity.method, 'api-key');
    assert.equal(verdict.identity.email, '');
    assert.equal(await by.reason(['Cf-Access-Jwt-Assertion', service('root@example.com')]), 'assertion_invalid');
    const address = ['Cf-Access-Authenticated-User-Email', 'root@example.com'];
    assert.equal(await by.reason(['Cf-Access-Jwt-Assertion', service('x.access'), ...address]), 'assertion_user');
  });
});

describe('what is special of an Application Load Balancer', () => {
  afterEach(endAll);

  it('asks for a key by an id only, and never for the same unknown one again at once', async () => {
    const keys = makeKeys('ES256');
    const server = await keyServer(() => '');
    const arn = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/mcp/1';
    const by = judge({ preset: 'aws-alb', token: { signers: [arn], keysUrl: `${server.url}/pem/{kid}` } });
    const sent = (kid: unknown) => [
      'X-Amzn-Oidc-Data',
      signToken(keys, { sub: 'alice', exp: seconds(60) }, { kid, signer: arn }, true),
    ];
    for (const kid of ['../latest/meta-data', 'a@169.254.169.254/', '', undefined, `${keys.kid}/..`])
      assert.equal(await by.reason(sent(kid)), 'assertion_invalid', String(kid));
    assert.deepEqual(server.asked, []);
    assert.equal(await by.reason(sent(keys.kid)), 'assertion_invalid');
    assert.equal(await by.reason(sent(keys.kid)), 'assertion_invalid');
    assert.deepEqual(server.asked, [`/pem/${keys.kid}`]);
  });

  it('bounds how many invented ids become requests', async () => {
    const server = await keyServer(() => '');
    const arn = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/mcp/1';
    const by = judge({ preset: 'aws-alb', token: { signers: [arn], keysUrl: `${server.url}/pem/{kid}` } });
    const keys = makeKeys('ES256');
    const outcomes = new Set<string>();
    for (let index = 0; index < 60; index += 1) {
      const kid = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
      const jwt = signToken(keys, { sub: 'alice', exp: seconds(60) }, { kid, signer: arn });
      outcomes.add(await by.reason(['X-Amzn-Oidc-Data', jwt]).catch((error: Error) => error.constructor.name));
    }
    assert.ok(server.asked.length <= 30, String(server.asked.length));
    assert.deepEqual([...outcomes].sort(), ['DependencyUnavailable', 'assertion_invalid']);
  });
});

describe('what is special of HyprMCP Gateway', () => {
  afterEach(endAll);

  it('the token goes no further, and a bad one is challenged', async () => {
    const system = await SYSTEMS.hyprmcp();
    const { keys, claims, carry } = system.signed ?? assert.fail();
    const running = await relay({ servers: { one: { url: await upstream(ECHO) } }, trust: system.trust });
    const genuine = await ask(running.port, { headers: [...carry(signToken(keys, claims))] });
    assert.equal(genuine.status, 200);
    assert.ok(!/authorization/i.test(genuine.text), genuine.text);
    const bad = await ask(running.port, { headers: [...carry(signToken(keys, { ...claims, aud: 'grafana' }))] });
    assert.equal(bad.status, 401);
    assert.match(String(bad.headers['www-authenticate']), /^Bearer error="invalid_token", resource_metadata="[^"]+"$/);
  });

  it('clients that it registers have ids of a kind, which are accepted on request only', async () => {
    const system = await SYSTEMS.hyprmcp();
    const { keys, claims, carry } = system.signed ?? assert.fail();
    const { token } = system.trust as { token: object };
    const told = judge({ preset: 'hyprmcp', token: { ...token, audiences: undefined, dynamicClients: true } });
    const registered = carry(signToken(keys, { ...claims, aud: 'EH5RAWQ7DXPZ2TS3LKQ2JLBUYM' }));
    assert.equal(await told.reason(registered), `identified ${claims.sub}`);
    assert.equal(await told.reason(carry(signToken(keys, claims))), 'assertion_invalid');
    assert.equal(await judge(system.trust).reason(registered), 'assertion_invalid');
  });

  it('beside the relay’s own JWTs each is known by its issuer', async () => {
    const system = await SYSTEMS.hyprmcp();
    const { keys, claims, carry } = system.signed ?? assert.fail();
    const jwt = { enabled: true, algorithm: 'HS256', secretKey: 'a-secret-of-the-test-with-enough-bytes' };
    const both = judge(system.trust, { jwt });
    assert.equal(await both.reason(carry(signToken(keys, claims))), `identified ${claims.sub}`);
    assert.equal(await both.reason(carry(signToken(keys, { ...claims, aud: 'grafana' }))), 'assertion_invalid');
    assert.equal(await both.reason(carry(signToken(keys, { ...claims, iss: 'mcpgateway' }))), 'jwt_invalid');
  });

  it('finds Dex’s keys by its issuer, and believes no other issuer’s document', async () => {
    const keys = makeKeys('RS256');
    let issuer = '';
    const server = await keyServer((path) =>
      path === '/keys' ? jwks(keys) : JSON.stringify({ issuer, jwks_uri: `${server.url}/keys` }),
    );
    issuer = server.url;
    const claims = { iss: server.url, aud: 'mcp', sub: 'alice', exp: seconds(60) };
    const sent = ['Authorization', `Bearer ${signToken(keys, claims)}`];
    const trust = { preset: 'hyprmcp', token: { issuer: server.url, audiences: ['mcp'] } };
    assert.equal(await judge(trust).reason(sent), 'identified alice');
    issuer = 'https://dex.example.org';
    await assert.rejects(judge(trust).reason(sent), { code: 'dependency_unavailable' });
  });
});

describe('what is special of authentik', () => {
  it('a provider without a signing key signs with its client secret, and nothing else counts then', async () => {
    const secret = 'the-client-secret-of-the-provider-in-authentik';
    const by = judge({ preset: 'authentik', token: { secret, audiences: ['client-id'] } });
    const { createHmac } = await import('node:crypto');
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const make = (key: string) => {
      const input = `${part({ alg: 'HS256' })}.${part({ sub: 'alice', aud: 'client-id', exp: seconds(60) })}`;
      return ['X-authentik-jwt', `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`];
    };
    assert.equal(await by.reason(make(secret)), 'identified alice');
    assert.equal(await by.reason(make('another')), 'assertion_invalid');
    const both = judge({ preset: 'authentik', token: { secret: `another\n${secret}`, audiences: ['client-id'] } });
    const reasons = await Promise.all(['another', secret, `another\n${secret}`].map((key) => both.reason(make(key))));
    assert.deepEqual(reasons, ['identified alice', 'identified alice', 'assertion_invalid']);
    const rsa = makeKeys('RS256');
    const jwt = signToken(rsa, { sub: 'alice', aud: 'client-id', exp: seconds(60) });
    assert.equal(await by.reason(['X-authentik-jwt', jwt]), 'assertion_invalid');
  });
});

describe('what is special of Tailscale', () => {
  const tailscale = judge({ preset: 'tailscale' });
  const named = async (name: string) => {
    const verdict = await tailscale.verdict(['Tailscale-User-Login', 'a@example.com', 'Tailscale-User-Name', name]);
    return verdict.kind === 'identified' ? verdict.identity.name : verdict.refusal.reason;
  };

  it('encoded words are read, in both encodings, joined and in part', async () => {
    assert.equal(await named('=?utf-8?q?Ferris_B=C3=BCller?='), 'Ferris Büller');
    assert.equal(await named('=?UTF-8?B?RmVycmlzIELDvGxsZXI=?='), 'Ferris Büller');
    assert.equal(await named('=?utf-8?q?Ferris_?= =?utf-8?q?B=C3=BCller?='), 'Ferris Büller');
    assert.equal(await named('Ferris'), 'Ferris');
    assert.equal(await named('=?koi8-r?q?x?='), '=?koi8-r?q?x?=');
  });
});

describe('claims', () => {
  afterEach(endAll);

  it('an address that nobody verified is neither an e-mail nor a subject', async () => {
    const system = await SYSTEMS.hyprmcp();
    const { keys, claims, carry } = system.signed ?? assert.fail();
    const unverified = carry(signToken(keys, { ...claims, email_verified: false }));
    const verdict = await judge(system.trust).verdict(unverified);
    assert.ok(verdict.kind === 'identified');
    assert.equal(verdict.identity.email, '');
    const { token } = system.trust as { token: object };
    const byEmail = judge({ preset: 'hyprmcp', token: { ...token, claims: { subject: 'email' } } });
    assert.equal(await byEmail.reason(unverified), 'assertion_invalid');
    assert.equal(await byEmail.reason(carry(signToken(keys, claims))), 'identified alice@example.com');
  });
});
