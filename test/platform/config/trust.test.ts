import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { presetOf, signedAlternative, TRUST_PRESET_NAMES } from '../../../src/platform/config/trust-presets.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';

function problems(trust: object, listen = '127.0.0.1:0'): readonly string[] {
  try {
    parseConfig({ relay: { listen, trust } });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.problems;
  }
}

const TOKEN = { issuer: 'https://idp.example', audiences: ['a'], jwksUrl: 'https://idp.example/keys' };
const ARN = 'arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/mcp/1234567890abcdef';
const SIGNED: ReadonlyArray<[string, object]> = [
  ['hyprmcp', TOKEN],
  ['cloudflare-access', TOKEN],
  ['google-iap', { audiences: ['a'] }],
  ['pomerium', TOKEN],
  ['authentik', TOKEN],
  ['aws-alb', { signers: [ARN] }],
];

describe('whose word the relay takes', () => {
  it('a preset that proves nothing by itself needs a proof as soon as others can reach the relay', () => {
    const plain = TRUST_PRESET_NAMES.filter(
      (name) => !SIGNED.some(([signed]) => signed === name) && name !== 'aws-api-gateway',
    );
    for (const preset of [...plain, 'authentik'] as const) {
      const more = preset === 'headers' ? { userHeader: 'X-User' } : {};
      assert.deepEqual(problems({ preset, ...more }), [], preset);
      assert.match(problems({ preset, ...more }, '0.0.0.0:0').join(), /believed without proof/, preset);
      if (preset === 'tailscale') continue;
      assert.deepEqual(problems({ preset, ...more, proxies: ['10.0.0.0/8'] }, '0.0.0.0:0'), [], preset);
      assert.match(problems({ preset, ...more, proxies: ['0.0.0.0/0'] }, '0.0.0.0:0').join(), /narrower/, preset);
      assert.deepEqual(problems({ preset, ...more, secret: 's' }, '0.0.0.0:0'), [], preset);
    }
  });

  it('a preset that verifies a signature may listen anywhere', () => {
    for (const [preset, token] of SIGNED) assert.deepEqual(problems({ preset, token }, '0.0.0.0:0'), [], preset);
  });

  it('each names what it still needs', () => {
    const missing = (preset: string, token?: object) => problems({ preset, ...(token && { token }) }).join('\n');
    assert.match(missing('hyprmcp'), /trust\.token\.issuer[\s\S]*trust\.token\.audiences/);
    assert.match(missing('cloudflare-access', { issuer: 'https://t.cloudflareaccess.com' }), /token\.audiences/);
    assert.match(missing('google-iap', {}), /token\.audiences/);
    assert.match(missing('pomerium', { audiences: ['a'] }), /token\.jwksUrl/);
    assert.match(missing('aws-alb', {}), /token\.signers/);
    assert.match(missing('authentik', { audiences: ['a'] }), /issuer, jwksUrl or secret/);
    assert.match(missing('aws-alb', { signers: ['arn:aws:s3:::bucket'] }), /ARN of an Application Load Balancer/);
    assert.match(missing('aws-alb', { signers: [ARN], keysUrl: 'https://keys.example/{kid}/x' }), /ends in \{kid\}/);
  });

  it('API Gateway needs a secret or a certificate, because everybody has its addresses', () => {
    assert.match(
      problems({ preset: 'aws-api-gateway', proxies: ['10.0.0.0/8'] }).join(),
      /needs secret or certificates/,
    );
    assert.deepEqual(problems({ preset: 'aws-api-gateway', secret: 's' }), []);
  });

  it('Tailscale is this machine', () => {
    for (const proxies of [['10.0.0.1'], ['127.0.0.0/7'], ['127.0.0.1', '100.64.0.0/10'], ['::/0']])
      assert.match(
        problems({ preset: 'tailscale', proxies }).join(),
        /a program of this machine only/,
        String(proxies),
      );
    assert.deepEqual(problems({ preset: 'tailscale', proxies: ['127.0.0.1'] }), []);
  });

  it('what a preset would not look at is refused, so that nobody relies on it', () => {
    assert.match(problems({ preset: 'authelia', token: TOKEN }).join(), /reads no token/);
    assert.match(problems({ preset: 'authelia', headers: { groups: 'X-Groups' } }).join(), /names of its own/);
    assert.match(problems({ headers: { family: 'x-forwarded' } }).join(), /goes with preset oauth2-proxy/);
    assert.match(problems({ preset: 'traefik', headers: { payload: 'X-P' } }).join(), /goes with preset istio/);
    assert.match(
      problems({ preset: 'pomerium', token: { ...TOKEN, secret: 's', dynamicClients: true } }).join(),
      /goes with preset hyprmcp[\s\S]*goes with preset authentik/,
    );
    assert.match(
      problems({ preset: 'authelia', assertion: { jwksUrl: 'https://a.example' } }).join(),
      /assertion goes with preset postern or headers/,
    );
  });

  it('the header of the guide chooses the preset, and never one that needs more settings', () => {
    const by = (userHeader: string) => presetOf({ userHeader });
    assert.equal(presetOf({}), 'postern');
    assert.equal(by('x-authenticated-user'), 'postern');
    assert.equal(by('X-Auth-Request-User'), 'oauth2-proxy');
    assert.equal(by('X-Auth-Request-Email'), 'oauth2-proxy');
    assert.equal(by('Remote-User'), 'authelia');
    assert.equal(by('X-User-Id'), 'headers');
    assert.equal(by('Cf-Access-Authenticated-User-Email'), 'headers');
    assert.equal(signedAlternative({ userHeader: 'Cf-Access-Authenticated-User-Email' }), 'cloudflare-access');
    assert.equal(signedAlternative({ userHeader: 'X-User-Id' }), undefined);
  });

  const withJwt = (jwt: object, trust: object = {}, listen = '0.0.0.0:0') => {
    try {
      parseConfig({ relay: { listen, trust, jwt } });
      return '';
    } catch (error) {
      assert.ok(error instanceof ConfigurationError, String(error));
      return error.problems.join('\n');
    }
  };

  it('the guide’s set-up for HyprMCP Gateway names the preset that verifies its tokens, whatever address is trusted', () => {
    const guide = { algorithm: 'RS256', publicKeyPath: '/opt/public.pem', issuer: 'http://localhost:5556' };
    for (const trust of [{}, { proxies: ['10.0.0.5/32'] }, { userHeader: 'X-Authenticated-User' }])
      for (const listen of ['0.0.0.0:0', '127.0.0.1:0'])
        for (const jwt of [
          guide,
          { issuer: guide.issuer },
          { publicKeyPath: '/k.pem' },
          { issuer: 'HTTPS://dex.example' },
        ])
          assert.match(
            withJwt(jwt, trust, listen),
            /^relay\.trust: .*relay\.trust\.preset: hyprmcp/,
            JSON.stringify({ trust, jwt }),
          );
  });

  it('what proves the proxy, or says whose headers count, is not taken for HyprMCP Gateway', () => {
    const jwt = { publicKeyPath: '/opt/public.pem', issuer: 'http://localhost:5556' };
    for (const trust of [
      { secret: 's' },
      { preset: 'postern', proxies: ['10.0.0.5/32'] },
      { userHeader: 'Remote-User', proxies: ['10.0.0.5/32'] },
      { preset: 'hyprmcp', token: TOKEN },
      { enabled: false },
    ])
      assert.equal(withJwt(jwt, trust), '', JSON.stringify(trust));
    assert.equal(withJwt({ ...jwt, enabled: true, algorithm: 'RS256' }, { proxies: ['10.0.0.5/32'] }), '');
    assert.equal(withJwt({ secretKey: 'x', issuer: 'mcpgateway' }, { proxies: ['10.0.0.5/32'] }), '');
  });

  for (const field of [
    'Host',
    'Authorization',
    'cookie',
    'X-Forwarded-For',
    'Mcp-Session-Id',
    'Content-Type',
    'Sec-Fetch-Site',
    'traceparent',
    'X-Request-Id',
    'True-Client-IP',
    'Proxy-Connection',
    'DPoP',
  ])
    it(`${field} names nobody`, () => {
      assert.match(
        problems({ userHeader: field }).join(),
        new RegExp(`^relay\\.trust\\.userHeader: ${field} has a meaning`),
      );
      assert.match(problems({ secret: 's', secretHeader: field }).join(), /^relay\.trust\.secretHeader: /);
      assert.match(
        problems({ preset: 'headers', userHeader: 'X-User', headers: { groups: field } }).join(),
        /^relay\.trust\.headers\.groups: /,
      );
    });

  it('the header of the secret names nobody, whichever that is', () => {
    const says = / carries the proxy's secret/;
    assert.match(problems({ secret: 's', userHeader: 'X-Postern-Proxy-Secret' }).join(), says);
    assert.match(problems({ secret: 's', userHeader: 'x-proof', secretHeader: 'X-Proof' }).join(), says);
    assert.match(
      problems({
        secret: 's',
        preset: 'headers',
        userHeader: 'X-User',
        headers: { email: 'X-Postern-Proxy-Secret' },
      }).join(),
      says,
    );
    for (const field of ['X-Forwarded-User', 'X-Proxy-User', 'Proxy-User', 'From'])
      assert.equal(problems({ secret: 's', userHeader: field }).join(), '', field);
  });
});

describe('auth.trustedCertificates', () => {
  const tls = { certPath: 'a', keyPath: 'b', clientCaPath: 'c' };
  for (const [title, auth] of [
    ['without TLS', {}],
    ['where a certificate is not asked for', { tls }],
    ['where a certificate is not required', { tls: { ...tls, clientCertificate: 'request' } }],
  ] as const)
    it(`is refused ${title}`, () =>
      assert.throws(
        () => parseConfig({ auth: { ...auth, trustedCertificates: ['proxy.internal'] } }),
        /auth\.trustedCertificates: needs auth\.tls\.clientCertificate: require/,
      ));
});
