import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { parseConfig } from '../../src/platform/config/load.ts';

const ROOT = new URL('../../', import.meta.url);
const PAGES = [
  'README.md',
  ...readdirSync(new URL('docs/', ROOT))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** YAML blocks, without the indentation of a list around them. */
function blocks(text: string): string[] {
  return [...text.matchAll(/^( *)```yaml\n([\s\S]*?)\n\1```/gm)].map(([, indent = '', block = '']) =>
    block.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
  );
}

describe('configurations on the pages', () => {
  const found = PAGES.flatMap((page) =>
    blocks(readFileSync(new URL(page, ROOT), 'utf8')).map((block) => ({ page, block })),
  );

  it('are found', () => {
    assert.ok(found.length >= 3, String(found.length));
    assert.ok(found.some(({ page }) => page === 'README.md'));
  });

  for (const { page, block } of found)
    it(`of ${page} are accepted: ${block.split('\n')[0]}`, () => {
      parseConfig(parse(block));
    });
});
