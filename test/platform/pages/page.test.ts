import assert from 'node:assert/strict';
import { PageFrame } from '../../../src/platform/pages/page.ts';

describe('the policy of a page', () => {
  const policyWith = (formTargets: readonly string[]) => {
    let policy = '';
    const context = {
      set: (headers: Record<string, string>) => {
        policy = headers['Content-Security-Policy'] ?? '';
      },
    };
    new PageFrame(new Map()).show(context as never, 'x', { text: '' } as never, { formTargets });
    return policy;
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
