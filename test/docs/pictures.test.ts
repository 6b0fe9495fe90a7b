import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';

const PICTURES = readdirSync(new URL('../../docs/pictures', import.meta.url));

describe('the pictures of pages', () => {
  it('are there in each look', () => {
    const pages = new Map<string, string[]>();
    for (const file of PICTURES) {
      const [, page = '', look = ''] = /^(.*?)-((?:narrow|wide)(?:-dark)?)\.webp$/.exec(file) ?? [];
      if (page !== '') pages.set(page, [...(pages.get(page) ?? []), look]);
    }
    assert.ok(pages.size > 20, String(pages.size));
    for (const [page, looks] of pages)
      assert.deepEqual(looks.sort(), ['narrow', 'narrow-dark', 'wide', 'wide-dark'], page);
  });
});
