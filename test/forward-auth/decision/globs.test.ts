import assert from 'node:assert/strict';
import fc from 'fast-check';
import { hostGlob, type Matcher, pathGlob } from '../../../src/forward-auth/decision/globs.ts';
import { nameGlob } from '../../../src/platform/name-glob.ts';

type Row = [glob: string, matching: readonly string[], other: readonly string[]];

function hold(compile: (glob: string) => Matcher, rows: readonly Row[]): void {
  for (const [glob, matching, other] of rows)
    it(glob, () => {
      const matches = compile(glob);
      for (const text of matching) assert.ok(matches(text), `matches ${JSON.stringify(text)}`);
      for (const text of other) assert.ok(!matches(text), `does not match ${JSON.stringify(text)}`);
    });
}

describe('pathGlob', () => {
  hold(pathGlob, [
    ['/a', ['/a'], ['/', '/a/', '/ab', '/a/b', '/A', '/b/a']],
    ['/', ['/'], ['', '/a']],
    ['/**', ['/', '/a', '/a/b'], []],
    ['/a/**', ['/a', '/a/', '/a/b', '/a/b/c'], ['/', '/ab', '/ab/c', '/b/a/c', '/A/b']],
    ['/a/*', ['/a/', '/a/b', '/a/b.c'], ['/a', '/a/b/c', '/a/b/']],
    ['/a/*/c', ['/a/b/c', '/a//c'], ['/a/c', '/a/b/b/c', '/a/b/c/', '/a/b/cc']],
    ['/a/*/**', ['/a/b', '/a/b/c', '/a/b/c/d', '/a/'], ['/a', '/b/c']],
    ['/a*', ['/a', '/ab'], ['/a/b', '/b']],
    ['/a**', ['/a', '/ab'], ['/a/b']],
    ['/a/**/c', ['/a/b/c'], ['/a/b/b/c', '/a/c']],
    ['/a.b*', ['/a.b', '/a.bc'], ['/axb']],
    ['/(a|b)*+[c]$', ['/(a|b)x+[c]$'], ['/a', '/b', '/(a|b)x+c']],
    ['/a/*', ['/a/é', '/a/b\n'], []],
  ]);
});

describe('hostGlob', () => {
  hold(hostGlob, [
    [
      'mcp.example.com',
      ['mcp.example.com', 'mcp.example.com:8443'],
      ['mcpxexample.com', 'a.mcp.example.com', 'mcp.example.com.evil'],
    ],
    ['MCP.Example.com.', ['mcp.example.com'], ['example.com']],
    [
      'mcp.example.com:8443',
      ['mcp.example.com:8443'],
      ['mcp.example.com', 'mcp.example.com:18443', 'mcp.example.com:84430'],
    ],
    [
      '*.example.com',
      ['a.example.com', 'a-b.example.com:8080'],
      ['example.com', 'a.b.example.com', '.example.com', 'evil.com'],
    ],
    ['*', ['localhost', 'localhost:8080'], ['a.b', '']],
    ['[::1]', ['[::1]', '[::1]:8080'], ['[::2]', ':', '1']],
    ['[::1]:8080', ['[::1]:8080'], ['[::1]', '[::1]:8081']],
    ['[0:0::1]', ['[::1]', '[::1]:8080'], ['[::2]']],
  ]);

  it('with the port of a scheme matches the canonical host, which has none, of that scheme only', () => {
    const secure = hostGlob('mcp.example.com:443');
    assert.ok(secure('mcp.example.com', 'https'));
    assert.ok(secure('mcp.example.com:443', 'http'));
    assert.ok(!secure('mcp.example.com', 'http'));
    assert.ok(!secure('mcp.example.com:8443', 'https'));
    assert.ok(hostGlob('[0::1]:80')('[::1]', 'http'));
    assert.ok(hostGlob('mcp.example.com.:80')('mcp.example.com', 'http'));
  });
});

describe('nameGlob', () => {
  hold(nameGlob, [
    ['list', ['list'], ['lists', 'LIST', 'a.list', '']],
    ['*', ['', 'a', 'a/b', 'a\nb'], []],
    ['delete_*', ['delete_', 'delete_repo', 'delete_a/b', 'delete_\n'], ['delete', 'xdelete_repo', 'Delete_repo']],
    ['*_admin', ['_admin', 'a_admin', 'a_admin_admin'], ['admin', 'a_admins']],
    ['*x*y*', ['xy', 'axbyc', 'xxyy'], ['yx', 'x', 'y', '']],
    ['a*a', ['aa', 'aba'], ['a', 'ab']],
    ['ab*ba', ['abba', 'ababa'], ['aba', 'ab']],
    ['a**b', ['ab', 'axb'], ['a']],
    ['tools.*', ['tools.x'], ['toolsx']],
    ['a?b', ['a?b'], ['axb', 'ab', 'b']],
  ]);

  it('agrees with a plain search for every way to place the stars', () => {
    const glob = fc.array(fc.constantFrom('a', 'b', '*', '.'), { maxLength: 7 }).map((parts) => parts.join(''));
    const name = fc.array(fc.constantFrom('a', 'b', '.'), { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(glob, name, (pattern, text) => {
        assert.equal(nameGlob(pattern)(text), search(pattern, text), `${pattern} on ${text}`);
        assert.equal(pathGlob(`/${pattern}`)(`/${text}`), search(pattern, text), `/${pattern} on /${text}`);
      }),
      { numRuns: 3000 },
    );
  });
});

/** Backtracking by definition: slow and plain. */
function search(glob: string, text: string): boolean {
  if (glob === '') return text === '';
  if (glob[0] !== '*') return text[0] === glob[0] && text !== '' && search(glob.slice(1), text.slice(1));
  return search(glob.slice(1), text) || (text !== '' && search(glob, text.slice(1)));
}

describe('globs with many stars', () => {
  it('take time in proportion to what a client sends', () => {
    // A backtracking matcher would not end here within the life of the machine.
    const text = 'a'.repeat(20_000);
    assert.equal(nameGlob('*a*a*a*a*b')(text), false);
    assert.equal(pathGlob('/*a*a*a*a*b/**')(`/${text}/x`), false);
  });
});
