import assert from 'node:assert/strict';
import type { Rule } from '../../../src/forward-auth/decision/rules.ts';
import { SignInUrls } from '../../../src/forward-auth/login/sign-in-urls.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { imagineRequest } from '../support/imagined.ts';
import { type House, openHouse } from './support/house.ts';
import { Jar } from './support/jar.ts';

const PUBLIC_URL = 'https://mcp.example.com:8443';

function urls(auth: object = {}) {
  return new SignInUrls(
    parseConfig({
      publicUrl: PUBLIC_URL,
      auth: {
        providers: [{ id: 'corp', issuer: 'https://idp.example.com', clientId: 'postern', clientSecret: 'x' }],
        ...auth,
      },
    }),
  );
}
const RULE = { signInProviders: undefined } as Rule;

describe('somebody who comes by another address', () => {
  for (const [what, scheme, host] of [
    ['the host without its port', 'https', 'mcp.example.com'],
    ['another port', 'https', 'mcp.example.com:9443'],
    ['http for https', 'http', 'mcp.example.com:8443'],
    ['an alias', 'https', 'mcp:8443'],
    ['an address', 'https', '192.0.2.7:8443'],
    ['http at its own port', 'http', 'mcp.example.com'],
  ] as const)
    it(`is sent to the page that names the right one: ${what}`, () => {
      const request = imagineRequest('/app/x', { scheme, host, query: 'a=b' });
      assert.equal(urls().urlFor(request, RULE), undefined);
      const { location, expected } = urls().wrongAddressOf(request, RULE) ?? {};
      const url = new URL(location ?? '');
      assert.equal(url.origin + url.pathname, `${PUBLIC_URL}/_postern/wrong-address`);
      assert.equal(url.searchParams.get('from'), `${scheme}://${host}/app/x?a=b`);
      assert.equal(expected, PUBLIC_URL);
    });

  it('is not, where the address is a right one, or nobody can sign in', () => {
    const here = imagineRequest('/app/x', { scheme: 'https', host: 'mcp.example.com:8443' });
    assert.equal(urls().wrongAddressOf(here, RULE), undefined);
    const other = imagineRequest('/app/x', { scheme: 'https', host: 'apps.example.com' });
    const allowed = { signIn: { allowedReturnHosts: ['apps.example.com'] } };
    assert.equal(urls(allowed).wrongAddressOf(other, RULE), undefined);
    assert.equal(urls().wrongAddressOf(other, { ...RULE, signInProviders: [] } as Rule), undefined);
  });

  it('tells the page a long address by its origin', () => {
    const long = imagineRequest('/app/x', { scheme: 'https', host: 'mcp', query: 'q'.repeat(5_000) });
    const from = new URL(urls().wrongAddressOf(long, RULE)?.location ?? '').searchParams.get('from');
    assert.equal(from, 'https://mcp/');
  });

  describe('the page', () => {
    let house: House;
    before(async () => {
      house = await openHouse();
    });
    after(() => house.close());

    const show = async (from: string) => {
      const answer = await new Jar().hop(house.at(`/_postern/wrong-address?from=${encodeURIComponent(from)}`));
      return { status: answer.status, text: await answer.text(), cookies: answer.headers.getSetCookie() };
    };

    it('names both addresses and leads to the same page', async () => {
      const { status, text, cookies } = await show('https://alias.example/app/x?a=b');
      assert.equal(status, 404);
      assert.match(text, new RegExp(`https://alias\\.example\\. Sign-in works at ${house.origin} only`));
      assert.ok(text.includes(`href="${house.origin}/app/x?a=b"`), text);
      assert.doesNotMatch(text, /X-Forwarded-Proto/);
      assert.deepEqual(cookies, []);
    });

    it('says which header tells the scheme, where that alone differs', async () => {
      const { text } = await show(`${house.origin.replace('http:', 'https:')}/app/x`);
      assert.match(text, /X-Forwarded-Proto/);
    });

    it('leads nowhere else, whatever it is told', async () => {
      for (const from of [
        ...[
          '',
          '/app',
          'javascript:alert(1)',
          'https://evil.example//other.example/x',
          'http://[',
          'https://u:p@evil.example/',
        ],
        ...[
          'https://evil.example/_postern/sign-out',
          'https://evil.example/\\other.example',
          '"><script>alert(1)</script>',
        ],
      ]) {
        const { text } = await show(from);
        const links = [...text.matchAll(/<a [^>]*href="([^"]*)"/g)].map(
          ([, href]) => new URL(href as string, house.origin).origin,
        );
        assert.deepEqual([...new Set(links)], [house.origin], from);
        assert.doesNotMatch(text, /<script|javascript:/);
      }
    });
  });
});
