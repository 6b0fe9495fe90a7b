import assert from 'node:assert/strict';
import { existsSync, statSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { HOME, type Page, pageAt, pages, prose } from './pages.ts';

/** Every link of a page, without its title. */
function linksOf(page: Page): string[] {
  return [...prose(page).matchAll(/\]\((?:<([^>]+)>|([^)\s]+))(?:\s+"[^"]*")?\)/g)].map(
    ([, quoted, plain]) => (quoted ?? plain) as string,
  );
}

/** Anchors as GitHub makes them of headings: https://github.com/gjtorikian/html-pipeline, `toc_filter`. */
function anchorsOf(page: Page): Set<string> {
  const anchors = new Set<string>();
  for (const [, title] of prose(page).matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const slug = (title as string)
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-');
    let unique = slug;
    for (let n = 1; anchors.has(unique); n++) unique = `${slug}-${n}`;
    anchors.add(unique);
  }
  return anchors;
}

/** What is wrong with a link, seen from its page. */
function problemOf(page: Page, link: string): string | undefined {
  if (/^(?:https?|mailto):/.test(link)) return URL.canParse(link) ? undefined : 'no URL';
  const [file = '', anchor] = link.split('#');
  const path = file === '' ? page.path : normalize(join(page.folder, decodeURIComponent(file)));
  if (path.startsWith('..')) return 'leads out of the project';
  if (!existsSync(join(HOME, path))) return 'leads nowhere';
  if (anchor === undefined) return undefined;
  if (!path.endsWith('.md') || statSync(join(HOME, path)).isDirectory()) return 'an anchor in what is no page';
  return anchorsOf(pageAt(path)).has(anchor) ? undefined : 'no such heading';
}

describe('links on the pages', () => {
  const all = pages();

  it('are found', () => {
    assert.ok(all.flatMap(linksOf).length > 50);
  });

  for (const page of all)
    it(`of ${page.path} lead somewhere`, () => {
      const problems = linksOf(page).flatMap((link) => {
        const problem = problemOf(page, link);
        return problem === undefined ? [] : [`${link}: ${problem}`];
      });
      assert.deepEqual(problems, []);
    });

  it('that are wrong are noticed', () => {
    const page = { path: 'docs/x.md', folder: 'docs', text: '# A *b* `c`: d\n\n## e\n## e' };
    assert.deepEqual([...anchorsOf(page)], ['a-b-c-d', 'e', 'e-1']);
    assert.equal(problemOf(page, 'nothing.md'), 'leads nowhere');
    assert.equal(problemOf(page, '../../etc/passwd'), 'leads out of the project');
    assert.equal(problemOf(page, 'reload.md#nothing'), 'no such heading');
    assert.equal(problemOf(page, 'reload.md#what-needs-a-restart'), undefined);
  });
});
