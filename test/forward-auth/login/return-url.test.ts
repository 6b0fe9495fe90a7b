import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RequestHeaders } from '../../../src/forward-auth/decision/request.ts';
import { ReturnUrls } from '../../../src/forward-auth/login/return-url.ts';
import { SignInUrls } from '../../../src/forward-auth/login/sign-in-urls.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';

const config = parseConfig({
  publicUrl: 'https://app.example.com/base',
  auth: {
    providers: [
      { id: 'one', issuer: 'https://one.example', clientId: 'postern' },
      { id: 'two', issuer: 'https://two.example', clientId: 'postern' },
      { id: 'tokens', issuer: 'https://tokens.example' },
    ],
    sessions: { cookie: '__Secure-postern', cookieDomains: ['example.com', 'example.org'] },
    signIn: {
      origins: ['https://apps.example.org'],
      allowedReturnHosts: ['*.example.com', 'wiki.example.net', 'port.example.net:8443'],
      corsOrigins: ['https://spa.example.net'],
    },
  },
});
const urls = new ReturnUrls(config);
const isAllowed = (origin: string) =>
  origin === 'https://app.example.com' ||
  origin === 'https://apps.example.org' ||
  origin === 'https://wiki.example.net' ||
  origin === 'https://port.example.net:8443' ||
  /^https:\/\/[a-z0-9_-]+\.example\.com$/.test(origin);

/** Payloads that got past validators of others, and what is close to them. */
const REFUSED = [
  ...[
    '//evil.example',
    '///evil.example',
    '////evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\\/evil.example',
  ],
  ...[
    'https:evil.example',
    'https:/evil.example',
    'https:///evil.example',
    'https:\\\\evil.example',
    'http:evil.example',
  ],
  ...[
    '/%2fevil.example',
    '/%2Fevil.example',
    '%2f%2fevil.example',
    '/%5cevil.example',
    '%5cevil.example',
    '/%09/evil.example',
  ],
  ...[
    '/\t/evil.example',
    '/\n/evil.example',
    '/\r/evil.example',
    'ht\ntps://evil.example',
    '\u0000//evil.example',
    ' //evil.example',
  ],
  ...[
    'https://app.example.com@evil.example/',
    'https://app.example.com:x@evil.example',
    'https://user@app.example.com/',
  ],
  ...['https://evil.example', 'https://evil.example/https://app.example.com', 'https://evil.example?app.example.com'],
  ...[
    'https://app.example.com.evil.example/',
    'https://evilexample.com/',
    'https://example.com/',
    'https://a.b.example.com/',
  ],
  ...[
    'https://evil.example#.example.com',
    'https://evil.example\\.example.com/',
    'https://evil.example%2f.example.com/',
  ],
  ...[
    'https://app.example.com./',
    'https://evil.example;.example.com/',
    'https://evil。example',
    'https://.example.com/',
  ],
  ...[
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://app.example.com/x',
  ],
  ...[
    'ftp://app.example.com/',
    'http://app.example.com/',
    'http://wiki.example.net/',
    'wss://app.example.com/',
    'https://app.example.com:444/',
  ],
  ...[
    '/_postern/sign-in',
    '/_postern/sign-out?rd=/',
    '/%5fpostern/sign-in',
    '/x/../_postern/callback',
    '/.//evil.example',
    '/./%2fevil.example',
  ],
  ...[
    'https://app.example.com//evil.example',
    'https://app.example.com/_postern/sessions/x',
    'https://app.example.com/_postern/%73essions',
    'https://app.example.com/%',
    '',
    'x',
    '?x',
    '#x',
    '.',
  ],
  ...[
    '/\u2028',
    '/ä',
    `/${'a'.repeat(4_096)}`,
    '/a b',
    'https://[::1]/',
    'https://port.example.net/',
    'https://x.example.com:8443/',
  ],
];

describe('the return address', () => {
  for (const [given, accepted] of [
    ['/', 'https://app.example.com/'],
    ['/deep/page?a=b&c=%2F#part', 'https://app.example.com/deep/page?a=b&c=%2F#part'],
    ['https://app.example.com/base/x', 'https://app.example.com/base/x'],
    ['https://app.example.com', 'https://app.example.com/'],
    ['HTTPS://WIKI.example.net/x', 'https://wiki.example.net/x'],
    ['https://apps.example.org/x', 'https://apps.example.org/x'],
    ['https://other.example.com/x?next=//y', 'https://other.example.com/x?next=//y'],
    ['https://port.example.net:8443/', 'https://port.example.net:8443/'],
  ] as const)
    it(`accepts ${given}`, () => assert.equal(urls.accept(given), accepted));

  for (const text of REFUSED)
    it(`refuses ${JSON.stringify(text).slice(0, 60)}`, () => {
      assert.equal(urls.accept(text), undefined);
      assert.equal(urls.acceptOrFallback(text), 'https://app.example.com/base/');
    });

  it('leads back to the list of one’s own sessions, which is a page like any other', () => {
    for (const path of ['/_postern/sessions', '/_postern/home'])
      for (const given of [path, `https://app.example.com${path}`])
        assert.equal(urls.accept(given), `https://app.example.com${path}`);
  });

  it('lets nothing through that a browser would resolve elsewhere', () => {
    const piece = fc.constantFrom(
      ...[
        '/',
        '//',
        '\\',
        '%2f',
        '%5c',
        '@',
        ':',
        '.',
        '..',
        '?',
        '#',
        'https:',
        'http://',
        'https://',
        '\t',
        '\n',
        ';',
        '[',
        ']',
      ],
      ...['app.example.com', 'evil.example', '.example.com', 'wiki.example.net', '_postern', 'a', '%', '\u3002', ' '],
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 8 }).map((parts) => parts.join('')),
      fc.webUrl(),
      fc.string({ maxLength: 30 }).map((rest) => `https://app.example.com${rest}`),
      fc.string({ maxLength: 30 }).map((rest) => `/${rest}`),
    );
    let accepted = 0;
    fc.assert(
      fc.property(text, (given) => {
        const url = urls.accept(given);
        if (url === undefined) return;
        accepted += 1;
        const here = 'https://app.example.com/_postern/sign-in';
        for (const seen of [url, given]) assert.ok(isAllowed(new URL(seen, here).origin), `${given} → ${url}`);
        assert.doesNotMatch(new URL(url).pathname, /^\/(?:\/|_postern\/(?!(?:sessions|home)$))/);
      }),
      { numRuns: 5_000 },
    );
    assert.ok(accepted > 50, `only ${accepted} were accepted`);
  });

  it('takes plain HTTP where the public address has no TLS itself', () => {
    const plain = new ReturnUrls(
      parseConfig({ publicUrl: 'http://127.0.0.1:8080', auth: { signIn: { allowedReturnHosts: ['localhost:3000'] } } }),
    );
    assert.equal(plain.accept('http://localhost:3000/x'), 'http://localhost:3000/x');
    assert.equal(plain.accept('http://127.0.0.1:8081/x'), undefined);
  });
});

describe('the address to sign in at', () => {
  const signIn = new SignInUrls(config);
  const rule = (signInProviders: readonly string[] | undefined) => ({ signInProviders }) as never;
  const request = (host: string, query = '', headers: string[] = []) => ({
    ...{ proxy: 'traefik' as const, method: 'GET', scheme: 'https' as const, host, rawPath: '/page', path: '/page' },
    ...{ query, clientAddress: '203.0.113.7', headers: new RequestHeaders(headers) },
  });

  it('leads back to the request, at the origin whose cookie its host gets', () => {
    const encoded = encodeURIComponent('https://wiki.example.com/page?a=b');
    assert.equal(
      signIn.urlFor(request('wiki.example.com', 'a=b'), rule(undefined)),
      `https://app.example.com/_postern/sign-in?rd=${encoded}`,
    );
    assert.match(signIn.urlFor(request('apps.example.org'), rule(undefined)) ?? '', /^https:\/\/apps\.example\.org\//);
  });

  it('offers what the rule offers, and nothing where nobody can sign in', () => {
    assert.match(signIn.urlFor(request('app.example.com'), rule(['two'])) ?? '', /&providers=two$/);
    assert.equal(signIn.urlFor(request('app.example.com'), rule([])), undefined);
    assert.equal(signIn.urlFor(request('app.example.com'), rule(['tokens'])), undefined);
    assert.equal(signIn.urlFor(request('evil.example'), rule(undefined)), undefined);
  });

  it('brings long queries back whole', () => {
    for (const query of ['q'.repeat(2_100), `a=${'%2F'.repeat(700)}`, `x=${'b&c='.repeat(1_000)}`]) {
      const url = signIn.urlFor(request('app.example.com', query), rule(undefined)) ?? '';
      assert.equal(new URL(url).searchParams.get('rd'), `https://app.example.com/page?${query}`);
    }
  });

  it('leaves the query out where the address would be too long', () => {
    const url = signIn.urlFor(request('app.example.com', 'q'.repeat(5_000)), rule(undefined)) ?? '';
    assert.equal(new URL(url).searchParams.get('rd'), 'https://app.example.com/page');
  });

  it('knows the hosts and ports of its own pages, because another port belongs to an application', () => {
    for (const host of ['app.example.com', 'app.example.com:443', 'apps.example.org'])
      assert.equal(signIn.isAt(host), true, host);
    for (const host of [
      'app.example.com:8443',
      'wiki.example.com',
      'example.com',
      'app.example.com.evil.example',
      'evil.example',
    ])
      assert.equal(signIn.isAt(host), false, host);
  });

  it('names only configured origins as readers', () => {
    assert.equal(
      signIn.corsOriginOf(request('x', '', ['Origin', 'https://spa.example.net'])),
      'https://spa.example.net',
    );
    assert.equal(
      signIn.corsOriginOf(request('x', '', ['Origin', 'https://app.example.com'])),
      'https://app.example.com',
    );
    for (const origin of ['null', 'https://evil.example', 'https://spa.example.net.evil.example'])
      assert.equal(signIn.corsOriginOf(request('x', '', ['Origin', origin])), undefined);
    const twice = ['Origin', 'https://spa.example.net', 'Origin', 'https://evil.example'];
    assert.equal(signIn.corsOriginOf(request('x', '', twice)), undefined);
  });
});
