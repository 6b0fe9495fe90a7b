import assert from 'node:assert/strict';
import { Rules } from '../../../src/forward-auth/decision/rules.ts';
import { compilePolicy } from '../../../src/forward-auth/policy.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';
import { imagineIdentity } from '../support/imagined.ts';

describe('users and groups of several providers', () => {
  const providers = [
    { id: 'a', issuer: 'https://a.example' },
    { id: 'b', issuer: 'https://b.example' },
  ];
  const parse = (allow: object) => parseConfig({ auth: { providers, rules: [{ match: { path: '/x' }, allow }] } });

  it('are those of the named ones only', () => {
    const rule = new Rules(parse({ users: ['42'], providers: ['a'] }).auth).match({
      path: '/x',
      host: 'h',
      method: 'GET',
    });
    const from = (issuer: string) => rule?.admits(imagineIdentity({ subject: '42', issuer }));
    assert.equal(from('https://a.example'), true);
    assert.equal(from('https://b.example'), false);
  });

  it('are refused in a configuration that does not say whose they are, or names a stranger', () => {
    for (const [allow, expected] of [
      [{ users: ['42'] }, /^auth\.rules\[0\]\.allow\.providers: name whose users and groups are meant, of: a, b$/],
      [{ users: ['42'], providers: ['c'] }, /^auth\.rules\[0\]\.allow\.providers: there is no provider "c"/],
    ] as const)
      assert.throws(
        () => parse(allow),
        (error) => error instanceof ConfigurationError && expected.test(error.problems[0] as string),
      );
  });

  it('may be those of API keys and client certificates, by reserved names', () => {
    const config = parseConfig({
      publicUrl: 'https://mcp.example.com/',
      auth: {
        providers,
        apiKeys: { enabled: true },
        clientCertificates: { header: 'client-cert', issuer: 'our-ca' },
        rules: [
          { match: { path: '/keys' }, allow: { users: ['42'], providers: ['api-keys'] } },
          { match: { path: '/both' }, allow: { users: ['42'], providers: ['a', 'mtls'] } },
        ],
      },
    });
    const { rules } = compilePolicy(config);
    const rule = (path: string) => rules.match({ path, host: 'h', method: 'GET' });
    const admits = (path: string) =>
      ['https://mcp.example.com/api-keys', 'our-ca', 'https://a.example', 'https://b.example'].map((issuer) =>
        rule(path)?.admits(imagineIdentity({ subject: '42', issuer })),
      );
    assert.deepEqual(admits('/keys'), [true, false, false, false]);
    assert.deepEqual(admits('/both'), [false, true, true, false]);
    assert.deepEqual(rule('/keys')?.signInProviders, [], 'nobody signs in with an API key');
    assert.deepEqual(rule('/both')?.signInProviders, ['a']);
  });

  it('are not sent by headers that name no provider, unless the rule takes those of one', () => {
    const emitting = (rule: object, more: object = {}) =>
      parseConfig({
        auth: {
          providers,
          apiKeys: { enabled: true },
          rules: [{ match: { path: '/x' }, emit: ['grafana'], ...rule }],
          ...more,
        },
      });
    const [one] = providers;
    const certificates = { clientCertificates: { header: 'client-cert' } };
    const anyone = { allow: 'anyone-signed-in' } as const;
    for (const [rule, more, which] of [
      [anyone, {}, 'a, b'],
      [{ allow: { providers: ['a', 'b'] } }, {}, 'a, b'],
      [{ allow: { groups: ['g'], providers: ['b', 'api-keys', 'a'] } }, {}, 'b, a'],
      [{ ...anyone, emit: ['oauth2-proxy'] }, { providers: [one], ...certificates }, 'a, mtls'],
      [{ allow: { providers: ['a', 'mtls'] } }, certificates, 'a, mtls'],
    ] as const)
      assert.throws(
        () => emitting(rule, more),
        (error) =>
          error instanceof ConfigurationError &&
          (error.problems[0] ?? '').startsWith('auth.rules[0].emit: ') &&
          (error.problems[0] ?? '').endsWith(`let allow.providers name one of: ${which}`),
        JSON.stringify(rule),
      );
    emitting(anyone, { providers: [one] });
    emitting({ allow: { users: ['root'], providers: ['a'] } });
    emitting({ allow: { providers: ['a', 'api-keys'] } });
    emitting({ ...anyone, emit: [] });
    emitting({ public: true });
  });

  it('are refused where the reserved name is taken, or means nothing', () => {
    const rules = (allow: object) => [{ match: { path: '/x' }, allow }];
    const [one] = providers;
    for (const [auth, expected] of [
      [{ providers: [{ id: 'mtls', issuer: 'https://a.example' }] }, /^auth\.providers\[0\]\.id: "mtls" is a reserved/],
      [{ rules: rules({ providers: ['api-keys'] }) }, /API keys are not taken: write the section auth\.apiKeys/],
      [{ rules: rules({ providers: ['mtls'] }) }, /certificates are not taken: set auth\.clientCertificates\.header/],
      [
        { providers: [one], clientCertificates: { header: 'client-cert' }, rules: rules({ users: ['42'] }) },
        /name whose users and groups are meant, of: a, mtls$/,
      ],
    ] as const)
      assert.throws(
        () => parseConfig({ auth }),
        (error) => error instanceof ConfigurationError && expected.test(error.problems[0] as string),
      );
    parseConfig({ auth: { providers: [one], apiKeys: { enabled: true }, rules: rules({ users: ['42'] }) } });
  });
});
