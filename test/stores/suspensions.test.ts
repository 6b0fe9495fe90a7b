import assert from 'node:assert/strict';
import { DependencyUnavailable } from '../../src/platform/errors.ts';
import type { Logger } from '../../src/platform/log.ts';
import { Suspensions } from '../../src/stores/suspensions.ts';

describe('suspended users that cannot be read', () => {
  it('are one line of the log, however often they are asked for', async () => {
    const lines: unknown[] = [];
    const again: (() => void)[] = [];
    const away = () => Promise.reject(new DependencyUnavailable('the session store'));
    const listen = (listener: () => void) => {
      again.push(listener);
      return () => {};
    };
    const stores = {
      documents: new Proxy({}, { get: () => away }),
      pubSub: { subscribe: (_topic: string, listener: () => void) => listen(listener), onGap: listen },
    };
    const log = { warn: (line: unknown) => lines.push(line) } as unknown as Logger;
    const suspensions = new Suspensions({ stores: stores as never, log, now: Date.now });
    for (let turn = 0; turn < 20; turn++) {
      for (const ask of again) ask();
      await new Promise(setImmediate);
    }
    suspensions.close();
    assert.equal(again.length, 2);
    assert.equal(lines.length, 1);
  });
});
