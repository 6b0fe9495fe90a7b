import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { flood } from '../support/flood.ts';
import { AUDIENCE, type Gate, type Replica, startGate } from '../support/gate-replicas.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

/** Milliseconds of each flood. */
const DURATION = 2_500;
const CONNECTIONS = 250;

describe('forward-auth under a flood of strangers', () => {
  let redis: RedisServer;
  let gate: Gate;
  let replica: Replica;
  let known: Readonly<Record<string, Record<string, string>>>;
  let fresh: string[];

  before(async function () {
    this.timeout(120_000);
    redis = await startRedis(await programOrSkip(this, 'redis'));
    gate = await startGate(1, {
      redis: { url: redis.url },
      auth: {
        sessions: { keys: randomBytes(32).toString('base64url'), cache: { entryLifetime: '5m' } },
        apiKeys: { enabled: true },
        limits: { queueTimeout: '5ms' },
      },
    });
    replica = gate.replicas[0] as Replica;
    const { cookie } = await gate.signIn('alice');
    const bearer = await gate.provider.mint({ sub: 'alice', aud: AUDIENCE });
    known = { session: { Cookie: cookie }, bearer: { Authorization: `Bearer ${bearer}` } };
    fresh = await Promise.all(
      Array.from({ length: 3_000 }, (_, at) => gate.provider.mint({ sub: `person-${at}`, aud: AUDIENCE })),
    );
  });
  after(async function () {
    this.timeout(60_000);
    await gate?.stop();
    await redis?.stop();
  });

  const question = (field: string) =>
    [
      'GET /verify/traefik HTTP/1.1',
      `Host: ${new URL(gate.publicUrl).host}`,
      'X-Forwarded-Method: GET',
      'X-Forwarded-Proto: http',
      `X-Forwarded-Host: ${new URL(gate.publicUrl).host}`,
      'X-Forwarded-Uri: /app/',
      'X-Forwarded-For: 127.0.0.1',
      field,
      '',
      '',
    ].join('\r\n');

  /** Asks for those who are known, one after another, until the flood is over. */
  async function askKnown(signal: AbortSignal) {
    const took: number[] = [];
    const statuses: Record<string, number> = {};
    while (!signal.aborted) {
      for (const [kind, headers] of Object.entries(known)) {
        const start = performance.now();
        const answer = await replica.check(headers);
        await answer.body?.cancel();
        took.push(performance.now() - start);
        statuses[`${kind} ${answer.status}`] = (statuses[`${kind} ${answer.status}`] ?? 0) + 1;
      }
      await sleep(5);
    }
    took.sort((a, b) => a - b);
    return { statuses, p99: took[Math.floor(took.length * 0.99)] ?? 0 };
  }

  const forged = (token: string) => {
    const at = token.lastIndexOf('.') + 1;
    return token.slice(0, at) + randomBytes(256).toString('base64url');
  };
  let number = 0;
  const FLOODS: Readonly<Record<string, { next: () => string; refusal: number }>> = {
    'bad signatures': {
      next: () => question(`Authorization: Bearer ${forged(fresh[number++ % fresh.length] as string)}`),
      refusal: 401,
    },
    'unknown sessions': {
      next: () => question(`Cookie: __Host-postern=${randomBytes(32).toString('base64url')}`),
      refusal: 401,
    },
    'unknown keys': {
      next: () => {
        const id = String(number++).padStart(10, '0');
        return question(`Authorization: Bearer pst_${id}_${randomBytes(32).toString('base64url')}`);
      },
      refusal: 401,
    },
    // Of people without the group; more of them than are minted come again, and are known by then.
    'new tokens': {
      next: () => question(`Authorization: Bearer ${fresh[number++ % fresh.length] as string}`),
      refusal: 403,
    },
  };

  for (const [what, { next, refusal }] of Object.entries(FLOODS))
    it(`answers those whom it knows, and tells others to come again: ${what}`, async function () {
      this.timeout(60_000);
      for (const headers of Object.values(known))
        await until('the flood before is over', async () => (await replica.check(headers)).status === 200);
      const stop = AbortSignal.timeout(DURATION);
      const [{ statuses, withoutRetry }, good] = await Promise.all([
        flood(Number(new URL(replica.url).port), CONNECTIONS, next, stop),
        askKnown(stop),
      ]);
      console.log(`      ${what}: ${JSON.stringify(statuses)}; known: ${JSON.stringify(good)}`);
      assert.deepEqual(Object.keys(good.statuses).sort(), ['bearer 200', 'session 200']);
      const expected = new Set([String(refusal), '503']);
      assert.ok(
        Object.keys(statuses).every((status) => expected.has(status)),
        JSON.stringify(statuses),
      );
      assert.ok((statuses[503] ?? 0) > 0, 'some are refused');
      assert.ok((statuses[refusal] ?? 0) > 0, 'some are checked');
      assert.equal(withoutRetry, 0);
    });

  it('answers those whom it knows while a thousand connections send their bodies slowly', async function () {
    this.timeout(60_000);
    const sockets = Array.from({ length: 1_000 }, () => {
      const socket = connect(Number(new URL(replica.url).port), '127.0.0.1');
      socket.on('error', () => {});
      socket.write(
        `POST /_postern/sign-in HTTP/1.1\r\nHost: ${new URL(gate.publicUrl).host}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\n`,
      );
      return socket;
    });
    const dripping = setInterval(() => {
      for (const socket of sockets) if (socket.writable) socket.write('a');
    }, 250);
    try {
      const good = await askKnown(AbortSignal.timeout(DURATION));
      console.log(`      slow bodies: known: ${JSON.stringify(good)}`);
      assert.deepEqual(Object.keys(good.statuses).sort(), ['bearer 200', 'session 200']);
    } finally {
      clearInterval(dripping);
      for (const socket of sockets) socket.destroy();
    }
  });

  it('checks everybody again once the flood is over, and says in metrics and in one line how many it refused', async () => {
    const token = await gate.provider.mint({ sub: 'somebody', aud: AUDIENCE, groups: ['engineering'] });
    await until('strangers are checked', async () => {
      const answer = await replica.check({ Authorization: `Bearer ${token}` });
      return answer.status === 200;
    });
    const metrics = await (await fetch(`${replica.internal}/metrics`)).text();
    assert.match(metrics, /^postern_auth_decisions_total\{[^}]*reason="overloaded"\} [1-9]/m);
    assert.match(metrics, /^postern_auth_waiting_checks \d+$/m);
    const lines = replica.child.output.split('\n').filter((line) => line.includes('too much at once'));
    assert.ok(lines.length > 0 && lines.length < 20, `${lines.length} lines`);
    assert.ok(lines.every((line) => JSON.parse(line.slice(line.indexOf('{'))).count > 0));
  });
});
