import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { namedKey } from '../../src/stores/limit-key.ts';
import type { RecordStore, SessionEntry, Stores } from '../../src/stores/stores.ts';
import { until } from '../support/until.ts';
import { fresh } from './open.ts';

const entry = (over: Partial<SessionEntry> = {}): SessionEntry => ({
  key: fresh('key'),
  version: 1,
  value: 'sealed "ü" \u0000 contents',
  indexes: [fresh('user'), fresh('provider')],
  expiresAt: Date.now() + 60_000,
  ...over,
});

/** What every implementation of the stores does. */
export function storesContract(stores: () => Stores): void {
  const all = <T>(count: number, work: (at: number) => Promise<T>) =>
    Promise.all(Array.from({ length: count }, (_none, at) => work(at)));

  it('keeps a session as it was given and finds it by each index', async () => {
    const { sessions } = stores();
    const one = entry();
    const other = entry({ indexes: [one.indexes[0] as string] });
    await Promise.all([sessions.create(one), sessions.create(other)]);
    assert.deepEqual(await sessions.read(one.key), one);
    assert.equal(await sessions.read(fresh('nobody')), undefined);
    const keys = async (term: string) => (await sessions.find(term)).map(({ key }) => key).sort();
    assert.deepEqual(await keys(one.indexes[0] as string), [one.key, other.key].sort());
    assert.deepEqual(await sessions.find(one.indexes[1] as string), [one]);
    assert.deepEqual(await keys(fresh('nobody')), []);
  });

  it('ends a session once, and nothing brings it back', async () => {
    const { sessions } = stores();
    const one = entry();
    await sessions.create(one);
    assert.equal(await sessions.end(one.key), true);
    assert.equal(await sessions.end(one.key), false);
    assert.equal(await sessions.replace({ ...one, version: 2 }), false);
    assert.equal(await sessions.extend(one.key, Date.now() + 60_000), false);
    assert.equal(await sessions.read(one.key), undefined);
    assert.deepEqual(await sessions.find(one.indexes[0] as string), []);
  });

  it('replaces only the version before, and keeps the indexes', async () => {
    const { sessions } = stores();
    const one = entry();
    await sessions.create(one);
    const two = { ...one, version: 2, value: 'new', expiresAt: one.expiresAt + 5_000 };
    assert.equal(await sessions.replace({ ...two, version: 3 }), false);
    assert.equal(await sessions.replace(two), true);
    assert.equal(await sessions.replace(two), false);
    assert.deepEqual(await sessions.read(one.key), two);
    assert.deepEqual(await sessions.find(one.indexes[1] as string), [two]);
  });

  it('lets exactly one of fifty replacements of the same version through', async () => {
    const { sessions } = stores();
    const one = entry();
    await sessions.create(one);
    const done = await all(50, (at) => sessions.replace({ ...one, version: 2, value: `from ${at}` }));
    assert.equal(done.filter((won) => won).length, 1);
    assert.equal((await sessions.read(one.key))?.value, `from ${done.indexOf(true)}`);
  });

  it('forgets sessions at their time, in look-ups as well, and later where they were extended', async () => {
    const { sessions } = stores();
    const user = fresh('user');
    const soon = entry({ indexes: [user], expiresAt: Date.now() + 400 });
    const longer = entry({ indexes: [user], expiresAt: Date.now() + 400 });
    await Promise.all([sessions.create(soon), sessions.create(longer)]);
    const until_ = Date.now() + 60_000;
    assert.equal(await sessions.extend(longer.key, until_), true);
    await until('the first is over', async () => (await sessions.read(soon.key)) === undefined);
    assert.deepEqual(await sessions.find(user), [{ ...longer, expiresAt: until_ }]);
    assert.equal(await sessions.end(soon.key), false);
    assert.equal(await sessions.extend(soon.key, until_), false);
  });

  it('lists the sessions of an index page by page, those first that end soonest, and each once', async () => {
    const { sessions } = stores();
    const user = fresh('user');
    const soon = Date.now() + 60_000;
    // Seven that end in the same millisecond are more than a page; the last one ends within the next.
    const ends = [...Array.from({ length: 7 }, () => soon), soon + 2, soon + 1, soon + 0.4, soon + 9_000];
    const entries = ends.map((expiresAt) => entry({ indexes: [user], expiresAt }));
    await Promise.all([...entries.map((one) => sessions.create(one)), sessions.create(entry())]);
    for (const limit of [1, 3, 7, 11, 12]) {
      const pages: SessionEntry[][] = [];
      let after: string | undefined;
      do {
        const page = await sessions.page(user, after, limit);
        pages.push([...page.entries]);
        after = page.next;
      } while (after !== undefined && pages.length <= entries.length);
      assert.equal(after, undefined, `pages of ${limit} do not end`);
      assert.ok(pages.every((page) => page.length <= limit));
      const listed = pages.flat();
      assert.deepEqual(listed.map(({ key }) => key).sort(), entries.map(({ key }) => key).sort(), `pages of ${limit}`);
      const times = listed.map(({ expiresAt }) => Math.ceil(expiresAt));
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
    }
  });

  it('pages past sessions that ended meanwhile, to those that moved behind, and takes nonsense for the first page', async () => {
    const { sessions } = stores();
    const user = fresh('user');
    const entries = [1, 2, 3, 4].map((at) => entry({ indexes: [user], expiresAt: Date.now() + 60_000 * at }));
    const [first, second, third, fourth] = entries.map(({ key }) => key) as [string, string, string, string];
    await all(4, (at) => sessions.create(entries[at] as SessionEntry));
    const one = await sessions.page(user, undefined, 2);
    assert.deepEqual(
      one.entries.map(({ key }) => key),
      [first, second],
    );
    await sessions.end(second);
    await sessions.extend(third, Date.now() + 600_000);
    const rest = await sessions.page(user, one.next, 10);
    assert.deepEqual(
      rest.entries.map(({ key }) => key),
      [fourth, third],
    );
    assert.equal(rest.next, undefined);
    for (const nonsense of ['', 'x', '-1.0', '1e9.0', '99999999999999999999.1', '1', '1.'])
      assert.equal((await sessions.page(user, nonsense, 10)).entries.length, 3, nonsense);
    assert.deepEqual(await sessions.page(fresh('nobody'), undefined, 10), { entries: [], next: undefined });
  });

  it('has every session in the index that was begun while others looked it up', async () => {
    const { sessions } = stores();
    const user = fresh('user');
    const entries = Array.from({ length: 20 }, () => entry({ indexes: [user] }));
    await Promise.all([...entries.map((one) => sessions.create(one)), all(20, () => sessions.find(user))]);
    assert.equal((await sessions.find(user)).length, entries.length);
  });

  it('keeps records of each name apart, and finds them as it finds sessions', async () => {
    const [ones, others] = [fresh('ones'), fresh('others')].map((name) =>
      stores().records(name, { maxRecords: 1_000, maxBytes: 10_000_000 }),
    );
    assert.ok(ones && others);
    const one = entry();
    const other = entry({ indexes: [one.indexes[0] as string] });
    await Promise.all([ones.create(one), ones.create(other), others.create({ ...one, value: 'of another name' })]);
    assert.deepEqual(await ones.read(one.key), one);
    assert.equal((await others.read(one.key))?.value, 'of another name');
    assert.equal(await stores().sessions.read(one.key), undefined);
    const found = (await ones.find(one.indexes[0] as string)).map(({ key }) => key);
    assert.deepEqual(found.sort(), [one.key, other.key].sort());
    const done = await all(20, (at) => ones.replace({ ...one, version: 2, value: `used by ${at}` }));
    assert.equal(done.filter((won) => won).length, 1);
    assert.equal(await ones.end(one.key), true);
    assert.equal((await others.read(one.key))?.value, 'of another name');
    assert.deepEqual(await ones.find(one.indexes[1] as string), []);
  });

  it('gives a lock to one of fifty, and to the next after its release or its time', async () => {
    const { locks } = stores();
    const name = fresh('lock');
    const taken = await all(50, () => locks.acquire(name, 60_000));
    const held = taken.filter((lock) => lock !== undefined);
    assert.equal(held.length, 1);
    await held[0]?.release();
    const short = await locks.acquire(name, 100);
    assert.ok(short);
    assert.equal(await locks.acquire(name, 100), undefined);
    await sleep(150);
    const next = await locks.acquire(name, 60_000);
    assert.ok(next);
    await short.release();
    assert.equal(await locks.acquire(name, 60_000), undefined, 'a late release gave back the lock of another');
  });

  it('takes a name once until its time is over', async () => {
    const { locks } = stores();
    const name = fresh('once');
    const taken = await all(20, () => locks.once(name, 60_000));
    assert.equal(taken.filter((first) => first).length, 1);
    const short = fresh('short');
    assert.equal(await locks.once(short, 80), true);
    await sleep(150);
    assert.equal(await locks.once(short, 80), true);
  });

  it('tells every listener of a topic, in order, until the subscription ends', async () => {
    const { pubSub } = stores();
    const topic = fresh('topic');
    const heard: string[] = [];
    const end = pubSub.subscribe(topic, (message) => heard.push(message));
    pubSub.subscribe(topic, () => {
      throw new Error('a broken listener');
    });
    await until('announcements are complete', () => pubSub.complete);
    const said = ['one', 'zwei "2"', ...Array.from({ length: 100 }, (_, at) => String(at))];
    for (const message of said) await pubSub.publish(topic, message);
    await pubSub.publish(fresh('other'), 'not for us');
    await until('all was heard', () => heard.length === said.length);
    assert.deepEqual(heard, said);
    end();
    await pubSub.publish(topic, 'four');
    const last: string[] = [];
    pubSub.subscribe(topic, (message) => last.push(message));
    await pubSub.publish(topic, 'five');
    await until('the last was heard', () => last.includes('five'));
    assert.equal(heard.length, said.length);
  });

  it('keeps documents until they are removed or over', async () => {
    const { documents } = stores();
    const collection = fresh('keys');
    await documents.put(collection, 'a', 'one');
    await documents.put(collection, 'a', 'one again');
    await documents.put(collection, 'b', 'two', Date.now() + 60_000);
    await documents.put(collection, 'c', 'three', Date.now() + 100);
    await until('the third is over', async () => (await documents.get(collection, 'c')) === undefined);
    assert.equal(await documents.get(collection, 'a'), 'one again');
    assert.equal(await documents.get(fresh('other'), 'a'), undefined);
    const listed = (await documents.list(collection)).sort((x, y) => x.id.localeCompare(y.id));
    assert.deepEqual(listed, [
      { id: 'a', value: 'one again' },
      { id: 'b', value: 'two' },
    ]);
    assert.equal(await documents.remove(collection, 'c'), false);
    assert.equal(await documents.remove(collection, 'a'), true);
    assert.equal(await documents.remove(collection, 'a'), false);
    assert.deepEqual(await documents.list(collection), [{ id: 'b', value: 'two' }]);
    assert.deepEqual(await documents.list(fresh('empty')), []);
  });

  it('keeps records of one kind within its bytes: a flood drives out what ends soonest, and no other kind', async () => {
    const bounds = { maxRecords: 10_000, maxBytes: 200_000 };
    const [flooded, other] = [fresh('flooded'), fresh('other')].map((name) => stores().records(name, bounds)) as [
      RecordStore,
      RecordStore,
    ];
    const record = (key: string, life: number, bytes = 4_000) => ({
      ...{ key, version: 1, value: 'v'.repeat(bytes), indexes: [fresh('term')] },
      expiresAt: Date.now() + life,
    });
    const used = record(fresh('used'), 60_000);
    await flooded.create(used);
    assert.equal(await flooded.extend(used.key, Date.now() + 600_000), true);
    await other.create(record('other', 30_000));
    const keys = Array.from({ length: 150 }, (_none, at) => `stranger-${at}`);
    for (const [at, key] of keys.entries()) await flooded.create(record(key, 100_000 + at * 1_000));
    const kept: string[] = [];
    for (const key of keys) if ((await flooded.read(key)) !== undefined) kept.push(key);
    assert.ok(kept.length > 20 && kept.length <= 42, `${kept.length} kept`);
    assert.deepEqual(kept, keys.slice(-kept.length), 'those that end last');
    assert.ok(await flooded.read(used.key), 'what is in use outlives them');
    assert.ok(await other.read('other'));
    // What is ended gives its bytes back.
    for (const key of kept) await flooded.end(key);
    for (let at = 0; at < 20; at++) await flooded.create(record(`after-${at}`, 200_000));
    for (let at = 0; at < 20; at++) assert.ok(await flooded.read(`after-${at}`), `after-${at}`);
  });

  it('counts within a window, which a refused one does not prolong', async () => {
    const limiter = stores().limiter(fresh('limiter'), 3, 700);
    const key = namedKey(`${'x'.repeat(100_000)} any\nkey {1}`);
    const first = await limiter.consume(key);
    assert.deepEqual([first.allowed, first.remaining], [true, 2]);
    assert.ok(first.resetIn > 0 && first.resetIn <= 700);
    assert.deepEqual((await limiter.consume(key, 2)).remaining, 0);
    const over = await limiter.consume(key);
    assert.equal(over.allowed, false);
    await sleep(100);
    const later = await limiter.consume(key);
    assert.equal(later.allowed, false);
    assert.ok(later.resetIn < over.resetIn);
    assert.equal((await limiter.consume(namedKey('another'))).allowed, true);
    await sleep(later.resetIn + 50);
    assert.equal((await limiter.consume(key)).allowed, true);
  });

  it('has no problem', async () => {
    await until('no problem', async () => (await stores().problem()) === undefined);
  });

  it('keeps the newest entries, in place of those with their ids, newest first', async () => {
    const recent = stores().recent(fresh('recent'), 3);
    assert.deepEqual(await recent.list(10), []);
    for (const at of [1, 3, 2]) await recent.put(`id ${at}`, at, `entry ${at}`);
    await recent.put('id 2', 2, 'entry 2 again');
    assert.deepEqual(await recent.list(10), ['entry 3', 'entry 2 again', 'entry 1']);
    await recent.put('id 4', 4, 'entry "ü" 4');
    assert.deepEqual(await recent.list(10), ['entry "ü" 4', 'entry 3', 'entry 2 again']);
    assert.deepEqual(await recent.list(1), ['entry "ü" 4']);
    await recent.put('id 0', 0, 'too old');
    assert.deepEqual(await recent.list(10), ['entry "ü" 4', 'entry 3', 'entry 2 again']);
  });
}
