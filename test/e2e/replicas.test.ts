import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Gate, type Replica, startGate } from '../support/gate-replicas.ts';
import { type PausablePipe, startPipe } from '../support/pausable-pipe.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

/** Seconds. A refresh comes after half of it at the earliest, so that none shows the end of a session before it was heard. */
const ACCESS_TOKEN = 4;
/** Milliseconds in which the other replica must have noticed. */
const NOTICED = 1_000;

describe('two forward-auths with one Redis', () => {
  let redis: RedisServer;
  let pipe: PausablePipe;
  let gate: Gate;
  let first: Replica;
  let second: Replica;

  before(async function () {
    this.timeout(120_000);
    redis = await startRedis(await programOrSkip(this, 'redis'));
    pipe = await startPipe(redis.port);
    gate = await startGate(2, {
      redis: (index) => ({ url: index === 0 ? redis.url : `redis://127.0.0.1:${pipe.port}` }),
      auth: { sessions: { keys: randomBytes(32).toString('base64url') } },
      provider: { accessTokenLifetime: ACCESS_TOKEN, slowness: 300 },
    });
    [first, second] = gate.replicas as [Replica, Replica];
  });

  after(async function () {
    this.timeout(60_000);
    await gate?.stop();
    await pipe?.stop();
    await redis?.stop();
  });

  const refreshes = () => gate.provider.tokenRequests.filter(({ grant }) => grant === 'refresh_token');
  const statusAt = async (replica: Replica, cookie: string) => {
    const answer = await replica.check({ Cookie: cookie });
    await answer.body?.cancel();
    return answer.status;
  };
  /** @returns milliseconds until a replica refuses; fails where it still lets through after the time allowed */
  const untilRefused = async (replica: Replica, cookie: string): Promise<number> => {
    const start = performance.now();
    for (;;) {
      const asked = performance.now() - start;
      if ((await statusAt(replica, cookie)) === 401) return asked;
      assert.ok(asked < NOTICED, 'the session is still let through');
      await sleep(10);
    }
  };

  it('know a session of the other', async () => {
    const { cookie } = await gate.signIn('alice');
    assert.deepEqual([await statusAt(first, cookie), await statusAt(second, cookie)], [200, 200]);
  });

  it('ask the provider once for new tokens, whoever is asked at expiry', async function () {
    this.timeout(60_000);
    const { cookie } = await gate.signIn('alice');
    // Twice, because the provider takes each refresh token once and revokes everything at the second use.
    for (const round of [1, 2]) {
      await sleep(ACCESS_TOKEN * 1_000 + 100);
      const before = refreshes().length;
      const statuses = await Promise.all(
        Array.from({ length: 200 }, (_, at) => statusAt(at % 2 === 0 ? first : second, cookie)),
      );
      assert.deepEqual([...new Set(statuses)], [200], `round ${round}`);
      assert.deepEqual(refreshes().slice(before), [{ grant: 'refresh_token', status: 200 }], `round ${round}`);
    }
  });

  it('both refuse a session that was ended by sign-out at one of them', async () => {
    const { person, cookie } = await gate.signIn('alice');
    assert.deepEqual([await statusAt(first, cookie), await statusAt(second, cookie)], [200, 200]);
    const page = await person.visit(`${gate.publicUrl}/_postern/sign-out`);
    await person.submit(page);
    assert.equal(await statusAt(first, cookie), 401);
    console.log(`      the other replica after ${(await untilRefused(second, cookie)).toFixed(0)} ms`);
  });

  it('both refuse a session that the provider ended by back channel', async () => {
    const { person, cookie } = await gate.signIn('bob');
    assert.deepEqual([await statusAt(first, cookie), await statusAt(second, cookie)], [200, 200]);
    const page = await person.visit(`${gate.provider.issuer}/session/end`);
    await person.submit(page, { logout: 'yes' });
    const waited = await Promise.all([untilRefused(first, cookie), untilRefused(second, cookie)]);
    console.log(`      after ${waited.map((time) => time.toFixed(0)).join(' and ')} ms`);
    assert.deepEqual(gate.provider.logoutFailures, []);
  });

  it('let nobody in by memory where one of them cannot hear that a session ended', async () => {
    const { person, cookie } = await gate.signIn('alice');
    assert.deepEqual([await statusAt(first, cookie), await statusAt(second, cookie)], [200, 200]);
    pipe.pause();
    try {
      await person.submit(await person.visit(`${gate.publicUrl}/_postern/sign-out`));
      assert.equal(await statusAt(first, cookie), 401);
      const start = performance.now();
      let status = await statusAt(second, cookie);
      while (status === 200) {
        assert.ok(performance.now() - start < NOTICED, 'still let through by memory');
        await sleep(10);
        status = await statusAt(second, cookie);
      }
      assert.equal(status, 503, 'it cannot know');
    } finally {
      pipe.resume();
    }
    await until('the second one knows again', async () => (await statusAt(second, cookie)) === 401);
  });

  it('keep sessions over a restart', async function () {
    this.timeout(60_000);
    const { cookie } = await gate.signIn('alice');
    await second.restart();
    assert.equal(await statusAt(second, cookie), 200);
  });
});
