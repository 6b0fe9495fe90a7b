import assert from 'node:assert/strict';
import { pagesSchema } from '../../../src/platform/config/pages-schema.ts';
import { openBranding } from '../../../src/platform/pages/branding.ts';
import { html } from '../../../src/platform/pages/html.ts';
import { PageSite } from '../../../src/platform/pages/page.ts';

describe('the policy of a page', () => {
  const policyWith = (formTargets: readonly string[]) => {
    const site = new PageSite('/assets', openBranding(pagesSchema.parse({})));
    const page = { title: 'x', body: html``, say: site.say(''), person: undefined };
    return site.render(page, { formTargets }).headers['Content-Security-Policy'] ?? '';
  };

  it('takes origins and schemes for the answers of its forms, and nothing that ends a directive', () => {
    const good = [
      'https://app.example.com',
      'http://127.0.0.1:45678',
      'https://[2001:db8::1]:8443',
      'cursor:',
      'com.x-y:',
    ];
    assert.match(policyWith(good), new RegExp(`form-action 'self' ${good.join(' ').replace(/[.[\]]/g, '\\$&')};`));
    for (const host of ['a;script-src', 'a,default-src', "a'b", 'a*b', 'a b']) {
      const policy = policyWith([`https://${host}.example`, 'https://b.example']);
      assert.match(policy, /form-action 'self' https:\/\/b\.example; base-uri 'none'; frame-ancestors 'none'$/, host);
    }
    assert.equal(
      new URL('https://a;script-src.example').origin,
      'https://a;script-src.example',
      'URLs have such hosts',
    );
  });
});
