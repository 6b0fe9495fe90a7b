import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { Registry } from 'prom-client';
import type { Sessions } from '../../../src/forward-auth/sessions/session.ts';
import { SessionService } from '../../../src/forward-auth/sessions/session-service.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { createStoreMetrics } from '../../../src/platform/metrics.ts';
import { openSealing } from '../../../src/platform/sealing/sealing-keys.ts';
import { openStores } from '../../../src/stores/open-stores.ts';
import type { Stores } from '../../../src/stores/stores.ts';
import { type ProgramName, resolveProgram } from '../../support/programs.ts';
import { type RedisServer, startRedis } from '../../support/redis-server.ts';
import { until } from '../../support/until.ts';
import { BROWSER, cookieOf, HOST, MINUTE, signedIn } from '../support/imagined-sessions.ts';

const log = createLogger('auth', 'silent');
const keys = Buffer.alloc(32, 9).toString('base64url');

/** Two processes' worth of sessions, on the stores that the product has. */
function twoOf(kind: 'memory' | ProgramName) {
  describe(`sessions of two processes on ${kind}`, function () {
    this.timeout(60_000);
    let server: RedisServer | undefined;
    let opened: Stores[] = [];
    let services: SessionService[] = [];
    let asked = 0;

    before(async function () {
      if (kind === 'memory') return;
      const found = await resolveProgram(kind);
      if ('missing' in found) {
        console.log(`skipped: ${found.missing}`);
        return this.skip();
      }
      server = await startRedis(found.program);
    });
    after(() => server?.stop());

    beforeEach(async () => {
      const config = parseConfig({
        auth: {},
        ...(server === undefined ? {} : { redis: { url: server.url, timeout: '300ms', connectTimeout: '300ms' } }),
      });
      const open = () =>
        openStores(config.redis, {
          log,
          metrics: createStoreMetrics(new Registry()),
          memory: { maxSessions: 1000 },
          withoutRedis: 'local',
          heartbeat: 100,
        });
      const first = await open();
      opened = server === undefined ? [first] : [first, await open()];
      asked = 0;
      services = [0, 1].map(
        (index) =>
          new SessionService(config.auth.sessions, {
            stores: opened[index] ?? first,
            sealing: openSealing({ keys }, { log, shared: false, keysAt: 'auth.sessions.keys', what: 'sessions' }),
            log,
            now: Date.now,
            onEvent: () => {},
            refreshTokens: async () => {
              asked += 1;
              await wait(100);
              const tokens = { accessToken: 'access-2', refreshToken: 'refresh-2' };
              return {
                kind: 'refreshed',
                signedIn: signedIn({ tokens: { ...tokens, accessTokenExpiresAt: Date.now() + 60 * MINUTE } }),
              };
            },
          }),
      );
      await until('the announcements are complete', () => opened.every(({ pubSub }) => pubSub.complete));
    });
    afterEach(async () => {
      for (const service of services) service.close();
      for (const stores of opened) await stores.close();
    });

    const both = () => services as unknown as [Sessions, Sessions];

    it('ask the provider once for 200 requests with an expired access token', async () => {
      const [a, b] = both();
      const tokens = { refreshToken: 'refresh-1', accessTokenExpiresAt: Date.now() - 1 };
      const cookie = cookieOf(await a.begin(signedIn({ tokens }), BROWSER, undefined));
      const found = await Promise.all(Array.from({ length: 200 }, (_, i) => (i % 2 === 0 ? a : b).find(cookie)));
      assert.ok(found.every((session) => session?.tokens.accessToken === 'access-2'));
      assert.equal(asked, 1);
    });

    it('end everywhere within a second', async () => {
      const [a, b] = both();
      const cookie = cookieOf(await a.begin(signedIn(), BROWSER, undefined));
      const visit = await b.visit(cookie, HOST);
      assert.ok(visit.kind === 'live');
      assert.equal(b.visit(cookie, HOST), visit, 'remembered');
      assert.equal(await a.end(visit.session.key, 'signed_out'), true);
      await wait(1_000);
      assert.equal((await b.visit(cookie, HOST)).kind, 'ended');
    });

    if (kind === 'memory') return;
    it('are unavailable, not ended, while the store stands still, and go on afterwards', async () => {
      assert.ok(server !== undefined);
      const [a] = both();
      const cookie = cookieOf(await a.begin(signedIn(), BROWSER, undefined));
      await a.visit(cookie, HOST);
      await server.pause();
      try {
        await until('nothing is believed', () => opened[0]?.pubSub.complete === false);
        await assert.rejects(async () => a.visit(cookie, HOST), DependencyUnavailable);
      } finally {
        await server.resume();
      }
      await until('the store is back', async () => (await opened[0]?.problem()) === undefined);
      await until('the session is', async () => {
        try {
          return (await a.visit(cookie, HOST)).kind === 'live';
        } catch {
          return false;
        }
      });
    });
  });
}

for (const kind of ['memory', 'redis', 'valkey'] as const) twoOf(kind);
