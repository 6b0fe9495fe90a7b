import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Stores } from '../../src/stores/stores.ts';
import { open } from '../stores/open.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { DAY, identity, MINUTE, type Watched, watching } from './watching.ts';

const OFFICE = '192.0.2.7';
const HOME = '198.51.100.7';
const ELSEWHERE = '203.0.113.9';
const KEY = Buffer.alloc(32, 9).toString('base64url');
const FORGERY = { kind: 'forgery', reason: 'unproven_peer', address: ELSEWHERE } as const;

describe('what replicas know of users, in a real Redis', () => {
  let server: RedisServer;
  const opened: Array<{ close(): Promise<void> }> = [];
  const clock = { now: 0 };
  const alice = identity('alice');

  before(async function () {
    this.timeout(200_000);
    // Here, because this file is read long before its tests run, and Redis has a clock of its own.
    clock.now = Date.now();
    server = await startRedis(await programOrSkip(this, 'redis'));
  });
  afterEach(async () => {
    for (const stores of opened.splice(0)) await stores.close();
  });
  after(() => server?.stop());

  /** Each test has keys of its own; each replica a connection of its own. */
  async function replica(
    name: string,
    settings: object = { key: KEY },
    process: 'forward-auth' | 'relay' = 'forward-auth',
  ) {
    const stores: Stores = await open({ url: server.url, timeout: '400ms', keyPrefix: `${name}:` });
    opened.push(stores);
    return watching(settings, { stores, clock, process });
  }
  const later = async (by: number, ...replicas: readonly Watched[]) => {
    for (const { watch } of replicas) await watch.look();
    clock.now += by;
  };

  it('is shared: a network that one learnt is known to the other and after a restart, a new one is reported once', async () => {
    const [one, other] = [await replica('shared'), await replica('shared')];
    one.watch.allowed(alice, OFFICE);
    await later(MINUTE, one);
    other.watch.allowed(alice, HOME);
    await later(8 * DAY, other);
    for (const { watch } of [one, other]) for (const address of [OFFICE, HOME]) watch.allowed(alice, address);
    await later(DAY, one, other);
    const restarted = await replica('shared');
    for (const address of [OFFICE, HOME]) restarted.watch.allowed(alice, address);
    assert.deepEqual(await restarted.kinds(), []);
    await later(DAY, restarted);

    for (const { watch } of [one, other]) {
      watch.allowed(alice, ELSEWHERE);
      await watch.look();
    }
    assert.deepEqual(await restarted.kinds(), ['new_network']);
    assert.equal(one.lines.length + other.lines.length, 1);
  });

  it('tells a stolen cookie from a journey, although another replica serves the owner', async () => {
    const [one, other] = [await replica('stolen'), await replica('stolen')];
    for (const { watch } of [one, other]) watch.allowed(alice, OFFICE);
    await later(8 * DAY, one, other);
    one.watch.allowed(alice, OFFICE);
    await later(MINUTE, one);
    other.watch.allowed(alice, ELSEWHERE);
    assert.deepEqual(await other.kinds(), ['concurrent_networks']);
  });

  it('holds the same event of several replicas once, and those of both processes for whoever looks', async () => {
    const [one, other] = [await replica('events'), await replica('events')];
    const relay = await replica('events', { key: KEY }, 'relay');
    for (const { watch } of [one, other, one]) {
      watch.observe(FORGERY);
      await watch.look();
    }
    relay.watch.observe({ ...FORGERY, reason: 'proxy_secret' });
    assert.deepEqual(await relay.kinds(), ['spoof_attempt', 'spoof_attempt']);
    const seen = (await other.watch.recent.list()).map(({ process, reason, count }) => [process, reason, count]);
    assert.deepEqual(seen.sort(), [
      ['forward-auth', 'unproven_peer', 2],
      ['relay', 'proxy_secret', 1],
    ]);
  });

  /** Keys and values of a store, as whoever can read it sees them. */
  async function everythingOf(name: string): Promise<string> {
    const client = new Redis(server.url);
    const keys = await client.keys(`${name}:*`);
    const texts = keys.map(async (key) => {
      switch (await client.type(key)) {
        case 'string':
          return [await client.get(key)];
        case 'hash':
          return Object.entries(await client.hgetall(key)).flat();
        case 'zset':
          return client.zrange(key, '0', '-1');
        case 'list':
          return client.lrange(key, 0, -1);
        default:
          throw new Error(`unknown type of ${key}`);
      }
    });
    const everything = [...keys, ...(await Promise.all(texts)).flat()].join('\n');
    client.disconnect();
    return everything;
  }

  /** Leaves a network that is learnt, two events, and what says that they were reported. */
  async function leaveTraces(one: Watched): Promise<void> {
    one.watch.allowed(identity('somebody@example.com'), OFFICE);
    await later(8 * DAY, one);
    one.watch.allowed(identity('somebody@example.com'), ELSEWHERE);
    one.watch.observe(FORGERY);
    assert.deepEqual((await one.kinds()).sort(), ['new_network', 'spoof_attempt']);
  }

  it('shows nothing of a person to whoever reads the store', async () => {
    await leaveTraces(await replica('secret'));
    const everything = await everythingOf('secret');
    assert.match(everything, /watch-networks/);
    assert.match(everything, /security-events/);
    assert.match(everything, /once:security/);
    // Nor can anybody try who it might be: the name's plain digest is not there.
    const digest = createHash('sha256').update(JSON.stringify(['https://idp.test', 'somebody@example.com']));
    for (const text of ['somebody', 'idp.test', '192.0.2.', '203.0.113.', 'spoof', digest.digest('base64url')])
      assert.ok(!everything.includes(text), text);
  });

  it('stays in each process where no key is set, which is said once', async () => {
    const [one, other] = [await replica('keyless', {}), await replica('keyless', {})];
    await leaveTraces(one);
    assert.deepEqual(await other.kinds(), []);
    assert.equal(await everythingOf('keyless'), '');
    assert.equal(one.lines.filter(({ message }) => /watch\.key is not set/.test(String(message))).length, 1);
  });

  it('is nothing to a process with another key, or where somebody else wrote it', async () => {
    const one = await replica('rekeyed');
    await leaveTraces(one);
    const other = await replica('rekeyed', { key: Buffer.alloc(32, 8).toString('base64url') });
    other.watch.allowed(identity('somebody@example.com'), HOME);
    assert.deepEqual(await other.kinds(), []);
    const stores = await open({ url: server.url, timeout: '400ms', keyPrefix: 'rekeyed:' });
    opened.push(stores);
    await stores
      .recent('security-events', 10)
      .put('forged', clock.now, JSON.stringify({ id: 'x', kind: 'spoof_attempt' }));
    assert.deepEqual((await one.kinds()).sort(), ['new_network', 'spoof_attempt']);
  });

  it('is no reason to cry while Redis stands still, and what was seen meanwhile is written when it is back', async function () {
    this.timeout(60_000);
    const one = await replica('outage');
    one.watch.allowed(alice, OFFICE);
    await later(8 * DAY, one);
    await server.pause();
    try {
      one.watch.allowed(alice, OFFICE);
      one.watch.allowed(alice, ELSEWHERE);
      one.watch.observe(FORGERY);
      assert.deepEqual(await one.kinds(), ['spoof_attempt']);
    } finally {
      await server.resume();
    }
    const other = await replica('outage');
    await until('it is written', async () => {
      await one.watch.look();
      return (await other.kinds()).length === 1;
    });
    clock.now += MINUTE;
    one.watch.allowed(alice, OFFICE);
    assert.deepEqual(await one.kinds(), ['spoof_attempt']);
  });
});
