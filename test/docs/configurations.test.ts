import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { parse, parseAllDocuments } from 'yaml';
import { parseConfig } from '../../src/platform/config/load.ts';
import { turnOnPresent } from '../../src/platform/config/present-sections.ts';
import { silentRules } from '../../src/platform/config/rule-statements.ts';

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

function examples(folder: string): string[] {
  return readdirSync(new URL(`${folder}/`, ROOT), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('postern.yaml'))
    .map((name) => `${folder}/${name}`);
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
      parseConfig(turnOnPresent(parse(block), 'file').input);
      assert.deepEqual(silentRules(parse(block), undefined, {}).warnings, []);
    });

  for (const file of examples('deploy'))
    it(`of ${file} states in every rule who may`, () => {
      for (const document of parseAllDocuments(readFileSync(new URL(file, ROOT), 'utf8')))
        assert.deepEqual(silentRules(document.toJS(), undefined, {}).warnings, []);
    });
});
