import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { namedKey } from '../../src/stores/limit-key.ts';
import type { SessionEntry, Stores } from '../../src/stores/stores.ts';
import { startPipe } from '../support/pausable-pipe.ts';
import { type Program, programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis, startSentinel } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { fresh, open } from './open.ts';

/** Times that each operation is run while Redis takes no writes. */
const TIMES = 60;

const session = (): SessionEntry => ({
  key: fresh('key'),
  version: 1,
  value: 'sealed',
  indexes: [fresh('user')],
  expiresAt: Date.now() + 600_000,
});

/** Ways in which a Redis answers and takes no writes, and back. */
const REFUSALS: ReadonlyArray<{ code: string; begin: string[]; end: string[] }> = [
  { code: 'READONLY', begin: ['REPLICAOF', '127.0.0.1', '1'], end: ['REPLICAOF', 'NO', 'ONE'] },
  { code: 'OOM', begin: ['CONFIG', 'SET', 'maxmemory', '1'], end: ['CONFIG', 'SET', 'maxmemory', '0'] },
  {
    code: 'NOREPLICAS',
    begin: ['CONFIG', 'SET', 'min-replicas-to-write', '1'],
    end: ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
  },
];

describe('Redis that answers and takes no writes', () => {
  let program: Program;
  let server: RedisServer;
  let admin: Redis;
  let stores: Stores;

  before(async function () {
    this.timeout(200_000);
    program = await programOrSkip(this, 'redis');
  });
  beforeEach(async () => {
    server = await startRedis(program);
    admin = new Redis({ port: server.port, protocol: 2 });
    stores = await open({ url: server.url });
  });
  afterEach(async () => {
    await stores?.close();
    admin?.disconnect();
    await server?.stop();
  });

  const call = ([command = '', ...args]: string[]) => admin.call(command, ...args);

  for (const { code, begin, end } of REFUSALS)
    it(`reads every session while limits are counted, and counts together again afterwards: ${code}`, async function () {
      this.timeout(60_000);
      const kept = session();
      await stores.sessions.create(kept);
      const limiter = stores.limiter('writes', 2 * TIMES, 60_000);
      await limiter.consume(namedKey('a'), TIMES);
      let gaps = 0;
      stores.pubSub.onGap(() => gaps++);
      await call(begin);
      const before = await connections(admin);
      const outcomes = { read: 0, away: 0, counted: 0, written: 0 };
      for (let time = 0; time < TIMES; time++) {
        await Promise.all([
          stores.sessions.read(kept.key).then(
            (found) => found && outcomes.read++,
            () => outcomes.away++,
          ),
          limiter.consume(namedKey('a')).then(() => outcomes.counted++),
          stores.sessions.create(session()).then(
            () => outcomes.written++,
            () => {},
          ),
        ]);
        await sleep(15);
      }
      assert.deepEqual(outcomes, { read: TIMES, away: 0, counted: TIMES, written: 0 });
      assert.equal(gaps, 0);
      assert.match((await stores.problem()) ?? '', new RegExp(`takes no writes \\(${code}\\)`));
      const opened = (await connections(admin)) - before;
      // Attempts to write over a new connection are paced; one for each write would be twice as many as TIMES.
      assert.ok(opened < TIMES / 2, `${opened} connections`);
      await call(end);
      await until('it takes writes', async () => (await stores.problem()) === undefined);
      await until('it counts in Redis', async () => (await limiter.consume(namedKey('a'))).remaining < TIMES);
      // On a busy machine one may not be answered in time.
      await until('it keeps sessions', () =>
        stores.sessions.create(session()).then(
          () => true,
          () => false,
        ),
      );
    });

  it('follows a new master that Sentinel names, while the old one answers reads', async function () {
    this.timeout(120_000);
    const group = await startSentinel(program);
    const nodes = group.sentinels.map(({ port }) => `127.0.0.1:${port}`);
    const far = await open({ sentinel: { master: 'main', nodes } });
    const sentinel = new Redis({ port: group.sentinels[0]?.port as number, protocol: 2, enableReadyCheck: false });
    const master = new Redis({ port: group.replica.port, protocol: 2 });
    try {
      await sentinel.call('SENTINEL', 'FAILOVER', 'main');
      await until('the replica is the master', async () => /role:master/.test(await master.info('replication')));
      await until('it writes to the new master', async () => {
        const kept = session();
        await far.sessions.create(kept).catch(() => {});
        return (await master.exists(`postern:session:${kept.key}`)) === 1;
      });
      await until('nothing is wrong', async () => (await far.problem()) === undefined);
    } finally {
      sentinel.disconnect();
      master.disconnect();
      await far.close();
      await group.stop();
    }
  });
});

describe('Redis far away', () => {
  for (const each of [150, 300, 400])
    it(`is heard without a gap at a round trip of ${2 * each} ms`, async function () {
      this.timeout(60_000);
      const server = await startRedis(await programOrSkip(this, 'redis'));
      const pipe = await startPipe(server.port);
      pipe.delay = each;
      const stores = await open({ url: `redis://127.0.0.1:${pipe.port}`, timeout: '3s', connectTimeout: '5s' });
      try {
        await until('it is heard', () => stores.pubSub.complete);
        let gaps = 0;
        stores.pubSub.onGap(() => gaps++);
        await sleep(5_000);
        // A machine that stands still for a moment makes one; without allowing for the round trip there are dozens.
        assert.ok(gaps <= 2, `${gaps} gaps`);
        pipe.pause();
        await until('silence is noticed', () => !stores.pubSub.complete);
      } finally {
        await stores.close();
        await pipe.stop();
        await server.stop();
      }
    });
});

async function connections(admin: Redis): Promise<number> {
  return Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1]);
}
