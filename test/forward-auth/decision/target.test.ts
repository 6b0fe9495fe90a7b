import assert from 'node:assert/strict';
import { posix } from 'node:path';
import fc from 'fast-check';
import { Ambiguous, canonicalHost, parseTarget } from '../../../src/forward-auth/decision/target.ts';

/** Ways in which programs behind a proxy are known to read one path. */
const READERS: Readonly<Record<string, (raw: string) => string>> = {
  'decodes, then resolves': (raw) => posix.normalize(decodeURIComponent(raw)),
  'resolves, then decodes': (raw) => decodeURIComponent(posix.normalize(raw)),
  'parses as a URL': (raw) => decodeURIComponent(new URL(`http://host${raw}`).pathname),
  'decodes twice': (raw) => decodeURIComponent(decodeURIComponent(raw)),
  'merges slashes': (raw) => decodeURIComponent(raw).replace(/\/+/g, '/'),
  'takes backslashes for slashes': (raw) => decodeURIComponent(raw).replaceAll('\\', '/'),
  'cuts path parameters off': (raw) => decodeURIComponent(raw).replace(/;[^/]*/g, ''),
  'cuts at a decoded delimiter': (raw) => decodeURIComponent(raw).replace(/[?#\0].*$/s, ''),
};

const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom('/', '/', '/', '.', '..', 'a', 'admin', ';', '\\', '%', '?', '#', ' ', '\t', '\0', '\u007f', 'é'),
      fc.constantFrom('%2f', '%2F', '%5c', '%2e', '%2E', '%25', '%3b', '%3f', '%23', '%00', '%0a', '%7f', '%61', '%20'),
      fc.constantFrom(
        '%c3%a9',
        '%c0%af',
        '%c2%85',
        '%e0%80%af',
        '%zz',
        '%2',
        '[',
        '{',
        '|',
        '"',
        '<',
        '^',
        '`',
        ':',
        '@',
      ),
      fc.string({ maxLength: 3 }),
      fc.integer({ min: 0, max: 255 }).map((byte) => `%${byte.toString(16).padStart(2, '0')}`),
    ),
    { maxLength: 8 },
  )
  .map((parts) => `/${parts.join('')}`);

describe('parseTarget', () => {
  const accepted: Array<[target: string, path: string, query: string]> = [
    ['/', '/', ''],
    ['/a', '/a', ''],
    ['/a/', '/a/', ''],
    ['/servers/github/mcp', '/servers/github/mcp', ''],
    ['/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource', ''],
    ['/a/...', '/a/...', ''],
    ['/%61dmin', '/admin', ''],
    ['/a%20b', '/a b', ''],
    ['/caf%C3%A9', '/café', ''],
    ['/a?', '/a', ''],
    ['/a?x=1?y=/../%2f;z', '/a', 'x=1?y=/../%2f;z'],
    ['/?//', '/', '//'],
    [`/${encodeURIComponent('ﬁle…ａ½')}`, '/ﬁle…ａ½', ''],
    ['/~u/a,b=(c)', '/~u/a,b=(c)', ''],
  ];
  for (const [target, path, query] of accepted)
    it(`accepts ${target}`, () => {
      const rawPath = target.split('?')[0] as string;
      assert.deepEqual(parseTarget(target), { rawPath, path, query });
    });

  /** Every reading beside the decoded one. */
  const encoded: Array<[target: string, path: string, ...others: string[]]> = [
    ['/@types%2fnode', '/@types/node', '/@types%2fnode'],
    ['/group%2Fproject/raw', '/group/project/raw', '/group%2Fproject/raw'],
    ['/wiki/C%23', '/wiki/C#', '/wiki/C', '/wiki/C%23'],
    ['/100%25', '/100%', '/100%25'],
    ['/a%3fb', '/a?b', '/a', '/a%3fb'],
    ['/a%3Bb/c', '/a;b/c', '/a/c', '/a%3Bb/c'],
    ['/caf%C3%A9%2Fb?q=%2f', '/café/b', '/café%2Fb'],
  ];
  for (const [target, path, ...others] of encoded)
    it(`tells every reading of ${target}, for a rule that takes it`, () => {
      const answer = parseTarget(target);
      assert.ok(answer instanceof Ambiguous);
      const [rawPath, query = ''] = target.split('?');
      const { readings, ...rest } = answer.encoded ?? {};
      assert.deepEqual(rest, { rawPath, path, query });
      assert.deepEqual([...(readings ?? [])].sort(), [path, ...others].sort());
    });

  it('has no reading for what leaves its segment, or is encoded twice', () => {
    for (const target of [
      ...[
        '/p/..%2fadmin',
        '/p/a%2f..%2fb',
        '/p/%2e%2e%2fx',
        '/p/..%3b/x',
        '/p/..%23',
        '/p/.%3f',
        '/p%2f%2fx',
        '/%2fx',
        '/a%2f/b',
      ],
      ...['/a%252fb', '/%252e%252e/x', '/a%25%32%66', '/a%2500', '/a%2f%5cb', '/a%2f%00', '/a%2f%ef%bc%8fb', '/a%2f;b'],
    ]) {
      const answer = parseTarget(target);
      assert.ok(answer instanceof Ambiguous, target);
      assert.equal(answer.encoded, undefined, target);
    }
  });

  it('whoever reads an encoded target reads one of its readings', () => {
    let tried = 0;
    fc.assert(
      fc.property(hostile, (target) => {
        const answer = parseTarget(target);
        if (!(answer instanceof Ambiguous) || answer.encoded === undefined) return;
        tried++;
        const { rawPath, readings = [] } = answer.encoded;
        for (const [name, read] of Object.entries(READERS)) {
          let path: string;
          try {
            path = read(rawPath);
          } catch {
            // It cannot be decoded again.
            continue;
          }
          assert.ok(readings.includes(path), `${name}: ${path} of ${target}`);
        }
      }),
      { numRuns: 20_000, examples: encoded.map(([target]) => [target]) },
    );
    assert.ok(tried > 20, `${tried}`);
  });

  const refused: Array<[target: string, problem: RegExp]> = [
    ['', /slash/],
    ['*', /slash/],
    ['a', /slash/],
    ['http://host/a', /slash/],
    ['?x', /slash/],
    ['//', /empty segment/],
    ['//evil.example/a', /empty segment/],
    ['/a//b', /empty segment/],
    ['/a//', /empty segment/],
    ['/.', /dot segment/],
    ['/..', /dot segment/],
    ['/a/../b', /dot segment/],
    ['/a/./b', /dot segment/],
    ['/a/..', /dot segment/],
    ['/a/%2e%2e/b', /dot segment/],
    ['/a/.%2E', /dot segment/],
    ['/a/%2e/', /dot segment/],
    ['/public/..%20/admin', /dot segment/],
    ['/public/%20../admin', /dot segment/],
    ['/public/.%20./admin', /dot segment/],
    ['/public/.%20/admin', /dot segment/],
    ['/public/..%c2%a0/admin', /dot segment/],
    ['/public/%e2%80%8b..', /dot segment/],
    ['/public/%ef%bc%8e%ef%bc%8e/admin', /dot segment/],
    ['/public/%e2%80%a5/admin', /dot segment/],
    ['/a%2fb', /encoded slash/],
    ['/a%2Fb', /encoded slash/],
    ['/a%5Cb', /encoded/],
    ['/a%252fb', /encoded/],
    ['/a%3bb', /encoded/],
    ['/a%3Fb', /encoded/],
    ['/a%23b', /encoded/],
    ['/a%00', /encoded/],
    ['/a%0d%0ab', /encoded/],
    ['/a%7f', /encoded/],
    ['/a;b', /path parameter/],
    ['/public/..;/admin', /path parameter/],
    ['/a%', /broken/],
    ['/a%2', /broken/],
    ['/a%zz', /broken/],
    ['/a%u002f', /broken/],
    ['/%c0%af', /UTF-8/],
    ['/%ff', /UTF-8/],
    ['/%ed%a0%80', /UTF-8/],
    ['/%c2%85', /control/],
    ...['／', '＼', '；', '％', '？', '＃', '℀', '℅', '﹖', '﹪'].map((mark): [string, RegExp] => [
      `/public/..${encodeURIComponent(mark)}admin`,
      /normalization/,
    ]),
    ...['．．', '．', '‥', '․․', '․', '.．', '﹒﹒'].map((dots): [string, RegExp] => [
      `/public/${encodeURIComponent(dots)}/admin`,
      /dot segment/,
    ]),
    ['/a b', /space/],
    ['/a\tb', /control/],
    ['/a\r\nX: y', /control/],
    ['/a\0', /control/],
    ['/a?b c', /space/],
    ['/a\u007f', /control/],
    ['/é', /ASCII/],
    ['/\u2028', /ASCII/],
    ['/a#b', /fragment/],
    ['/a?b#c', /fragment/],
    ['/a\\b', /backslash/],
    ['/a?\\', /backslash/],
  ];
  for (const [target, problem] of refused)
    it(`refuses ${JSON.stringify(target)}`, () => {
      const answer = parseTarget(target);
      assert.ok(answer instanceof Ambiguous, JSON.stringify(answer));
      assert.match(answer.problem, problem);
    });

  it('accepts nothing that two readers would take for two paths', () => {
    let seen = 0;
    fc.assert(
      fc.property(hostile, (target) => {
        const parsed = parseTarget(target);
        if (parsed instanceof Ambiguous) return;
        seen++;
        for (const [name, read] of Object.entries(READERS))
          assert.equal(read(parsed.rawPath), parsed.path, `a program that ${name}, of ${target}`);
      }),
      { numRuns: 3000 },
    );
    assert.ok(seen > 50, `only ${seen} targets were accepted: nothing was compared`);
  });

  it('leaves no structure, no dot segment, no percent sign and no control character in a path', () => {
    fc.assert(
      fc.property(hostile, (target) => {
        const parsed = parseTarget(target);
        if (parsed instanceof Ambiguous) return;
        const { rawPath, path, query } = parsed;
        assert.equal(query === '' ? target.replace(/\?$/, '') : target, query === '' ? rawPath : `${rawPath}?${query}`);
        assert.match(rawPath, /^\/[\x21-\x7e]*$/);
        assert.doesNotMatch(rawPath, /%(?:2f|5c|25|3b|3f|23|[01].|7f)/i);
        assert.doesNotMatch(path, /\/\/|[\\;?#%]|\p{Cc}/u);
        for (const segment of path.split('/')) assert.ok(segment !== '.' && segment !== '..', target);
      }),
      { numRuns: 3000 },
    );
  });

  it('accepts ordinary paths as they are, and encoded ones decoded', () => {
    const letters = 'abcXYZ019-_~!$&\'()*+,=:@é€😀"<> ';
    const segment = fc
      .array(fc.constantFrom(...letters), { minLength: 1, maxLength: 6 })
      .map((chars) => chars.join(''));
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 5 }), (segments) => {
        const path = `/${segments.join('/')}`;
        const rawPath = `/${segments.map(encodeURIComponent).join('/')}`;
        assert.deepEqual(parseTarget(rawPath), { rawPath, path, query: '' });
      }),
    );
  });
});

describe('canonicalHost', () => {
  const accepted: Array<[text: string, scheme: 'http' | 'https', host: string]> = [
    ['MCP.Example.COM', 'https', 'mcp.example.com'],
    ['mcp.example.com.', 'https', 'mcp.example.com'],
    ['mcp.example.com:443', 'https', 'mcp.example.com'],
    ['mcp.example.com.:443', 'https', 'mcp.example.com'],
    ['mcp.example.com:0443', 'https', 'mcp.example.com'],
    ['mcp.example.com:80', 'https', 'mcp.example.com:80'],
    ['mcp.example.com:80', 'http', 'mcp.example.com'],
    ['mcp.example.com:443', 'http', 'mcp.example.com:443'],
    ['localhost:08080', 'http', 'localhost:8080'],
    ['my_service', 'http', 'my_service'],
    ['127.0.0.1:8080', 'http', '127.0.0.1:8080'],
    ['[::1]:8080', 'http', '[::1]:8080'],
    ['[FE80::1]', 'http', '[fe80::1]'],
    ['[0:0:0:0:0:0:0:1]:443', 'https', '[::1]'],
    ['[FE80:0000::0001]:8443', 'https', '[fe80::1]:8443'],
    ['xn--caf-dma.example', 'https', 'xn--caf-dma.example'],
    ['a:65535', 'http', 'a:65535'],
  ];
  for (const [text, scheme, host] of accepted)
    it(`reads ${text} of ${scheme} as ${host}`, () => assert.equal(canonicalHost(text, scheme), host));

  for (const text of [
    '',
    '.',
    ':80',
    'a..b',
    '.a',
    'a..',
    '-a',
    'a-',
    'user@host',
    'a,b',
    'a, a',
    'a b',
    'a/b',
    'a\\b',
    'a?b',
    'a#b',
    'a%2eb',
    'a:',
    'a:x',
    'a:-1',
    'a:0',
    'a:65536',
    'a:999999',
    'a:80:80',
    '::1',
    '[::1',
    '[1::2::3]',
    '[::1.2]',
    '[::1]x',
    '[fe80::1%25eth0]',
    'café.example',
    'a\n',
    'a\0',
    'a'.repeat(256),
  ])
    it(`refuses ${JSON.stringify(text.slice(0, 30))}`, () =>
      assert.ok(canonicalHost(text, 'https') instanceof Ambiguous));

  it('is a fixed point: the canonical form of a canonical form is itself', () => {
    const text = fc.oneof(
      fc.stringMatching(/^[A-Za-z0-9_.-]{1,20}(:[0-9]{1,5})?$/),
      fc.stringMatching(/^\[[0-9a-fA-F:.]{1,20}\](:[0-9]{1,5})?$/),
      fc.string(),
    );
    fc.assert(
      fc.property(text, fc.constantFrom('http' as const, 'https' as const), (host, scheme) => {
        const once = canonicalHost(host, scheme);
        if (once instanceof Ambiguous) return;
        assert.equal(canonicalHost(once, scheme), once);
        assert.match(once, /^[a-z0-9_.:[\]-]+$/);
      }),
    );
  });
});
