import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { Refresher } from '../../../src/forward-auth/sessions/refresh.ts';
import type { RefreshTokens } from '../../../src/forward-auth/sessions/session.ts';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { MemoryLocks } from '../../../src/stores/memory/locks.ts';
import { until } from '../../support/until.ts';
import {
  BROWSER,
  cookieOf,
  HOST,
  HOUR,
  imagineReplicas,
  MINUTE,
  START,
  signedIn,
} from '../support/imagined-sessions.ts';

const IMAGINED = { createdAt: START, renewedAt: START, endsAt: START + 24 * HOUR, userAgent: '', address: '' };
const TOKENS = { refreshToken: 'refresh-1', accessTokenExpiresAt: START + 10 * MINUTE };

function provider(answer: (count: number) => Awaited<ReturnType<RefreshTokens>> | Error) {
  const asked: string[] = [];
  const refreshTokens: RefreshTokens = async (session) => {
    asked.push(session.tokens.refreshToken ?? '');
    await wait(30);
    const given = answer(asked.length);
    if (given instanceof Error) throw given;
    return given;
  };
  return { asked, refreshTokens };
}

const renewed = (given: Parameters<typeof signedIn>[0] = {}) => ({
  kind: 'refreshed' as const,
  signedIn: signedIn({
    groups: ['new'],
    ...given,
    tokens: { accessToken: 'access-2', refreshToken: 'refresh-2', accessTokenExpiresAt: START + 60 * MINUTE },
  }),
});

describe('refresh of access tokens', () => {
  it('keeps a new refresh token whose ID token could not be checked, and asks with it later', async () => {
    const { asked, refreshTokens } = provider((count) =>
      count === 1
        ? { kind: 'unchecked', refreshToken: 'refresh-2', cause: new Error('no such key') }
        : renewed({ groups: ['checked'] }),
    );
    const { replicas, clock, events } = imagineReplicas({ count: 2, refreshTokens });
    const [one, two] = replicas as [(typeof replicas)[0], (typeof replicas)[0]];
    const cookie = cookieOf(await one.service.begin(signedIn({ tokens: TOKENS }), BROWSER, undefined));
    clock.now = START + 9.5 * MINUTE;
    const before = await one.service.find(cookie);
    assert.ok(before !== undefined);
    assert.notDeepEqual(before.identity.groups, ['checked']);
    await until('it failed', () => events.includes('refresh_failed'));
    await one.service.find(cookie);
    assert.deepEqual(asked, ['refresh-1']);
    clock.now += MINUTE;
    assert.deepEqual((await two.service.find(cookie))?.identity.groups, ['checked']);
    assert.deepEqual(asked, ['refresh-1', 'refresh-2']);
    assert.deepEqual(
      events.filter((event) => event.startsWith('refresh')),
      ['refresh_failed', 'refreshed'],
    );
  });

  for (const [title, minutes] of [
    ['before it expires', 9.5],
    ['after it expired', 11],
  ] as const)
    it(`asks the provider once for 200 requests at two processes, ${title}`, async () => {
      const { asked, refreshTokens } = provider(() => renewed());
      const { replicas, clock, events } = imagineReplicas({ count: 2, refreshTokens });
      const cookie = cookieOf(
        await (replicas[0] as (typeof replicas)[0]).service.begin(signedIn({ tokens: TOKENS }), BROWSER, undefined),
      );
      clock.now = START + minutes * MINUTE;
      const all = Array.from({ length: 200 }, (_, i) => (replicas[i % 2] as (typeof replicas)[0]).service.find(cookie));
      const found = await Promise.all(all);
      assert.ok(found.every((session) => session !== undefined));
      await until('it is renewed', () => events.includes('refreshed'));
      if (minutes > 10) assert.ok(found.every((session) => session?.tokens.accessToken === 'access-2'));
      assert.deepEqual(asked, ['refresh-1']);
      for (const { service } of replicas) assert.deepEqual((await service.find(cookie))?.identity.groups, ['new']);
      assert.deepEqual(asked, ['refresh-1']);
      assert.deepEqual(events, ['begun', 'refreshed']);
    });

  const one = async (answer: Parameters<typeof provider>[0], minutes = 9.5) => {
    const idp = provider(answer);
    const imagined = imagineReplicas({ refreshTokens: idp.refreshTokens });
    const cookie = cookieOf(await imagined.service.begin(signedIn({ tokens: TOKENS }), BROWSER, undefined));
    imagined.clock.now = START + minutes * MINUTE;
    return { ...imagined, ...idp, cookie };
  };

  it('leaves a token alone until it is time', async () => {
    const { service, cookie, asked } = await one(() => renewed(), 8.9);
    await service.find(cookie);
    assert.deepEqual(asked, []);
  });

  it('sends the cookie again and keeps the old refresh token where there is no new one', async () => {
    const answer = { kind: 'refreshed' as const, signedIn: signedIn({ tokens: { accessToken: 'access-2' } }) };
    const { service, cookie } = await one(() => answer);
    const visit = await service.visit(cookie, HOST);
    assert.ok(visit.kind === 'live' && visit.cookies?.[0]?.startsWith(cookie));
    assert.equal(visit.session.tokens.refreshToken, 'refresh-1');
  });

  for (const [title, answer] of [
    ['is refused', { kind: 'refused' as const }],
    ['is answered for another person', renewed({ subject: 'mallory' })],
    ['is answered by another issuer', renewed({ issuer: 'https://other.example.com' })],
  ] as const)
    for (const [when, minutes] of [
      ['before the access token expires', 9.5],
      ['after the access token expired', 11],
    ] as const)
      it(`ends the session in the store where it ${title} ${when}`, async () => {
        const { service, cookie, stores, events } = await one(() => answer, minutes);
        // The request that has it renewed is beside it while the token is good, and no later one is.
        assert.equal((await service.visit(cookie, HOST)).kind, minutes < 10 ? 'live' : 'ended');
        await until('the session is gone', () => stores.entries.size === 0);
        assert.equal((await service.visit(cookie, HOST)).kind, 'ended');
        assert.deepEqual(events, ['begun', 'refresh_refused']);
      });

  for (const minutes of [9.5, 9.9, 9.99])
    it(`lets no request wait for a provider that hangs, ${10 - minutes} minutes before the token expires`, async () => {
      let answer = () => {};
      const hanging = new Promise<void>((resolve) => {
        answer = resolve;
      });
      const { replicas, clock, events } = imagineReplicas({
        count: 2,
        refreshTokens: async () => {
          await hanging;
          return renewed();
        },
      });
      const services = replicas.map(({ service }) => service);
      const [first] = services as [(typeof services)[0]];
      const cookie = cookieOf(await first.begin(signedIn({ tokens: TOKENS }), BROWSER, undefined));
      clock.now = START + minutes * MINUTE;
      // Only the answer of the provider lets the test go on where one of these waited for it.
      for (let time = 0; time < 50; time++)
        for (const service of services)
          assert.equal((await service.find(cookie))?.tokens.accessToken, 'access-1', `request ${time}`);
      answer();
      await until('it is renewed', () => events.includes('refreshed'));
      for (const service of services) assert.equal((await service.find(cookie))?.tokens.accessToken, 'access-2');
    });

  it('renews the tokens of people who signed in together at moments spread over the time before they end', () => {
    const refresher = new Refresher(
      { refreshBefore: MINUTE, outageTimeout: HOUR },
      {} as ConstructorParameters<typeof Refresher>[1],
    );
    const dues = Array.from({ length: 1_000 }, (_, i) =>
      refresher.dueAt({ ...signedIn({ tokens: TOKENS }), ...IMAGINED, key: `key-${i}`, version: 1 }),
    );
    const expiry = TOKENS.accessTokenExpiresAt;
    assert.ok(dues.every((due) => due >= expiry - MINUTE && due <= expiry - MINUTE / 2));
    const inTenths = Array.from({ length: 10 }, (_, tenth) => {
      const from = expiry - MINUTE + (tenth * MINUTE) / 20;
      return dues.filter((due) => due >= from && due < from + MINUTE / 20).length;
    });
    assert.ok(Math.max(...inTenths) < 200 && Math.min(...inTenths) > 20, String(inTenths));
    const again = refresher.dueAt({ ...signedIn({ tokens: TOKENS }), ...IMAGINED, key: 'key-1', version: 1 });
    assert.equal(again, dues[1], 'all processes agree');
  });

  it('goes on with the old tokens where the store only reads', async () => {
    const { service, cookie, stores, events } = await one(() => renewed(), 11);
    stores.locksAway = true;
    for (let time = 0; time < 3; time++) assert.equal((await service.find(cookie))?.tokens.accessToken, 'access-1');
    assert.deepEqual(events, ['begun', 'refresh_failed']);
  });

  it('goes on with the old tokens while the provider is away, and asks again later and later', async () => {
    const { service, cookie, clock, asked, stores } = await one(() => new DependencyUnavailable('the provider'), 11);
    for (let i = 0; i < 5; i++) assert.equal((await service.find(cookie))?.tokens.accessToken, 'access-1');
    assert.equal(asked.length, 1);
    for (const [seconds, count] of [
      [4, 1],
      [1, 2],
      [9, 2],
      [1, 3],
      [20, 4],
    ] as const) {
      clock.now += seconds * 1000;
      assert.equal((await service.find(cookie))?.tokens.accessToken, 'access-1');
      assert.equal(asked.length, count, `after ${seconds} more seconds`);
    }
    assert.equal(stores.entries.size, 1);
  });

  describe('while the provider is away', () => {
    const away = { now: true };
    const answers = () => (away.now ? new DependencyUnavailable('the provider') : renewed());
    const two = async (outageTimeout: string) => {
      away.now = true;
      const idp = provider(answers);
      const imagined = imagineReplicas({ count: 2, refreshTokens: idp.refreshTokens, sessions: { outageTimeout } });
      const [a, b] = imagined.replicas.map(({ service }) => service) as [
        typeof imagined.service,
        typeof imagined.service,
      ];
      const cookie = cookieOf(await a.begin(signedIn({ tokens: TOKENS }), BROWSER, undefined));
      return { ...imagined, ...idp, a, b, cookie };
    };

    it('ends the session at the failure that is outageTimeout after the first, whichever process saw that', async () => {
      const { a, b, cookie, clock, events, stores, log } = await two('30m');
      clock.now = START + 11 * MINUTE;
      assert.equal((await a.visit(cookie, HOST)).kind, 'live');
      clock.now += 29.9 * MINUTE;
      assert.equal((await b.visit(cookie, HOST)).kind, 'live');
      assert.equal((await a.visit(cookie, HOST)).kind, 'live');
      clock.now += 2 * MINUTE;
      assert.equal((await b.visit(cookie, HOST)).kind, 'ended');
      assert.equal((await a.visit(cookie, HOST)).kind, 'ended');
      assert.equal(stores.entries.size, 0);
      assert.deepEqual(
        events.filter((event) => event !== 'refresh_failed'),
        ['begun', 'provider_outage'],
      );
      assert.match(log(), /auth\.sessions\.outageTimeout; the session ends/);
    });

    it('does not count the time in which nobody used the session', async () => {
      const { a, b, cookie, clock } = await two('30m');
      clock.now = START + 3 * HOUR;
      assert.equal(
        (await a.visit(cookie, HOST)).kind,
        'live',
        'its token ended hours ago, and this is the first failure',
      );
      clock.now += 20 * MINUTE;
      assert.equal((await b.visit(cookie, HOST)).kind, 'live');
    });

    it('forgets the failures once the provider has answered', async () => {
      const { a, b, cookie, clock, events } = await two('30m');
      clock.now = START + 11 * MINUTE;
      await a.visit(cookie, HOST);
      clock.now += 20 * MINUTE;
      away.now = false;
      const back = await b.visit(cookie, HOST);
      assert.ok(back.kind === 'live' && back.session.failingSince === undefined);
      away.now = true;
      clock.now = START + 61 * MINUTE;
      assert.equal((await a.visit(cookie, HOST)).kind, 'live', 'the first failure of another outage');
      assert.ok(!events.includes('provider_outage'));
    });

    it('is asked by a session that another process marked as failing, which is not renewed by the mark', async () => {
      const { a, b, cookie, clock, asked, stores } = await two('30m');
      clock.now = START + 11 * MINUTE;
      await a.visit(cookie, HOST);
      const key = [...stores.entries.keys()][0] as string;
      for (const service of [a, b]) await assert.rejects(service.renew(key), DependencyUnavailable);
      assert.equal(asked.length, 3);
      away.now = false;
      assert.equal((await b.renew(key))?.tokens.accessToken, 'access-2');
    });

    it('ends at the first failure where outageTimeout is 0s', async () => {
      const { a, cookie, clock } = await two('0s');
      clock.now = START + 11 * MINUTE;
      assert.equal((await a.visit(cookie, HOST)).kind, 'ended');
    });
  });

  it('keeps others away for as long as a slow provider may take over all that is asked of it', async () => {
    const asked: string[] = [];
    const now = { at: START + 9.5 * MINUTE };
    const session = { ...signedIn({ tokens: TOKENS }), key: 'key', version: 1, createdAt: START, renewedAt: START };
    const stored = { ...session, endsAt: START + 24 * HOUR, userAgent: '', address: '' };
    const locks = new MemoryLocks(() => now.at);
    let answer = () => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const process = () =>
      new Refresher(
        { refreshBefore: MINUTE, outageTimeout: HOUR },
        {
          refreshTokens: async ({ tokens }) => {
            asked.push(tokens.refreshToken ?? '');
            await answered;
            return renewed();
          },
          store: { read: async () => stored, replace: async () => true, end: async () => {}, news: async () => {} },
          locks,
          log: createLogger('auth', 'silent'),
          now: () => now.at,
          onEvent: () => {},
        },
      );
    const first = process();
    assert.ok(first.refreshBeside(stored));
    while (asked.length === 0) await wait(1);
    // Metadata, token, keys and userinfo, five seconds each.
    now.at += 20_000;
    const second = process();
    second.refreshBeside(stored);
    await until('it found out', () => second.dueAt(stored) > now.at);
    assert.deepEqual(asked, ['refresh-1'], 'a refresh token that is used twice ends the grant at many providers');
    const renewing = first.renew(stored);
    answer();
    assert.equal((await renewing)?.version, 2);
  });

  it('asks once where the store is away when the provider has answered, and writes it down once it is back', async () => {
    const { service, cookie, stores, asked, events } = await one(() => {
      stores.away = true;
      return renewed();
    }, 11);
    await assert.rejects(Promise.resolve(service.find(cookie)), DependencyUnavailable);
    stores.away = false;
    while (!events.includes('refreshed')) await wait(20);
    assert.deepEqual((await service.find(cookie))?.tokens.refreshToken, 'refresh-2');
    assert.deepEqual(asked, ['refresh-1'], 'the provider takes the token before it no more');
  });

  it('does not bring back a session that ended meanwhile', async () => {
    const { service, cookie, stores, asked } = await one(() => renewed(), 11);
    const key = [...stores.entries.keys()][0] as string;
    const found = service.find(cookie);
    while (asked.length === 0) await wait(1);
    await service.end(key, 'signed_out');
    assert.equal(await found, undefined);
    assert.equal(stores.entries.size, 0);
    assert.equal(await service.find(cookie), undefined);
  });

  it('does not remember an ended session where the provider failed meanwhile', async () => {
    const { service, cookie, stores, asked } = await one(() => new DependencyUnavailable('the provider'), 11);
    const key = [...stores.entries.keys()][0] as string;
    const found = service.find(cookie);
    while (asked.length === 0) await wait(1);
    await service.end(key, 'signed_out');
    await found;
    assert.equal(await service.find(cookie), undefined);
  });
});
