import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { DependencyUnavailable } from '../../src/platform/errors.ts';
import { createLogger } from '../../src/platform/log.ts';
import { namedKey } from '../../src/stores/limit-key.ts';
import { MAX_LIMITED_KEYS, MemoryLimiter } from '../../src/stores/memory/limiter.ts';
import { open } from './open.ts';

describe('stores in memory that fill up', () => {
  it('ends the session that was not used for longest, and says so once', async () => {
    let log = '';
    const destination = new Writable({
      write: (chunk, _encoding, done) => {
        log += String(chunk);
        done();
      },
    });
    const stores = await open(undefined, {
      memory: { maxSessions: 3 },
      log: createLogger('test', 'info', destination),
    });
    const create = (key: string) =>
      stores.sessions.create({ key, version: 1, value: '', indexes: ['user'], expiresAt: Date.now() + 60_000 });
    for (const key of ['a', 'b', 'c']) await create(key);
    await stores.sessions.read('a');
    for (const key of ['d', 'e']) await create(key);
    const keys = (await stores.sessions.find('user')).map(({ key }) => key).sort();
    assert.deepEqual(keys, ['a', 'd', 'e']);
    assert.equal(log.match(/too many sessions/g)?.length, 1);
    await stores.close();
  });

  it('counts no more keys than fit, whatever number of addresses asks', async () => {
    const limiter = new MemoryLimiter(1, 60_000, Date.now);
    for (let at = 0; at < MAX_LIMITED_KEYS + 1_000; at++) await limiter.consume(namedKey(`address ${at}`));
    assert.equal(limiter.size, MAX_LIMITED_KEYS);
    assert.equal((await limiter.consume(namedKey(`address ${MAX_LIMITED_KEYS}`))).allowed, false);
  });

  it('still gives locks where somebody has filled it with sign-ins, and forgets no sign-in early', async () => {
    let now = 1_000;
    const stores = await open(undefined, { now: () => now });
    for (let at = 0; at < 100_000; at++) await stores.locks.once(`sign-in ${at}`, 60_000);
    await assert.rejects(stores.locks.once('one more', 60_000), DependencyUnavailable);
    assert.equal(await stores.locks.once('sign-in 0', 60_000), false, 'a replay stays one');
    const lock = await stores.locks.acquire('refresh', 15_000);
    assert.ok(lock);
    assert.equal(await stores.locks.acquire('refresh', 15_000), undefined);
    now += 60_000;
    assert.equal(await stores.locks.once('one more', 60_000), true, 'what is over makes room');
    await stores.close();
  });

  it('goes by the clock that it is given', async () => {
    let now = 1_000;
    const stores = await open(undefined, { now: () => now });
    await stores.sessions.create({ key: 'k', version: 1, value: '', indexes: [], expiresAt: 2_000 });
    assert.equal(await stores.locks.once('n', 1_000), true);
    const limiter = stores.limiter('l', 1, 1_000);
    assert.deepEqual(await limiter.consume(namedKey('x')), { allowed: true, remaining: 0, resetIn: 1_000 });
    now = 1_999;
    assert.ok(await stores.sessions.read('k'));
    assert.equal(await stores.locks.once('n', 1_000), false);
    assert.deepEqual(await limiter.consume(namedKey('x')), { allowed: false, remaining: 0, resetIn: 1 });
    now = 2_000;
    assert.equal(await stores.sessions.read('k'), undefined);
    assert.equal(await stores.locks.once('n', 1_000), true);
    assert.equal((await limiter.consume(namedKey('x'))).allowed, true);
    await stores.close();
  });
});
