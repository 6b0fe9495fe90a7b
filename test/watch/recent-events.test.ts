import assert from 'node:assert/strict';
import { sealingKey, sealingWith } from '../../src/platform/sealing/sealing.ts';
import { RecentEvents } from '../../src/watch/recent-events.ts';
import type { SecurityEvent } from '../../src/watch/security-event.ts';

const KEYS = [sealingKey(Buffer.alloc(32, 3))];

function event(id: string): SecurityEvent {
  return {
    id,
    kind: 'spoof_attempt',
    severity: 'critical',
    process: 'relay',
    firstAt: 1,
    lastAt: 1,
    count: 1,
    message: 'an identity was sent without proof',
  };
}

describe('recent security events', () => {
  it('remember no more than they keep while the store is away, and write that when it is back', async () => {
    const written: string[] = [];
    let away = true;
    const events = {
      put: async (id: string) => {
        if (away) throw new Error('away');
        written.push(id);
      },
      list: async () => [],
    };
    const recent = new RecentEvents(3, { events, sealing: sealingWith(() => KEYS) });
    for (let index = 0; index < 100; index++) {
      recent.put(event(`event ${index}`));
      await recent.write();
    }
    assert.equal(recent.unwritten, 3);
    away = false;
    await recent.write();
    assert.deepEqual(written, ['event 97', 'event 98', 'event 99']);
    assert.equal(recent.unwritten, 0);
  });
});
