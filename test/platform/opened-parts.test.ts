import assert from 'node:assert/strict';
import { OpenedParts } from '../../src/platform/opened-parts.ts';

describe('opened parts', () => {
  it('are closed once, the newest first, whichever of them fails', async () => {
    const parts = new OpenedParts();
    const closed: string[] = [];
    parts.add({ close: () => closed.push('first') });
    parts.addClose(async () => {
      closed.push('second');
      throw new Error('second');
    });
    parts.add({ close: () => closed.push('third') });
    await assert.rejects(parts.close(), /second/);
    await parts.close();
    assert.deepEqual(closed, ['third', 'second', 'first']);
  });
});
