import assert from 'node:assert/strict';
import { parseConfig } from '../../src/platform/config/load.ts';
import { environmentWithoutSettings, quickstartConfiguration } from '../../src/quickstart/configuration.ts';
import { quickstartPorts } from '../../src/quickstart/ports.ts';

const ADDRESSES = {
  publicUrl: 'http://127.0.0.1:8080',
  issuer: 'http://127.0.0.1:4192',
  exampleUrl: 'http://127.0.0.1:4191/mcp',
  clockUrl: 'http://127.0.0.1:4193/mcp',
  forwardAuthPort: 4180,
  forwardAuthInternalPort: 9464,
  relayPort: 4444,
  relayInternalPort: 9465,
  forwardAuthUrl: 'http://127.0.0.1:4180',
};

describe('quickstart configuration', () => {
  const of = (user: unknown) =>
    parseConfig(quickstartConfiguration(user, ADDRESSES, { proxy: 's'.repeat(43), operator: 'o'.repeat(43) }));

  it('protects the example by address, secret and assertion', () => {
    const { auth, relay, log } = of({});
    assert.equal(log.level, 'warn');
    assert.equal(auth.rules[0]?.match.path, '/servers/example/**');
    assert.deepEqual(auth.rules[0]?.allow, { groups: ['engineering'] });
    assert.equal(relay.servers.example?.url, ADDRESSES.exampleUrl);
    assert.deepEqual(relay.aggregate?.servers, ['example', 'clock']);
    assert.deepEqual(relay.trust.proxies, ['127.0.0.1/32']);
    assert.deepEqual(relay.trust.secret, ['s'.repeat(43)]);
    assert.equal(relay.trust.assertion?.jwksUrl, 'http://127.0.0.1:4180/_postern/jwks.json');
  });

  it('lets the user replace rules and servers, and not how the parts trust each other', () => {
    const { auth, relay, publicUrl } = of({
      publicUrl: 'http://elsewhere',
      auth: { rules: [{ match: { path: '/mine/**' } }], trustedProxies: ['0.0.0.0/0'], listen: '0.0.0.0:1' },
      relay: { servers: { mine: { url: 'http://a/mcp' } }, listen: '0.0.0.0:1', trust: { enabled: false } },
    });
    assert.equal(publicUrl, ADDRESSES.publicUrl);
    assert.deepEqual(
      auth.rules.map((rule) => rule.match.path),
      ['/mine/**', '/admin/**'],
    );
    assert.deepEqual(Object.keys(relay.servers), ['mine']);
    assert.equal(relay.aggregate, undefined, 'the example’s servers are gone');
    assert.deepEqual(auth.trustedProxies, ['127.0.0.1/32']);
    assert.equal(auth.listen.host, '127.0.0.1');
    assert.equal(relay.listen.host, '127.0.0.1');
    assert.equal(relay.trust.enabled, true);
  });

  it('takes a file with providers of its own, whose rules then count for the development accounts too', () => {
    const { auth } = of({
      auth: {
        providers: [{ id: 'corp', issuer: 'https://login.example.com' }],
        rules: [
          { match: { path: '/a/**' }, allow: { groups: ['a'] } },
          { match: { path: '/b/**' }, allow: { users: ['u'], providers: ['corp'] } },
          { match: { path: '/c/**' }, allow: 'anyone-signed-in' },
          { match: { path: '/d/**' }, public: true },
        ],
      },
    });
    assert.deepEqual(
      auth.rules.map(({ allow }) => (typeof allow === 'object' ? allow.providers : allow)),
      [['development', 'corp'], ['corp'], 'anyone-signed-in', undefined, ['development']],
    );
  });

  it('gives the engineers the servers that come without rules, and nobody else’s', () => {
    const { auth } = of({ relay: { servers: { github: { url: 'http://a/mcp' } } } });
    const paths = auth.rules.map((rule) => rule.match.path);
    assert.equal(paths[0], '/servers/github/**');
    assert.ok(!paths.includes('/servers/example/**'));
  });

  it('keeps settings of the surroundings from the processes', () => {
    const env = {
      PATH: '/bin',
      PORT: '1',
      HOST: 'h',
      POSTERN_DRAIN: '1s',
      TRUST_PROXY_AUTH: 'false',
      JWT_SECRET_KEY_FILE: 'f',
    };
    assert.deepEqual(environmentWithoutSettings(env), { PATH: '/bin' });
  });
});

describe('quickstart ports', () => {
  it('are the documented ones, or follow the base, each its own', () => {
    assert.equal(quickstartPorts(undefined).edge, 8080);
    const ports = Object.values(quickstartPorts(20_000));
    assert.equal(ports[0], 20_000);
    assert.equal(new Set(ports).size, ports.length);
    assert.deepEqual(new Set(Object.values(quickstartPorts(0))), new Set([0]));
  });
  for (const base of [-1, 1.5, Number.NaN, 65_535])
    it(`do not exist for ${base}`, () => assert.throws(() => quickstartPorts(base), RangeError));
});
