import assert from 'node:assert/strict';
import { type Page, pages } from './pages.ts';

/** Pages that say what was tried, and name the test of each line. */
const EVIDENCE = ['docs/as-they-are.md', 'docs/faults.md', 'docs/from-contextforge.md', 'docs/security-model.md'];
/** Pages for those who have the source. */
const FOR_CONTRIBUTORS = /^(?:CONTRIBUTING|CHANGELOG)\.md$|^docs\/decisions\//;
const SOURCE = /(?<![\w-])(?:src|test)\/[\w.-]+/g;

function sourcePaths({ path, text }: Page): string[] {
  return (text.match(SOURCE) ?? []).filter((found) => !(EVIDENCE.includes(path) && found.startsWith('test/')));
}

describe('pages for operators', () => {
  const found = pages().filter(({ path }) => !FOR_CONTRIBUTORS.test(path));

  it('are found', () => {
    for (const path of ['README.md', 'docs/pages.md', 'deploy/nginx/README.md'])
      assert.ok(
        found.some((page) => page.path === path),
        path,
      );
  });

  it('name no path of the source, which an operator does not have', () => {
    assert.deepEqual(
      found.flatMap((page) => sourcePaths(page).map((name) => `${page.path}: ${name}`)),
      [],
    );
  });

  for (const text of ['see `src/cli/main.ts`', '[a test](../test/e2e/tracing.test.ts)', 'by `test/e2e`'])
    it(`would be refused with: ${text}`, () =>
      assert.equal(sourcePaths({ path: 'docs/a.md', folder: 'docs', text }).length, 1));
});
