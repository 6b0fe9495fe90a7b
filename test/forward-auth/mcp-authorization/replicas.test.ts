import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { programOrSkip } from '../../support/programs.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { type BrokerGate, openBrokerGate } from './support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from './support/mcp-client.ts';
import { RawClient } from './support/raw-client.ts';

describe('two replicas of the broker on one Redis', () => {
  let redis: RedisServer;
  let one: BrokerGate;
  let two: BrokerGate;
  let callback: CallbackPage;
  before(async function () {
    this.timeout(120_000);
    redis = await startRedis(await programOrSkip(this, 'redis'));
    const settings = {
      redis: { url: redis.url },
      auth: { sessions: { keys: Buffer.alloc(32, 7).toString('base64url') } },
      broker: { registration: { maxPerAddress: 100 } },
      watch: { key: Buffer.alloc(32, 8).toString('base64url') },
    };
    one = await openBrokerGate(settings);
    two = await openBrokerGate({ ...settings, like: { publicUrl: one.issuer, provider: one.provider } });
    callback = await openCallbackPage();
  });
  after(async () => {
    await callback?.stop();
    await two?.stop();
    await one?.stop();
    await redis?.stop();
  });

  /** The same client, asking the other replica for tokens. */
  const atTwo = (client: RawClient) => {
    const twin = new RawClient(two, client.id, client.redirect);
    return {
      exchange: (code: string) => twin.exchange(code, { code_verifier: client.verifier }),
      refresh: twin.refresh.bind(twin),
    };
  };

  it('finish what the other began, and sign with the same keys', async () => {
    const client = await RawClient.register(one, callback.url);
    const { status, body } = await atTwo(client).exchange(await client.code());
    assert.equal(status, 200, JSON.stringify(body));
    const token = String(body.access_token);
    assert.equal(decodeJwt(token).iss, one.issuer);
    for (const gate of [one, two]) assert.equal((await gate.check('github', token)).status, 200);
    assert.equal((await client.refresh(body.refresh_token)).status, 200);
    const jwks = async (gate: BrokerGate) => (await fetch(`${gate.issuer}/_postern/oauth/jwks`)).json();
    assert.deepEqual(await jwks(one), await jwks(two));
  });

  it('give one of many who bring a code at once its tokens, and all who bring a refresh token the same successor', async () => {
    const client = await RawClient.register(one, callback.url);
    const code = await client.code();
    const exchanged = await Promise.all(
      Array.from({ length: 8 }, (_none, at) => (at % 2 === 0 ? client : atTwo(client)).exchange(code)),
    );
    assert.ok(exchanged.filter(({ status }) => status === 200).length <= 1);
    const { refresh_token } = await client.tokens();
    const refreshed = await Promise.all(
      Array.from({ length: 8 }, (_none, at) => (at % 2 === 0 ? client : atTwo(client)).refresh(refresh_token)),
    );
    assert.ok(refreshed.every(({ status }) => status === 200));
    const successors = new Set(refreshed.map(({ body }) => body.refresh_token));
    assert.equal(successors.size, 1);
    const [successor] = successors;
    assert.equal((await atTwo(client).refresh(successor)).status, 200);
  });

  it('notice a used refresh token that comes again at the other', async () => {
    const client = await RawClient.register(one, callback.url);
    const { refresh_token: stolen } = await client.tokens();
    const { body } = await client.refresh(stolen);
    for (const gate of [one, two]) gate.pass(31_000);
    assert.equal((await atTwo(client).refresh(stolen)).body.error, 'invalid_grant');
    assert.equal((await client.refresh(body.refresh_token)).body.error, 'invalid_grant');
    await until('its access token is worth nothing at both', async () => {
      const asked = await Promise.all([one, two].map((gate) => gate.check('github', String(body.access_token))));
      return asked.every(({ status }) => status === 401);
    });
  });

  it('both refuse the access token of who signed out at one', async () => {
    const client = await RawClient.register(one, callback.url);
    const { access_token: token } = await client.tokens();
    assert.equal((await two.check('github', token)).status, 200);
    await client.person.submit(await client.person.visit(`${one.issuer}/_postern/sign-out`));
    await until('the other refuses it', async () => (await two.check('github', token)).status === 401);
  });

  it('keep nothing readable in Redis', async () => {
    const client = await RawClient.register(one, callback.url, { client_name: 'A name to look for' });
    const tokens = await client.tokens();
    const kept = everythingIn(redis.folder);
    assert.ok(kept.includes('oauth-clients'));
    for (const secret of ['A name to look for', client.id, tokens.refresh_token, 'alice', '"d":'])
      assert.ok(!kept.includes(secret), secret);
  });

  it('while Redis is away: nothing is given, nothing is lost, and tokens are still good', async function () {
    this.timeout(60_000);
    const client = await RawClient.register(one, callback.url);
    const { access_token: token, refresh_token: refresh } = await client.tokens();
    await redis.kill();
    const away = await client.refresh(refresh);
    assert.deepEqual([away.status, away.body.error], [503, 'temporarily_unavailable']);
    assert.equal((await one.check('github', token)).status, 200);
    await redis.restart();
    await until('Redis is back', async () => (await client.refresh(refresh)).status !== 503);
  });
});

/** What Redis has written to its disk. */
function everythingIn(folder: string): string {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
}
