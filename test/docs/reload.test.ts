import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { restartPaths } from '../../src/platform/config/keys.ts';

describe('docs/reload.md', () => {
  const page = readFileSync(new URL('../../docs/reload.md', import.meta.url), 'utf8');

  it('names every key that needs a restart, and no other', () => {
    const section = page.slice(page.indexOf('## What needs a restart'), page.indexOf('Where one of them differs'));
    assert.deepEqual(
      [...section.matchAll(/`([^`]+)`/g)].map(([, key]) => key).sort(),
      [...new Set([...restartPaths('forward-auth'), ...restartPaths('relay')])].sort(),
    );
  });
});
