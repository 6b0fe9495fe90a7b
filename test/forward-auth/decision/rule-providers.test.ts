import assert from 'node:assert/strict';
import { Rules } from '../../../src/forward-auth/decision/rules.ts';
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
});
