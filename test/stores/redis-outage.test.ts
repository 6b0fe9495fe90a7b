import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { DependencyUnavailable } from '../../src/platform/errors.ts';
import { createLogger } from '../../src/platform/log.ts';
import { createStoreMetrics } from '../../src/platform/metrics.ts';
import { namedKey } from '../../src/stores/limit-key.ts';
import type { SessionEntry, Stores } from '../../src/stores/stores.ts';
import { freePorts } from '../support/free-port.ts';
import { startPipe } from '../support/pausable-pipe.ts';
import { type Program, programOrSkip } from '../support/programs.ts';
import { type RedisServer, startCluster, startRedis, startSentinel } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { fresh, open } from './open.ts';

const session = (over: Partial<SessionEntry> = {}): SessionEntry => ({
  key: fresh('key'),
  version: 1,
  value: 'sealed',
  indexes: [fresh('user')],
  expiresAt: Date.now() + 600_000,
  ...over,
});
const answers = (stores: Stores) => async () => (await stores.problem()) === undefined;

describe('Redis that goes away and comes back', () => {
  let program: Program;
  let server: RedisServer;
  let one: Stores;
  let two: Stores;

  before(async function () {
    this.timeout(200_000);
    program = await programOrSkip(this, 'redis');
  });
  beforeEach(async () => {
    server = await startRedis(program);
    const settings = { url: server.url, timeout: '400ms' };
    [one, two] = await Promise.all([open(settings), open(settings, { withoutRedis: 'refuse' })]);
  });
  afterEach(async () => {
    await Promise.all([one?.close(), two?.close()]);
    await server?.stop();
  });

  it('has each process hear the other, and see what the other ended', async () => {
    const heard: string[] = [];
    for (const stores of [one, two]) stores.pubSub.subscribe('ended', (message) => heard.push(message));
    const kept = session();
    await one.sessions.create(kept);
    assert.equal(await two.sessions.end(kept.key), true);
    await two.pubSub.publish('ended', kept.key);
    assert.equal(await one.sessions.read(kept.key), undefined);
    await until('both heard', () => heard.length === 2);
    assert.deepEqual(heard, [kept.key, kept.key]);
  });

  it('counts for both processes together', async () => {
    const limiters = [one, two].map((stores) => stores.limiter('shared', 6, 60_000));
    const results = await Promise.all(
      Array.from({ length: 10 }, (_none, at) => limiters[at % 2]?.consume(namedKey('198.51.100.7'))),
    );
    assert.equal(results.filter((result) => result?.allowed).length, 6);
  });

  it('fails at once when Redis was killed, and has everything again when it is back', async () => {
    const kept = Array.from({ length: 20 }, () => session());
    await Promise.all(kept.map((entry) => one.sessions.create(entry)));
    let gaps = 0;
    one.pubSub.onGap(() => gaps++);
    await server.kill();
    await assert.rejects(one.sessions.read(kept[0]?.key as string), DependencyUnavailable);
    await assert.rejects(one.sessions.create(session()), DependencyUnavailable);
    await assert.rejects(one.locks.once('x', 1_000), DependencyUnavailable);
    await assert.rejects(one.pubSub.publish('x', 'y'), DependencyUnavailable);
    await assert.rejects(one.documents.get('x', 'y'), DependencyUnavailable);
    assert.equal(await one.problem(), 'Redis does not answer');
    await until('the gap is known', () => !one.pubSub.complete && gaps === 1);

    const local = one.limiter('local', 2, 60_000);
    const allowed = [
      await local.consume(namedKey('a')),
      await local.consume(namedKey('a')),
      await local.consume(namedKey('a')),
    ];
    assert.deepEqual(
      allowed.map((result) => result.allowed),
      [true, true, false],
    );
    await assert.rejects(two.limiter('refuse', 2, 60_000).consume(namedKey('a')), DependencyUnavailable);

    await server.restart();
    await until('it answers again', answers(one));
    assert.equal(gaps, 2);
    for (const entry of kept) assert.deepEqual(await one.sessions.read(entry.key), entry);
    const heard: string[] = [];
    one.pubSub.subscribe('after', (message) => heard.push(message));
    await until('the other answers again', answers(two));
    await two.pubSub.publish('after', 'back');
    await until('it hears again', () => heard.length === 1);
  });

  it('says what could not be announced once Redis is reached again, without being asked again', async () => {
    const pipe = await startPipe(server.port);
    const far = await open({ url: `redis://127.0.0.1:${pipe.port}`, timeout: '400ms' });
    const heard: string[] = [];
    two.pubSub.subscribe('ended', (message) => heard.push(message));
    await until('the far one is connected', answers(far));
    pipe.cut();
    for (const key of ['first', 'second', 'first'])
      await assert.rejects(far.pubSub.publish('ended', key), DependencyUnavailable);
    assert.ok(two.pubSub.complete, 'the other process believes what it remembers');
    pipe.resume();
    await until('both are heard', () => heard.length === 2);
    assert.deepEqual(heard, ['second', 'first']);
    await far.close();
    await pipe.stop();
  });

  it('does not wait for Redis that stands still, and believes nothing it cached meanwhile', async () => {
    const kept = session();
    await one.sessions.create(kept);
    let gaps = 0;
    one.pubSub.onGap(() => gaps++);
    await server.pause();
    await assert.rejects(one.sessions.read(kept.key), DependencyUnavailable);
    await assert.rejects(one.sessions.end(kept.key), DependencyUnavailable);
    await until('it is known to be deaf', () => !one.pubSub.complete);
    await sleep(1_500);
    await server.resume();
    await until('it answers again', answers(one));
    await until('the gap was told', () => gaps === 2);
    assert.ok((await one.sessions.create(kept)) === undefined && (await one.sessions.read(kept.key)));
  });

  it('notices that only its subscription was cut', async () => {
    let gaps = 0;
    one.pubSub.onGap(() => gaps++);
    assert.equal(one.pubSub.complete, true);
    const admin = new Redis({ port: server.port, protocol: 2 });
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    admin.disconnect();
    await until('both ends of the gap were told', () => gaps === 2);
    assert.equal(one.pubSub.complete, true);
    assert.equal(await one.problem(), undefined);
  });

  it('comes up without Redis, tells it without the password, and is ready once it is there', async () => {
    const [port] = await freePorts(1);
    const registry = new Registry();
    let log = '';
    const destination = new Writable({
      write: (chunk, _encoding, done) => {
        log += String(chunk);
        done();
      },
    });
    const stores = await open(
      { url: `redis://127.0.0.1:${port}`, username: 'someone', password: 'wr0ng-s3cret', connectTimeout: '300ms' },
      { log: createLogger('test', 'debug', destination), metrics: createStoreMetrics(registry) },
    );
    let late: RedisServer | undefined;
    try {
      assert.equal(await stores.problem(), 'Redis does not answer');
      assert.match(await registry.metrics(), /postern_store_up 0/);
      late = await startRedis(program, { port: port as number, config: ['user someone on >another ~* &* +@all'] });
      await sleep(1_200);
      const error = await stores.sessions.read('x').catch((thrown: Error) => thrown);
      assert.ok(error instanceof DependencyUnavailable);
      const admin = new Redis({ port: port as number, protocol: 2 });
      await admin.call('ACL', 'SETUSER', 'someone', '>wr0ng-s3cret');
      admin.disconnect();
      await until('it answers', answers(stores));
      assert.match(await registry.metrics(), /postern_store_up 1/);
      assert.match(await registry.metrics(), /postern_store_duration_seconds_count\{operation="session_read"\} 1/);
      assert.match(log, /connected to the session store/);
      assert.match(log, /the session store is away/);
      assert.ok(!log.includes('wr0ng-s3cret'));
      assert.ok(!JSON.stringify(error, Object.getOwnPropertyNames(error)).includes('wr0ng-s3cret'));
    } finally {
      await stores.close();
      await late?.stop();
    }
  });
});

describe('groups of servers that lose one', () => {
  it('goes on with the new master after Sentinel failed over, with all that was replicated', async function () {
    this.timeout(200_000);
    const group = await startSentinel(await programOrSkip(this, 'redis'));
    const nodes = group.sentinels.map(({ port }) => `127.0.0.1:${port}`);
    const stores = await open({ sentinel: { master: 'main', nodes }, timeout: '500ms' });
    try {
      const kept = Array.from({ length: 20 }, () => session());
      await Promise.all(kept.map((entry) => stores.sessions.create(entry)));
      const admin = new Redis({ port: group.master.port, protocol: 2 });
      await until('it is replicated', async () => {
        const info = await admin.info('replication');
        return /offset=(\d+)/.exec(info)?.[1] === /master_repl_offset:(\d+)/.exec(info)?.[1];
      });
      admin.disconnect();
      const outcomes = { written: 0, away: 0, other: 0 };
      let writing = true;
      const writer = (async () => {
        while (writing) {
          await stores.sessions.create(session()).then(
            () => outcomes.written++,
            (error) => (error instanceof DependencyUnavailable ? outcomes.away++ : outcomes.other++),
          );
          await sleep(10);
        }
      })();
      await group.master.kill();
      await until('the old master is missed', () => outcomes.away > 0);
      const before = outcomes.written;
      await until('the new one is written to', () => outcomes.written > before + 5);
      writing = false;
      await writer;
      assert.equal(outcomes.other, 0);
      await until('it answers', answers(stores));
      for (const entry of kept) assert.deepEqual(await stores.sessions.read(entry.key), entry);
    } finally {
      await stores.close();
      await group.stop();
    }
  });

  it('has a cluster whose node is gone answer 503, and work again when it is back', async function () {
    this.timeout(200_000);
    const cluster = await startCluster(await programOrSkip(this, 'redis'));
    const nodes = cluster.servers.map(({ port }) => `127.0.0.1:${port}`);
    const stores = await open({ cluster: { nodes }, timeout: '400ms' });
    try {
      const kept = Array.from({ length: 12 }, () => session());
      await Promise.all(kept.map((entry) => stores.sessions.create(entry)));
      const lost = cluster.servers[1] as RedisServer;
      await lost.kill();
      const results = await Promise.allSettled(kept.map((entry) => stores.sessions.read(entry.key)));
      const failed = results.filter((result) => result.status === 'rejected');
      assert.ok(failed.length > 0);
      for (const { reason } of failed) assert.ok(reason instanceof DependencyUnavailable);
      await lost.restart();
      await until('all sessions are there again', async () => {
        const again = await Promise.allSettled(kept.map((entry) => stores.sessions.read(entry.key)));
        return again.every((result) => result.status === 'fulfilled' && result.value !== undefined);
      });
      await until('it answers', answers(stores));
    } finally {
      await stores.close();
      await cluster.stop();
    }
  });
});
