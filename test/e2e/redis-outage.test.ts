import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AUDIENCE, type Gate, type Replica, startGate } from '../support/gate-replicas.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

type Kind = 'session' | 'ended' | 'bearer' | 'limited';

interface Answered {
  readonly kind: Kind;
  readonly phase: string;
  readonly status: number;
  readonly retryAfter: string | null;
  readonly cookies: readonly string[];
  /** Milliseconds. */
  readonly took: number;
}

/** Milliseconds between two rounds of one request of each kind: about a hundred requests in a second. */
const ROUND = 40;
/** Requests of one address in a second, of about 25. */
const LIMIT = 5;
const SESSIONS = 10;

describe('a Redis that stands still, dies and comes back, under load', () => {
  let redis: RedisServer;
  let gate: Gate;
  let replica: Replica;
  let bearer: string;
  let phase = 'healthy';
  const answered: Answered[] = [];
  const alive: string[] = [];
  const ended: string[] = [];

  before(async function () {
    this.timeout(120_000);
    redis = await startRedis(await programOrSkip(this, 'redis'));
    gate = await startGate(1, {
      redis: { url: redis.url },
      auth: {
        sessions: { keys: randomBytes(32).toString('base64url') },
        rateLimits: [{ by: 'address', limit: LIMIT, per: '1s', path: '/app/limited/**' }],
      },
    });
    replica = gate.replicas[0] as Replica;
    bearer = await gate.provider.mint({ sub: 'alice', aud: AUDIENCE });
    for (let count = 0; count < SESSIONS; count++) alive.push((await gate.signIn('alice')).cookie);
    ended.push(await endedSession());
  });

  after(async function () {
    this.timeout(60_000);
    await gate?.stop();
    await redis?.stop();
  });

  /** The cookie of a person whom the provider signed out again. */
  async function endedSession(): Promise<string> {
    const { person, cookie } = await gate.signIn('bob');
    assert.equal(await statusOf({ Cookie: cookie }), 200);
    const page = await person.visit(`${gate.provider.issuer}/session/end`);
    await person.submit(page, { logout: 'yes' });
    assert.equal(await statusOf({ Cookie: cookie }), 401);
    return cookie;
  }

  async function statusOf(headers: Readonly<Record<string, string>>): Promise<number> {
    const answer = await replica.check(headers);
    await answer.body?.cancel();
    return answer.status;
  }

  /** What is done to Redis takes its time, an engine's most of all: meanwhile either may be true. */
  async function from(name: string, change: () => Promise<void>): Promise<void> {
    phase = name;
    await change();
  }

  async function ask(kind: Kind, headers: Readonly<Record<string, string>>, path: string): Promise<void> {
    const begun = phase;
    const start = performance.now();
    const answer = await replica.check(headers, path);
    await answer.body?.cancel();
    answered.push({
      kind,
      // What began in one phase and ended in the next says nothing about either.
      phase: begun === phase ? phase : `${begun} → ${phase}`,
      status: answer.status,
      retryAfter: answer.headers.get('retry-after'),
      cookies: answer.headers.getSetCookie(),
      took: performance.now() - start,
    });
  }

  async function load(signal: AbortSignal): Promise<void> {
    const running = new Set<Promise<void>>();
    const begin = (kind: Kind, headers: Readonly<Record<string, string>>, path: string) => {
      const one: Promise<void> = ask(kind, headers, path).finally(() => running.delete(one));
      running.add(one);
    };
    for (let round = 0; !signal.aborted; round++) {
      begin('session', { Cookie: alive[round % alive.length] as string }, '/app/page');
      begin('ended', { Cookie: ended[round % ended.length] as string }, '/app/page');
      begin('bearer', { Authorization: `Bearer ${bearer}` }, '/app/page');
      begin('limited', { Authorization: `Bearer ${bearer}` }, '/app/limited/page');
      await sleep(ROUND);
    }
    await Promise.all(running);
  }

  const readyz = async (query = '?strict') => {
    const answer = await fetch(`${replica.internal}/readyz${query}`);
    await answer.body?.cancel();
    return answer.status;
  };
  /** Bearer tokens are served all the same, so that no probe takes the process away. */
  const stillReady = async () => assert.equal(await readyz(''), 200, phase);
  const sessionWorks = async () => (await statusOf({ Cookie: alive[0] as string })) === 200;

  it('costs no session, ends none, and lets none back in', async function () {
    this.timeout(120_000);
    const stop = new AbortController();
    const loading = load(stop.signal);
    try {
      await sleep(2_000);
      assert.equal(await readyz(), 200);

      await from('healthy to still', redis.pause);
      phase = 'standing still';
      await until('not ready while Redis stands still', async () => (await readyz()) === 503);
      await stillReady();
      await sleep(2_500);
      await from('still to going on', redis.resume);
      phase = 'going on';
      await until('ready after Redis goes on', async () => (await readyz()) === 200);
      await until('sessions after Redis goes on', sessionWorks);
      phase = 'gone on';
      await sleep(2_500);

      // The last things that Redis acknowledges before it dies.
      const leaving = await gate.signIn('alice');
      alive.push(leaving.cookie);
      ended.push(await endedSession());
      await from('gone on to dead', redis.kill);
      phase = 'dead';
      await until('not ready while Redis is dead', async () => (await readyz()) === 503);
      await stillReady();
      // A sign-out that cannot be kept is not claimed.
      const signOut = await leaving.person.visit(`${gate.publicUrl}/_postern/sign-out`);
      assert.equal(signOut.status, 503);
      assert.equal(leaving.person.cookie('127.0.0.1'), leaving.cookie);
      await sleep(2_500);
      await from('dead to coming back', redis.restart);
      phase = 'coming back';
      await until('ready after Redis came back', async () => (await readyz()) === 200);
      await until('sessions after Redis came back', sessionWorks);
      phase = 'back';
      await sleep(2_500);
    } finally {
      stop.abort();
      await loading;
    }
    console.log(table());

    const of = (kind: Kind) => answered.filter((one) => one.kind === kind);
    const inPhase = (kind: Kind, name: string) => of(kind).filter((one) => one.phase === name);
    for (const { status, retryAfter, cookies } of of('session')) {
      assert.ok(status === 200 || (status === 503 && Number(retryAfter) > 0), `session: ${status} ${retryAfter}`);
      assert.ok(!cookies.some((text) => /max-age=0/i.test(text)), 'a session cookie was removed');
    }
    for (const { status } of of('ended')) assert.ok(status === 401 || status === 503, `ended session: ${status}`);
    assert.deepEqual([...new Set(of('bearer').map(({ status }) => status))], [200]);
    for (const name of ['healthy', 'gone on', 'back'])
      assert.deepEqual([...new Set(inPhase('session', name).map(({ status }) => status))], [200], name);
    for (const name of ['healthy', 'standing still', 'gone on', 'dead', 'back']) {
      const statuses = inPhase('limited', name).map(({ status }) => status);
      assert.deepEqual([...new Set(statuses)].sort(), [200, 429], `${name}: limited, and not refused altogether`);
    }
    for (const cookie of alive) assert.equal(await statusOf({ Cookie: cookie }), 200);
    for (const cookie of ended) assert.equal(await statusOf({ Cookie: cookie }), 401);
  });

  function table(): string {
    const lines = new Map<string, Map<string, number>>();
    for (const { phase: name, kind, status } of answered) {
      const line = lines.get(name) ?? new Map<string, number>();
      lines.set(name, line.set(`${kind} ${status}`, (line.get(`${kind} ${status}`) ?? 0) + 1));
    }
    const rows = [...lines].map(([name, counts]) => {
      const text = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => `${what}: ${count}`);
      return `      ${name.padEnd(32)} ${text.join(', ')}`;
    });
    const slowest = Math.max(...answered.map(({ took }) => took));
    return [...rows, `      slowest answer: ${slowest.toFixed(0)} ms, answers: ${answered.length}`].join('\n');
  }
});
