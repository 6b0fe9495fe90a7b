import assert from 'node:assert/strict';
import { parseConfigDocument } from '../../../src/platform/config/config-document.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';

/** Names 200 quoted texts after it, which a quote that is missing turns inside out. */
const QUOTED = Array.from({ length: 200 }, (_, index) => `  key-${index}: "text ${index}"`).join('\n');

describe('a fault of YAML', () => {
  for (const [what, text, expected] of [
    ['a quote, before many others', `publicUrl: "http://a\nauth:\n${QUOTED}\n`, /line 1, column 12: the quote \("\)/],
    ['a quote, in the middle', `auth:\n${QUOTED}\n  last: "secret-text\n${QUOTED}\n`, /line 202, column 9: the quote/],
    ['a single quote', `a: 'secret-text\nb: 1\nc: 2\n`, /line 1, column 4: /],
    ['a bracket', 'a: [1, 2\nb: 1\n', /line 1, column 4: the bracket \(\[\)/],
    ['a brace in a bracket', 'a: [{ b: secret-text\nc: 1\n', /line 1, column 5: the bracket \(\{\)/],
    ['a tab', 'a:\n\tb: secret-text\n', /line 2, column 1: a tab in the indentation/],
    ['a key twice', 'a: 1\nb: 2\na: secret-text\n', /line 3, column 1: this key is there already/],
    ['bad indentation', 'a:\n    b: 1\n  c: 2\n', /line 3, column 1: this line is indented otherwise/],
    ['an alias without an anchor', 'a: 1\nb: *secret-text\n', /line 2, column 4: an alias .* has no anchor/],
    ['such an alias in a list', 'a:\n  - 1\n  - [2, *secret-text]\n', /line 3, column 9: an alias .* has no anchor/],
    ['an alias before its anchor', 'a: *secret-text\nb: &secret-text 1\n', /line 1, column 4: .* has no anchor/],
    ['an alias to merge without an anchor', 'a:\n  <<: *secret-text\n', /line 2, column 7: .* has no anchor/],
    ['an alias in what it repeats', 'a: &secret-text\n  b: *secret-text\n', /line 2, column 6: .* stands in the value/],
    ['no space after the colon', 'publicUrl:http://a\nb: 1\n', /line 1, column 1: .*a colon and a space after it/],
    ['two documents', 'a: 1\n---\nb: 2\n', /line 2, column 1: a second document/],
  ] as const)
    it(`is one problem with line and column: ${what}`, () => {
      assert.throws(
        () => parseConfigDocument('postern.yaml', text),
        (error) => {
          assert.ok(error instanceof ConfigurationError);
          assert.equal(error.problems.length, 1, error.problems.slice(0, 3).join('\n'));
          assert.match(error.problems[0] as string, /^postern\.yaml: line \d+, column \d+: /);
          assert.match(error.problems[0] as string, expected);
          assert.doesNotMatch(error.problems[0] as string, /secret-text/);
          return true;
        },
      );
    });

  it('is none where an alias repeats a value before it', () => {
    const { content } = parseConfigDocument('postern.yaml', 'a: &x [1, 2]\nb: *x\nc: &x 3\nd: { e: *x }\n');
    assert.deepEqual(content, { a: [1, 2], b: [1, 2], c: 3, d: { e: 3 } });
  });

  it('is one message for aliases that repeat too much', () => {
    const bomb = Array.from(
      { length: 12 },
      (_, at) => `k${at}: &k${at} [${at === 0 ? '1, 1' : `*k${at - 1}, *k${at - 1}`}]`,
    );
    assert.throws(
      () => parseConfigDocument('postern.yaml', `${bomb.join('\n')}\n`),
      /aliases \(`\*name`\) repeat too much/,
    );
  });

  it('is none where a text goes on over lines on purpose', () => {
    const { content } = parseConfigDocument('postern.yaml', 'a: "one\n  two"\nb: [1,\n  2]\n');
    assert.deepEqual(content, { a: 'one two', b: [1, 2] });
  });
});
