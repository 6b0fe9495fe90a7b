import assert from 'node:assert/strict';
import { programOrSkip } from '../../support/programs.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { type BrokerGate, openBrokerGate } from '../mcp-authorization/support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from '../mcp-authorization/support/mcp-client.ts';
import { RawClient } from '../mcp-authorization/support/raw-client.ts';

const MINUTE = 60_000;

for (const store of ['redis', 'valkey'] as const)
  describe(`an outage of the identity provider, at two replicas on ${store}`, function () {
    this.timeout(120_000);
    let redis: RedisServer;
    let one: BrokerGate;
    let two: BrokerGate;
    let callback: CallbackPage;
    before(async function () {
      redis = await startRedis(await programOrSkip(this, store));
      const settings = {
        redis: { url: redis.url },
        auth: { sessions: { keys: Buffer.alloc(32, 7).toString('base64url'), outageTimeout: '20m' } },
      };
      one = await openBrokerGate(settings);
      two = await openBrokerGate({ ...settings, like: { publicUrl: one.issuer, provider: one.provider } });
      callback = await openCallbackPage();
    });
    afterEach(() => {
      one.provider.outage = undefined;
    });
    after(async () => {
      await callback?.stop();
      await two?.stop();
      await one?.stop();
      await redis?.stop();
    });

    const pass = (milliseconds: number) => {
      for (const gate of [one, two]) gate.pass(milliseconds);
    };
    const enter = async () => {
      const client = await RawClient.register(one, callback.url);
      const token = (await client.tokens()).refresh_token;
      const isSignedIn = async (gate: BrokerGate) => {
        const headers = { Cookie: client.person.cookie('127.0.0.1') };
        return (await fetch(`${gate.issuer}/_postern/me`, { headers, redirect: 'manual' })).status === 200;
      };
      const grantAt = async (gate: BrokerGate) => {
        const { status, body } = await new RawClient(gate, client.id, client.redirect).refresh(token);
        return [status, body.error];
      };
      return { isSignedIn, grantAt };
    };

    for (const outage of [503, 429, 502, 'reset'] as const)
      it(`(${outage}) ends the session and its grants once it has lasted for outageTimeout`, async () => {
        const { isSignedIn, grantAt } = await enter();
        one.provider.outage = outage;
        // The access token of the session ends after 5 minutes, and nobody asks for a long time.
        pass(60 * MINUTE);
        assert.equal(await isSignedIn(one), true);
        assert.deepEqual(await grantAt(two), [503, 'temporarily_unavailable']);
        pass(19 * MINUTE);
        assert.deepEqual(await grantAt(one), [503, 'temporarily_unavailable']);
        assert.equal(await isSignedIn(two), true);
        pass(2 * MINUTE);
        assert.deepEqual(await grantAt(two), [400, 'invalid_grant']);
        assert.equal(await isSignedIn(one), false);
        assert.equal(await isSignedIn(two), false);
      });

    it('leaves the session and its grants as they were where the provider answers in time', async () => {
      const { isSignedIn, grantAt } = await enter();
      one.provider.outage = 503;
      pass(10 * MINUTE);
      assert.deepEqual(await grantAt(two), [503, 'temporarily_unavailable']);
      pass(15 * MINUTE);
      one.provider.outage = undefined;
      assert.deepEqual(await grantAt(one), [200, undefined]);
      pass(10 * MINUTE);
      assert.equal(await isSignedIn(two), true);
    });
  });
