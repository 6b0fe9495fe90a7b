import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { AT_START } from '../../src/forward-auth/server.ts';

describe('docs/reload.md', () => {
  const page = readFileSync(new URL('../../docs/reload.md', import.meta.url), 'utf8');

  it('names every key that needs a restart, and no other', () => {
    const section = page.slice(page.indexOf('## What needs a restart'), page.indexOf('Where one of them differs'));
    assert.deepEqual([...section.matchAll(/`([^`]+)`/g)].map(([, key]) => key).sort(), [...AT_START].sort());
  });
});
