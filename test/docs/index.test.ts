import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { HOME, pageAt, pages } from './pages.ts';

describe('docs/README.md', () => {
  const { text } = pageAt('docs/README.md');

  it('leads to every page of docs', () => {
    const missing = readdirSync(join(HOME, 'docs'))
      .filter((name) => name.endsWith('.md') && name !== 'README.md')
      .filter((name) => !text.includes(`](${name})`));
    assert.deepEqual(missing, []);
  });

  it('leads to every page of deployments', () => {
    const missing = pages()
      .filter(({ path, folder }) => path.startsWith('deploy/') && folder.split('/').length === 2)
      .filter(
        ({ folder }) => !`${text}${pageAt('deploy/README.md').text}`.includes(`(${folder.slice('deploy/'.length)})`),
      );
    assert.deepEqual(
      missing.map(({ path }) => path),
      [],
    );
    assert.ok(text.includes('](../deploy/README.md)'));
  });
});
