import assert from 'node:assert/strict';
import type { Stores } from '../../src/stores/stores.ts';
import { open } from '../stores/open.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { DAY, identity, MINUTE, type Watched, watching } from './watching.ts';

const OFFICE = '192.0.2.7';
const HOME = '198.51.100.7';
const ELSEWHERE = '203.0.113.9';
const FORGERY = { kind: 'forgery', reason: 'unproven_peer', address: ELSEWHERE } as const;

describe('what replicas know of users, in a real Redis', () => {
  let server: RedisServer;
  const opened: Array<{ close(): Promise<void> }> = [];
  const clock = { now: Date.now() };
  const alice = identity('alice');

  before(async function () {
    this.timeout(200_000);
    server = await startRedis(await programOrSkip(this, 'redis'));
  });
  afterEach(async () => {
    for (const stores of opened.splice(0)) await stores.close();
  });
  after(() => server?.stop());

  /** Each test has keys of its own; each replica a connection of its own. */
  async function replica(name: string, settings: object = {}, process: 'forward-auth' | 'relay' = 'forward-auth') {
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
    const relay = await replica('events', {}, 'relay');
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

  it('names nobody in the store’s keys', async () => {
    const one = await replica('secret');
    one.watch.allowed(identity('somebody@example.com'), OFFICE);
    await one.watch.look();
    const { Redis } = await import('ioredis');
    const client = new Redis(server.url);
    const keys = (await client.keys('secret:*')).join('\n');
    client.disconnect();
    assert.match(keys, /watch-networks/);
    assert.doesNotMatch(keys, /somebody/);
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
