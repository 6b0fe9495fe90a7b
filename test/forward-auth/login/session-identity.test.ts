import assert from 'node:assert/strict';
import { shortAgent } from '../../../src/forward-auth/login/pages.ts';
import { isGroupOverage, refusedAddress, sessionIdentity } from '../../../src/forward-auth/login/session-identity.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { html } from '../../../src/platform/pages/html.ts';

const providerWith = (more: object = {}) => {
  const config = parseConfig({ auth: { providers: [{ id: 'idp', issuer: 'https://idp.example', ...more }] } });
  const [provider] = config.auth.providers;
  assert.ok(provider !== undefined);
  return provider;
};

describe('the identity of a session', () => {
  it('is the claims’ person, with the scopes that were granted', () => {
    const claims = { sub: 'alice', name: 'Alice', scope: 'claimed:not-granted', groups: ['a', 7, ''] };
    const identity = sessionIdentity(claims, providerWith(), ['openid']);
    assert.deepEqual(identity, {
      ...{ subject: 'alice', email: '', name: 'Alice', groups: ['a'], scopes: ['openid'] },
      ...{ method: 'session', issuer: 'https://idp.example' },
    });
    assert.equal(sessionIdentity({ name: 'nobody' }, providerWith(), []), undefined);
  });

  it('knows when a token only points to the groups', () => {
    const provider = providerWith();
    for (const claims of [{ _claim_names: { groups: 'src1' } }, { hasgroups: true }, { hasgroups: 'true' }])
      assert.ok(isGroupOverage(claims, provider));
    for (const claims of [{}, { _claim_names: { other: 'src1' } }, { _claim_names: null }, { hasgroups: false }])
      assert.ok(!isGroupOverage(claims, provider));
  });

  it('lets everybody in where no list is set, and nobody without a verified address where one is', () => {
    const admitted = (claims: Record<string, unknown>, provider = providerWith()) => {
      const identity = sessionIdentity({ sub: 'x', ...claims }, provider, []);
      return identity !== undefined && refusedAddress(claims, identity, provider) === undefined;
    };
    assert.ok(admitted({}));
    const strict = providerWith({ allowedEmails: ['a@example.com'] });
    assert.ok(admitted({ email: 'A@EXAMPLE.com', email_verified: true }, strict));
    for (const verified of [undefined, false, 'false', 1, 'yes', null])
      assert.ok(!admitted({ email: 'a@example.com', email_verified: verified }, strict), String(verified));
    assert.ok(!admitted({ email_verified: true }, strict));
    assert.ok(!admitted({ email: ['a@example.com'], email_verified: true }, strict));
  });
});

describe('pages', () => {
  it('escape every value, in text and in attributes', () => {
    const evil = `<img src=x onerror='alert(1)'>"&\``;
    const { text } = html`<p title="${evil}">${evil}</p>${[html`<b>${1}</b>`]}${undefined}`;
    const escaped = '&#60;img src=x onerror=&#39;alert(1)&#39;&#62;&#34;&#38;&#96;';
    assert.equal(text, `<p title="${escaped}">${escaped}</p><b>1</b>`);
  });

  it('name a device shortly', () => {
    const chrome =
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';
    assert.equal(shortAgent(chrome), 'Chrome 140, Linux');
    const safari =
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_0) AppleWebKit/605 (KHTML, like Gecko) Version/17.0 Safari/605';
    assert.equal(shortAgent(safari), 'Safari 17, Macintosh');
    assert.equal(shortAgent(''), 'unknown');
    assert.equal(shortAgent('x'.repeat(500)).length, 60);
  });
});
