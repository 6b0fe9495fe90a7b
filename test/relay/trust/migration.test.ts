import assert from 'node:assert/strict';
import { SignJWT } from 'jose';
import { afterEach, describe, it } from 'mocha';
import { ANONYMOUS } from '../../../src/identity/identity.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { MigrationMethods } from '../../../src/relay/trust/migration-methods.ts';
import { MigrationReport } from '../../../src/relay/trust/migration-report.ts';
import { runPostern } from '../../support/run-postern.ts';
import { ask, ECHO, endAll, type RelayUnderTest, relay, upstream } from '../support/relay.ts';

const SECRET = 'a-secret-of-the-test-with-enough-bytes';
const OPERATOR = 'operator-token-of-a-test';

async function token(subject: string): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(subject)
    .setIssuer('mcpgateway')
    .setAudience('mcpgateway-api')
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET));
}

async function start(migration: object = {}, more: object = {}): Promise<RelayUnderTest> {
  return relay({
    servers: { one: { url: await upstream(ECHO) } },
    jwt: { enabled: true, secretKey: SECRET },
    trust: {},
    migration,
    operatorToken: OPERATOR,
    ...more,
  });
}

const byJwt = async (user: string) => ['Authorization', `Bearer ${await token(user)}`];
const byProxy = (user: string) => ['X-Authenticated-User', `id-of-${user}`, 'X-Authenticated-Email', user];
const PEOPLE = Array.from({ length: 40 }, (_, index) => `person${index}@example.com`);

async function statusOf({ port }: RelayUnderTest, headers: string[]): Promise<number> {
  return (await ask(port, { headers })).status;
}

/** Relayed requests by way, as the metric has them. */
async function ways(running: RelayUnderTest): Promise<Record<string, number>> {
  const lines = (await running.metrics()).matchAll(
    /^postern_relay_requests_total\{server="one",method="(\w+)",outcome="relayed"\} (\d+)$/gm,
  );
  return Object.fromEntries([...lines].map(([, way, count]) => [way, Number(count)]));
}

interface Listed {
  users: Array<{ user: string; ways: Record<string, { requests: number }> }>;
}

async function report(running: RelayUnderTest, query = '', authorization = `Bearer ${OPERATOR}`) {
  const response = await fetch(`http://127.0.0.1:${running.internalPort}/migration${query}`, {
    headers: { Authorization: authorization },
  });
  return { status: response.status, body: (await response.json()) as Listed };
}

describe('a migration from JWTs to a proxy', () => {
  afterEach(endAll);

  it('goes from all JWT to none, with nobody shut out on the way', async () => {
    // Before: nobody has seen the proxy yet.
    const before = await start();
    for (const user of PEOPLE) assert.equal(await statusOf(before, await byJwt(user)), 200);
    assert.deepEqual(await ways(before), { jwt: 40 });
    await endAll();

    // A part is held to the proxy: their clients have moved, everybody else's have not.
    const half = await start({ proxyOnly: { users: ['person0@example.com'], share: 50 } });
    const moved: string[] = [];
    for (const user of PEOPLE) {
      const status = await statusOf(half, await byJwt(user));
      if (status === 401) moved.push(user);
      else assert.equal(status, 200);
    }
    assert.ok(moved.includes('person0@example.com'));
    assert.ok(moved.length > 8 && moved.length < 32, String(moved.length));
    for (const user of moved) assert.equal(await statusOf(half, byProxy(user)), 200);
    assert.deepEqual(await ways(half), { jwt: PEOPLE.length - moved.length, proxy: moved.length });
    const late = await report(half, '?way=jwt');
    assert.deepEqual(
      late.body.users.map(({ user }) => user).sort(),
      PEOPLE.filter((user) => !moved.includes(user)).sort(),
    );
    await endAll();

    // All moved, both still allowed: the count of JWTs is what says that it is done.
    const all = await start();
    for (const user of PEOPLE) assert.equal(await statusOf(all, byProxy(user)), 200);
    assert.deepEqual(await ways(all), { proxy: 40 });
    assert.deepEqual((await report(all, '?way=jwt')).body.users, []);
    await endAll();

    // After: the relay checks no JWT at all.
    const after = await start({}, { jwt: { enabled: false } });
    assert.equal(await statusOf(after, await byJwt('person1@example.com')), 401);
    assert.equal(await statusOf(after, byProxy('person1@example.com')), 200);
  });

  it('holds people to one way by their subject or address, and says so', async () => {
    const running = await start({
      proxyOnly: { users: ['Alice@example.com'] },
      jwtOnly: { users: ['id-of-bob@example.com'] },
    });
    assert.equal(await statusOf(running, await byJwt('alice@example.com')), 401);
    assert.equal(await statusOf(running, byProxy('alice@example.com')), 200);
    assert.equal(await statusOf(running, byProxy('bob@example.com')), 401);
    assert.equal(await statusOf(running, await byJwt('id-of-bob@example.com')), 200);
    const metrics = await running.metrics();
    assert.match(metrics, /rejected_total\{reason="held_to_proxy"\} 1/);
    assert.match(metrics, /rejected_total\{reason="held_to_jwt"\} 1/);
    assert.ok(running.logs.some((line) => line.includes('relay.migration.proxyOnly holds this user to the proxy')));
  });

  it('takes both at once for one person, though each names them in its own way, and never for two', async () => {
    const running = await start({ proxyOnly: { users: ['alice@example.com'] } });
    const both = [...byProxy('alice@example.com'), ...(await byJwt('alice@example.com'))];
    assert.equal(await statusOf(running, both), 200);
    const mixed = [...byProxy('alice@example.com'), ...(await byJwt('bob@example.com'))];
    assert.equal(await statusOf(running, mixed), 401);
    assert.deepEqual(await ways(running), { both: 1 });
  });

  it('has a report for operators only', async () => {
    const running = await start();
    await ask(running.port, { headers: await byJwt('alice@example.com') });
    await ask(running.port, { headers: byProxy('alice@example.com') });
    await ask(running.port, { headers: byProxy('bob@example.com') });
    const { body } = await report(running);
    assert.deepEqual(body.users.map(({ user, ways: used }) => [user, Object.keys(used).sort().join()]).sort(), [
      ['alice@example.com', 'jwt,proxy'],
      ['bob@example.com', 'proxy'],
    ]);
    assert.equal((await report(running, '?way=pigeon')).status, 400);
    assert.equal((await report(running, '', 'Bearer wrong')).status, 401);
    const relayed = await ask(running.port, {
      method: 'GET',
      path: '/migration',
      headers: byProxy('alice@example.com'),
    });
    assert.equal(relayed.status, 404);
  });

  it('has a command', async function () {
    this.timeout(30_000);
    const running = await start();
    await ask(running.port, { headers: await byJwt('alice@example.com') });
    const env = {
      POSTERN_RELAY_INTERNAL_LISTEN: `127.0.0.1:${running.internalPort}`,
      POSTERN_RELAY_OPERATOR_TOKEN: OPERATOR,
    };
    const [told, without] = await Promise.all([
      runPostern(['migration', '--way', 'jwt'], env),
      runPostern(['migration'], { ...env, POSTERN_RELAY_OPERATOR_TOKEN: '' }),
    ]);
    assert.equal(told.code, 0, told.stderr);
    assert.equal(JSON.parse(told.stdout).user, 'alice@example.com');
    assert.match(told.stderr, /^1 user since /);
    assert.equal(without.code, 78);
    assert.match(without.stderr, /relay\.operatorToken/);
  });
});

describe('who is held to one way', () => {
  const held = (proxy: number, jwt = 0) => {
    const { migration } = parseConfig({
      relay: {
        jwt: { enabled: true, secretKey: SECRET },
        migration: { proxyOnly: { share: proxy }, jwtOnly: { share: jwt } },
      },
    }).relay;
    const users = new MigrationMethods(migration);
    return (email: string) => users.of({ ...ANONYMOUS, subject: 'whatever', email, method: 'bearer' });
  };

  it('a growing share only adds people, and every replica holds the same', () => {
    const shares = [0, 1, 10, 50, 99, 100].map((share) => held(share));
    for (const user of PEOPLE) {
      const verdicts = shares.map((of) => of(user) === 'proxy');
      assert.deepEqual(verdicts, [...verdicts].sort(), user);
      assert.equal(held(50)(user), held(50)(user.toUpperCase()));
    }
    assert.ok(PEOPLE.every((user) => held(0)(user) === undefined && held(100)(user) === 'proxy'));
    assert.ok(PEOPLE.every((user) => held(40, 60)(user) !== undefined));
  });

  it('settings that cannot be meant are refused', () => {
    const wrong = (relayConfig: object) => () => parseConfig({ relay: relayConfig });
    const jwt = { enabled: true, secretKey: SECRET };
    assert.throws(wrong({ migration: { proxyOnly: { share: 10 } } }), /needs both ways/);
    assert.throws(wrong({ jwt, migration: { proxyOnly: { share: 60 }, jwtOnly: { share: 60 } } }), /more than 100/);
    assert.throws(wrong({ jwt, migration: { proxyOnly: { users: ['a'] }, jwtOnly: { users: ['a'] } } }), /as well/);
    assert.throws(wrong({ jwt, migration: { proxyOnly: { share: 101 } } }), /share/);
  });
});

describe('the report of a migration', () => {
  it('is bounded and says what it forgot', () => {
    let now = 0;
    const kept = new MigrationReport(10, () => now);
    for (let index = 0; index < 25; index += 1) {
      now = index;
      kept.note({ ...ANONYMOUS, subject: `user${index}`, method: 'bearer' }, index % 2 === 0 ? 'jwt' : 'proxy');
    }
    const { users, forgotten } = kept.read();
    assert.equal(users.length, 10);
    assert.equal(forgotten, 15);
    assert.equal(users[0]?.user, 'user24');
    assert.ok(kept.read('jwt').users.every(({ ways: used }) => used.jwt !== undefined));
  });
});
