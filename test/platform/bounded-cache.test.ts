import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import { BoundedCache } from '../../src/platform/bounded-cache.ts';

describe('a bounded cache', () => {
  it('forgets what was used longest ago, and says so, once there are more than it holds', () => {
    const gone: string[] = [];
    const cache = new BoundedCache<string, number>({
      max: 2,
      dispose: (value, key, why) => gone.push(`${key}${value} ${why}`),
    });
    cache.set('a', 1).set('b', 2);
    assert.equal(cache.get('a'), 1);
    cache.set('c', 3).set('a', 4);
    assert.deepEqual(
      [...cache.entries()],
      [
        ['a', 4],
        ['c', 3],
      ],
    );
    assert.deepEqual(gone, ['b2 evict', 'a1 set']);
  });

  it('holds as many as it may, over and over', () => {
    const cache = new BoundedCache<number, string>({ max: 100 });
    for (let n = 0; n < 10_000; n++) {
      cache.set(n, `${n}`);
      if (n % 7 === 0) cache.delete(n - 3);
    }
    assert.ok(cache.size > 80 && cache.size <= 100, `${cache.size}`);
    for (let n = 0; n < 100; n++) cache.set(n, 'again');
    assert.deepEqual([cache.size, cache.get(0), cache.get(9_999)], [100, 'again', undefined]);
  });

  it('is bounded by the size of its entries and by their number, whichever is reached first', () => {
    const cache = new BoundedCache<string, string>({ max: 3, maxSize: 10, sizeCalculation: ({ length }) => length });
    for (const key of ['a', 'b', 'c', 'd']) cache.set(key, 'x');
    assert.deepEqual([...cache.keys()], ['d', 'c', 'b']);
    cache.set('e', '12345678');
    assert.deepEqual([...cache.keys()], ['e', 'd', 'c']);
    cache.set('f', '12345678901');
    assert.equal(cache.has('f'), false);
  });

  it('forgets after a time', () => {
    let time = 1_000;
    const cache = new BoundedCache<string, string>({ max: 2, ttl: 10, ttlResolution: 0, perf: { now: () => time } });
    cache.set('a', 'x');
    time += 9;
    assert.equal(cache.get('a'), 'x');
    time += 2;
    assert.equal(cache.get('a'), undefined);
  });

  it('is refused where it may hold nothing', () => {
    assert.throws(() => new BoundedCache({ max: 0 }), TypeError);
  });

  it('takes memory for what it holds, not for what it may hold', () => {
    const used = () => process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers;
    const before = used();
    const caches = Array.from({ length: 100 }, () =>
      new BoundedCache<string, string>({ max: 1_000_000 }).set('a', 'x'),
    );
    const each = (used() - before) / caches.length;
    assert.ok(each < 100_000, `${each} bytes`);
  });
});
