import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { programOrSkip } from '../../support/programs.ts';
import { type Break, type RedisPipe, startRedisPipe } from '../../support/redis-pipe.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './support/mcp-client.ts';
import { RawClient } from './support/raw-client.ts';

const INTERVAL = 5_000;

/** Each step breaks in one way at each server: the whole matrix takes a minute and shows no more. */
const BREAKS = [
  ['redis', 'after'],
  ['valkey', 'before'],
] as const satisfies ReadonlyArray<readonly [string, Break]>;

for (const [server, where] of BREAKS)
  describe(`a refresh whose connection to ${server} breaks ${where} a command`, function () {
    this.timeout(240_000);
    let redis: RedisServer;
    let pipe: RedisPipe;
    let one: BrokerGate;
    let two: BrokerGate;
    let callback: CallbackPage;
    let direct: Redis;
    before(async function () {
      redis = await startRedis(await programOrSkip(this, server));
      pipe = await startRedisPipe(redis.port);
      direct = new Redis({ port: redis.port, protocol: 2 });
      const settings = {
        auth: { sessions: { keys: Buffer.alloc(32, 7).toString('base64url') } },
        broker: { refreshTokenReuseInterval: `${INTERVAL}ms` },
      };
      // A slow machine is no outage: only the pipe breaks here.
      const patient = { timeout: '20s' };
      one = await openBrokerGate({ ...settings, redis: { url: `redis://127.0.0.1:${pipe.port}`, ...patient } });
      const like = { publicUrl: one.issuer, provider: one.provider };
      two = await openBrokerGate({ ...settings, redis: { url: redis.url, ...patient }, like });
      callback = await openCallbackPage();
    });
    after(async () => {
      direct?.disconnect();
      await callback?.stop();
      await two?.stop();
      await one?.stop();
      await pipe?.stop();
      await redis?.stop();
    });

    /** A lock that could not be given back ends by itself, after longer than a test waits, and than a replica saves again. */
    const endLocks = async () => {
      await sleep(700);
      const locks = await direct.keys('*lock:*');
      if (locks.length > 0) await direct.del(...locks);
    };

    it('at whichever step costs nobody the grant, however late the client tries again', async () => {
      const client = await RawClient.register(one, callback.url);
      const twin = new RawClient(two, client.id, client.redirect);
      let token: unknown = (await client.tokens()).refresh_token;
      pipe.count();
      const calm = await client.refresh(token);
      assert.equal(calm.status, 200, JSON.stringify(calm.body));
      const steps = pipe.count();
      assert.ok(steps >= 6, `${steps} steps`);
      token = calm.body.refresh_token;
      const counts = { given: 0, interrupted: 0, kept: 0, lost: 0 };
      for (let step = 1; step <= steps; step++) {
        pipe.breakAt(step, where);
        const first = await client.refresh(token);
        assert.ok(first.status === 200 || first.status === 503, `${where} ${step}: ${JSON.stringify(first)}`);
        counts[first.status === 200 ? 'given' : 'interrupted'] += 1;
        assert.ok(pipe.broken() || first.status === 200, `${where} ${step}: it broke`);
        pipe.mend();
        await until('the first replica is back', async () => (await health(one)) === 200);
        await endLocks();
        for (const gate of [one, two]) gate.pass(INTERVAL + 1);
        // What was answered is used; what was not is brought again, at the other replica.
        const next = first.status === 200 ? first.body.refresh_token : token;
        const again = await twin.refresh(next);
        counts[again.status === 200 ? 'kept' : 'lost'] += 1;
        assert.equal(again.status, 200, `${where} ${step}: ${JSON.stringify([first, again])}`);
        token = again.body.refresh_token;
      }
      assert.deepEqual([counts.lost, counts.kept], [0, steps], JSON.stringify(counts));
      assert.ok(counts.interrupted >= steps / 2, JSON.stringify(counts));
    });

    it('and a token that comes again at the other replica long after its answer is theft all the same', async () => {
      const client = await RawClient.register(one, callback.url);
      const twin = new RawClient(two, client.id, client.redirect);
      const { refresh_token: token } = await client.tokens();
      const answers = await Promise.all([client.refresh(token), twin.refresh(token), twin.refresh(token)]);
      assert.equal(new Set(answers.map(({ body }) => body.refresh_token)).size, 1, JSON.stringify(answers));
      for (const gate of [one, two]) gate.pass(INTERVAL + 1);
      assert.equal((await twin.refresh(token)).body.error, 'invalid_grant');
      assert.equal((await client.refresh(answers[0]?.body.refresh_token)).body.error, 'invalid_grant');
    });
  });

async function health(gate: BrokerGate): Promise<number> {
  return (await fetch(`${gate.internal}/readyz`)).status;
}
