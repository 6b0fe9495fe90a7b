import assert from 'node:assert/strict';
import pino from 'pino';
import type { Stores } from '../../src/stores/stores.ts';
import { RecentEvents } from '../../src/watch/recent-events.ts';
import type { SecurityEvent } from '../../src/watch/security-event.ts';
import { openSharedWatch } from '../../src/watch/shared-watch.ts';
import { type RunningPrometheus, startPrometheus } from '../grafana/prometheus.ts';
import { open } from '../stores/open.ts';
import { HttpPerson } from '../support/http-person.ts';
import { programOrSkip } from '../support/programs.ts';
import { rawRequest } from '../support/raw-request.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';
import { type Alarm, startAlarm } from './watched/alarm.ts';
import { OPERATOR_HEADERS, startWatchedChain, WATCH_KEY, type WatchedChain } from './watched/watched-chain.ts';

/** Addresses in networks of their own, all of this machine. */
const HOME = '127.0.5.1';
const THIEF = '127.0.7.1';
const GUESSER = '127.0.8.1';
const INTRUDER = '127.0.9.1';
const RUNNER = '127.0.10.1';

const MCP = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];

describe('a quiet day, then an attack, through the real Traefik', function () {
  this.timeout(180_000);
  let redis: RedisServer;
  let alarm: Alarm;
  let chain: WatchedChain;
  let prometheus: RunningPrometheus;
  let stores: Stores;
  let recent: RecentEvents;
  let alice: HttpPerson;
  let key: { readonly id: string; readonly text: string };

  before(async function () {
    if (process.platform !== 'linux') return this.skip();
    const programs = {
      traefik: await programOrSkip(this, 'traefik'),
      redis: await programOrSkip(this, 'redis'),
      prometheus: await programOrSkip(this, 'prometheus'),
    };
    redis = await startRedis(programs.redis);
    alarm = await startAlarm();
    chain = await startWatchedChain(programs.traefik, redis.url, alarm);
    const { authInternal, relayInternal } = chain.ports;
    prometheus = await startPrometheus(programs.prometheus, {
      'postern-forward-auth': [`127.0.0.1:${authInternal}`],
      'postern-relay': [`127.0.0.1:${relayInternal}`],
    });
    stores = await open({ url: redis.url });
    const shared = openSharedWatch({ key: WATCH_KEY, maxEvents: 1_000 }, { stores, log: pino({ level: 'silent' }) });
    recent = new RecentEvents(1_000, shared);
  });
  after(async () => {
    await stores?.close();
    await prometheus?.stop();
    await chain?.stop();
    await alarm?.stop();
    await redis?.stop();
  });

  const call = (tool: string, headers: readonly string[], from: string) =>
    rawRequest(chain.ports.edge, '/servers/echo/mcp', {
      method: 'POST',
      headers: [...MCP, ...headers],
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: {} } }),
      from,
    });
  const operate = async (method: string, path: string, body?: object, token = chain.operatorToken) => {
    const answer = await rawRequest(chain.ports.authInternal, path, {
      method,
      headers: ['Authorization', `Bearer ${token}`, 'Content-Type', 'application/json'],
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: answer.body };
  };
  const cookie = () => ['Cookie', alice.cookie('127.0.0.1')];
  const apiKey = () => ['X-API-Key', key.text];
  /** As the admin pages of any process read them. */
  const events = async (): Promise<readonly SecurityEvent[]> => recent.list();
  const ofKind = async (kind: string) => (await events()).filter((event) => event.kind === kind);
  const alerts = async (from: number) => {
    const series = await prometheus.range('ALERTS{alertstate="firing"}', from, Date.now() / 1_000);
    return new Set(series.map(({ labels }) => `${labels.alertname} ${labels.kind ?? labels.reason ?? ''}`.trim()));
  };

  it('raises nothing on a quiet day', async () => {
    alice = new HttpPerson(HOME);
    await alice.signIn(`${chain.publicUrl}/servers/echo/mcp`, 'alice');
    const created = await operate('POST', '/api-keys', { subject: 'nightly', groups: ['engineering'] });
    assert.equal(created.status, 201, created.body);
    const { id, key: text } = JSON.parse(created.body) as { id: string; key: string };
    key = { id, text };
    for (let round = 0; round < 40; round++) {
      assert.equal((await call('add', cookie(), HOME)).status, 200);
      assert.equal((await call('add', apiKey(), RUNNER)).status, 200);
      // An agent that tries what it may not, a client whose token is over, and one that has none.
      if (round % 10 === 0) await call('delete_everything', cookie(), HOME);
      if (round % 10 === 1) await call('add', [], RUNNER);
    }
    const old = await chain.provider.mint({ sub: 'bob', aud: `${chain.publicUrl}/servers/echo/mcp`, exp: 1 });
    for (let one = 0; one < 40; one++) await call('add', ['Authorization', `Bearer ${old}`], RUNNER);
    // One who comes back with a state that is over, and signs in then.
    const bob = new HttpPerson(HOME);
    await bob.visit(`${chain.publicUrl}/_postern/callback?code=old&state=old`);
    await bob.signIn(`${chain.publicUrl}/servers/echo/mcp`, 'bob');
    await until('three scrapes', async () => {
      const [counted] = await prometheus.range(
        'sum(postern_auth_decisions_total{decision="allow"}) >= 80',
        Date.now() / 1_000 - 5,
        Date.now() / 1_000,
      );
      return (counted?.points.length ?? 0) > 3;
    });
    assert.deepEqual(await events(), []);
    const { body } = await rawRequest(chain.ports.relay, '/admin/api/security-events', { headers: OPERATOR_HEADERS });
    assert.deepEqual(JSON.parse(body), { watching: true, events: [] });
    assert.doesNotMatch(chain.logs(), /"event":"security"/);
    const total = await prometheus.range(
      'sum(postern_security_events_total)',
      Date.now() / 1_000 - 2,
      Date.now() / 1_000,
    );
    assert.equal(total[0]?.points.at(-1)?.[1], 0);
    const firing = [...(await alerts(Date.now() / 1_000 - 60))];
    assert.deepEqual(firing, []);
    assert.equal(alarm.heard.size, 0);
  });

  it('sees each part of an attack, by the kind that it is', async () => {
    // A name of one's own, through the proxy and past it.
    await call('add', ['X-Authenticated-User', 'alice'], INTRUDER);
    await rawRequest(chain.ports.relay, '/servers/echo/mcp', {
      method: 'POST',
      headers: [...MCP, 'X-Authenticated-User', 'alice'],
      body: '{}',
      from: INTRUDER,
    });
    // A cookie that was stolen, while its owner goes on.
    assert.equal((await call('add', cookie(), HOME)).status, 200);
    assert.equal((await call('add', cookie(), THIEF)).status, 200);
    // Whoever has it tries the tools that its owner may not use.
    for (let one = 0; one < 25; one++) await call(`delete_${one}`, cookie(), THIEF);
    // Callbacks and tokens that nobody issued.
    for (let one = 0; one < 12; one++)
      await new HttpPerson(GUESSER).visit(`${chain.publicUrl}/_postern/callback?code=${one}&state=guessed-${one}`);
    const forged = 'eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJhbGljZSJ9.';
    for (let one = 0; one < 35; one++) await call('add', ['Authorization', `Bearer ${forged}`], GUESSER);
    // A key after its end.
    assert.equal((await operate('DELETE', `/api-keys/${key.id}`)).status, 200);
    assert.equal((await call('add', apiKey(), RUNNER)).status, 401);
    // Somebody inside, at the operator's port.
    assert.equal((await operate('GET', '/sessions', undefined, 'guessed')).status, 401);

    const ofAlice = `${chain.provider.issuer}#alice`;
    const wanted = {
      concurrent_networks: { process: 'forward-auth', user: ofAlice, address: THIEF },
      failed_sign_ins: { process: 'forward-auth', address: GUESSER },
      many_denied_tools: { process: 'relay', user: ofAlice },
      old_api_key: {
        process: 'forward-auth',
        user: `${chain.publicUrl}/api-keys#nightly`,
        address: RUNNER,
        reason: 'revoked',
      },
      operator_refused: { process: 'forward-auth' },
      refused_credentials: { process: 'forward-auth', address: GUESSER },
      spoof_attempt: { address: INTRUDER },
    };
    await until('all are reported', async () => {
      const kinds = new Set((await events()).map(({ kind }) => kind));
      return Object.keys(wanted).every((kind) => kinds.has(kind as SecurityEvent['kind']));
    });
    await until('both forgeries are', async () => (await ofKind('spoof_attempt')).length === 2);
    const all = await events();
    assert.deepEqual([...new Set(all.map(({ kind }) => kind))].sort(), Object.keys(wanted).sort());
    for (const [kind, about] of Object.entries(wanted))
      for (const event of all.filter((one) => one.kind === kind))
        assert.deepEqual({ ...event, ...about }, event, JSON.stringify(event));
    assert.deepEqual(
      all
        .filter(({ kind }) => kind === 'spoof_attempt')
        .map(({ process, reason }) => [process, reason])
        .sort(),
      [
        ['forward-auth', 'client_header'],
        ['relay', 'spoof_attempt'],
      ],
    );
  });

  it('shows each to the operator, of both processes', async () => {
    const ask = (path: string) => rawRequest(chain.ports.relay, path, { headers: OPERATOR_HEADERS });
    const listed = await ask('/admin/api/security-events');
    assert.equal(listed.status, 200, listed.body);
    const iso = (at: number) => new Date(at).toISOString();
    const wanted = (await events()).map((event) => ({
      ...event,
      firstAt: iso(event.firstAt),
      lastAt: iso(event.lastAt),
    }));
    assert.deepEqual(JSON.parse(listed.body), { watching: true, events: wanted });
    const page = await ask('/admin/security');
    assert.equal(page.status, 200);
    for (const { kind, address } of await events()) {
      assert.ok(page.body.includes(kind.replaceAll('_', ' ')), kind);
      assert.ok(page.body.includes(address ?? ''), address);
    }
  });

  it('says so in the log, without a credential', () => {
    const lines = chain
      .logs()
      .split('\n')
      .filter((line) => line.includes('"event":"security"'));
    assert.equal(lines.length, 8, lines.join('\n'));
    for (const secret of [
      key.text,
      alice.cookie('127.0.0.1').split('=')[1] as string,
      chain.operatorToken,
      OPERATOR_HEADERS[1] as string,
      alarm.secret,
    ])
      assert.ok(!chain.logs().includes(secret));
  });

  it('raises the alert of each', async () => {
    const from = Date.now() / 1_000 - 60;
    const wanted = [
      'PosternCredentialMisused old_api_key',
      'PosternGuessing failed_sign_ins',
      'PosternGuessing operator_refused',
      'PosternGuessing refused_credentials',
      'PosternIdentityClaimed',
      'PosternSpoofAttempts spoof_attempt',
      'PosternUserUnusual concurrent_networks',
      'PosternUserUnusual many_denied_tools',
    ];
    await until('all alerts fire', async () => {
      const firing = await alerts(from);
      return wanted.every((alert) => firing.has(alert));
    });
    assert.deepEqual([...(await alerts(from))].sort(), wanted);
  });

  it('tells the receiver of the webhook, which was away at first', async () => {
    await until('it heard all', async () => alarm.heard.size === (await events()).length);
    const stolen = [...alarm.heard.values()].find(({ kind }) => kind === 'concurrent_networks');
    assert.deepEqual([stolen?.user, stolen?.address], [`${chain.provider.issuer}#alice`, THIEF]);
  });
});
