import assert from 'node:assert/strict';
import { ResourceStack } from '../../src/platform/resource-stack.ts';

describe('opened parts', () => {
  it('are closed once, the newest first, whichever of them fails', async () => {
    const parts = new ResourceStack();
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
