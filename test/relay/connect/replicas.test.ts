import assert from 'node:assert/strict';
import { programOrSkip } from '../../support/programs.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { endAll, type RelayUnderTest, relay } from '../support/relay.ts';
import { type Connecting, ConnectingPerson, startConnecting } from './support/connecting.ts';
import { CLIENT_SECRET } from './support/upstream-provider.ts';

const FIRST = Buffer.alloc(32, 1).toString('base64url');
const SECOND = Buffer.alloc(32, 2).toString('base64url');

describe('accounts behind several replicas', function () {
  this.timeout(60_000);
  let redis: RedisServer;
  let now: number;
  let first: Connecting;

  before(async function () {
    redis = await startRedis(await programOrSkip(this, 'redis'));
  });
  after(() => redis?.stop());
  beforeEach(async () => {
    now = Date.now();
    first = await startConnecting({
      now: () => now,
      relay: { connections: { keys: FIRST } },
      redis: { url: redis.url, timeout: '300ms' },
    });
  });
  afterEach(endAll);

  const another = (keys: string, issuer = first.house.issuer): Promise<RelayUnderTest> => {
    const { url } = first.house;
    const connection = { issuer, clientId: 'relay', clientSecret: { value: CLIENT_SECRET }, scopes: ['notes:read'] };
    return relay(
      { connections: { keys }, servers: { one: { url, credential: { connection } } } },
      { publicUrl: first.origin, now: () => now, redis: { url: redis.url } },
    );
  };

  it('are renewed once for all: a provider ends the grant whose refresh token comes twice', async () => {
    const second = await another(FIRST);
    const alice = new ConnectingPerson(first.origin, `alice-${crypto.randomUUID()}`);
    await alice.connect();
    for (let round = 1; round <= 3; round++) {
      now += 601_000;
      const ports = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? first.port : second.port));
      const answers = await Promise.all(ports.map((port) => alice.who(port)));
      assert.deepEqual(new Set(answers), new Set(['alice']), `round ${round}`);
      assert.equal(first.house.tokenRequests.length, 1 + round, 'one refresh a round');
    }
  });

  it('end everywhere at once when they are disconnected', async () => {
    const second = await another(FIRST);
    const alice = new ConnectingPerson(first.origin, `alice-${crypto.randomUUID()}`);
    await alice.connect();
    assert.equal(await alice.who(second.port), 'alice');
    await alice.send('disconnect');
    assert.match(String(await alice.who(second.port)), /not connected/);
  });

  it('outlive a rotation of the keys, and are worth nothing without them', async () => {
    const alice = new ConnectingPerson(first.origin, `alice-${crypto.randomUUID()}`);
    await alice.connect();
    const rotated = await another(`${SECOND},${FIRST}`);
    assert.equal(await alice.who(rotated.port), 'alice');
    now += 601_000;
    assert.equal(await alice.who(rotated.port), 'alice', 'renewed, and so sealed by the new key');
    const later = await another(SECOND);
    assert.equal(await alice.who(later.port), 'alice');
    assert.match(String(await alice.who(first.port)), /not connected/);
  });

  it('are not used, and not shown to anybody, where the configuration names another provider by now', async () => {
    const alice = new ConnectingPerson(first.origin, `alice-${crypto.randomUUID()}`);
    await alice.connect();
    const elsewhere = await another(FIRST, 'https://other.example');
    const asked = first.house.seen.length;
    assert.match(String(await alice.who(elsewhere.port)), /has ended/);
    assert.equal(first.house.seen.length, asked);
  });

  it('are a 503 while Redis stands still, and nothing is forgotten', async () => {
    const alice = new ConnectingPerson(first.origin, `alice-${crypto.randomUUID()}`);
    await alice.connect();
    await redis.pause();
    const asked = first.house.seen.length;
    const answer = await alice.call(first.port);
    await redis.resume();
    assert.equal(answer.status, 503);
    assert.equal(first.house.seen.length, asked);
    await until('the store answers again', async () => (await alice.who(first.port)) === 'alice');
  });
});
