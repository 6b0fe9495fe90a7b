import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Visit } from '../../../src/forward-auth/sessions/session.ts';
import { DependencyUnavailable } from '../../../src/platform/errors.ts';
import {
  BROWSER,
  cookieOf,
  HOST,
  HOUR,
  ISSUER,
  imagineReplicas,
  MINUTE,
  signedIn,
} from '../support/imagined-sessions.ts';

const NAME = '__Host-postern';
const live = (visit: Visit) => {
  assert.equal(visit.kind, 'live');
  return visit as Extract<Visit, { kind: 'live' }>;
};

describe('sessions', () => {
  it('are found by their cookie, and by nothing of what is in the store', async () => {
    const { service, stores } = imagineReplicas();
    const set = await service.begin(signedIn(), BROWSER, undefined);
    assert.match(
      set[0] as string,
      /^__Host-postern=[\w-]{43}; Max-Age=28800; Path=\/; Secure; HttpOnly; SameSite=Lax$/,
    );
    const session = await service.find(cookieOf(set));
    assert.equal(session?.identity.subject, 'alice');
    const kept = JSON.stringify([...stores.entries.values()]);
    for (const hidden of ['alice', 'access-1', 'sid-alice', ISSUER, cookieOf(set).split('=')[1] as string])
      assert.ok(!kept.includes(hidden), `${hidden} is not readable in the store`);
    assert.equal(await service.find(`${NAME}=${session?.key}`), undefined, 'the key opens nothing');
  });

  it('begin under a new id: what the browser came with is worth nothing after', async () => {
    const { service, events } = imagineReplicas();
    const before = cookieOf(await service.begin(signedIn({ subject: 'mallory' }), BROWSER, undefined));
    const after = cookieOf(await service.begin(signedIn(), BROWSER, before));
    assert.notEqual(after, before);
    assert.deepEqual(await service.visit(before, HOST), { kind: 'ended' });
    assert.equal((await service.find(after))?.identity.subject, 'alice');
    const chosen = `${NAME}=${'A'.repeat(43)}`;
    assert.notEqual(cookieOf(await service.begin(signedIn(), BROWSER, chosen)), chosen);
    assert.equal((await service.visit(chosen, HOST)).kind, 'ended');
    assert.deepEqual(events, ['begun', 'begun', 'replaced', 'begun']);
  });

  it('answer a remembered session at once, with the same object', async () => {
    const { service, stores } = imagineReplicas();
    const cookie = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    const first = await service.visit(cookie, HOST);
    const { reads } = stores;
    assert.equal(service.visit(cookie, HOST), first);
    assert.equal(stores.reads, reads);
  });

  it('end where the provider that somebody signed in with counts no longer, in the store as well', async () => {
    const { service, stores, events } = imagineReplicas({
      endOf: ({ provider }) => (provider === 'removed' ? 'provider_removed' : undefined),
    });
    const removed = cookieOf(await service.begin({ ...signedIn(), provider: 'removed' }, BROWSER, undefined));
    const kept = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    assert.deepEqual(await service.visit(removed, HOST), { kind: 'ended' });
    assert.equal((await service.visit(kept, HOST)).kind, 'live');
    assert.equal(stores.entries.size, 1);
    assert.deepEqual(events, ['begun', 'begun', 'provider_removed']);
  });

  it('end in the store first and then in every process', async () => {
    const { replicas, stores, events } = imagineReplicas({ count: 2 });
    const [a, b] = replicas as [(typeof replicas)[0], (typeof replicas)[0]];
    const cookie = cookieOf(await a.service.begin(signedIn(), BROWSER, undefined));
    const { session } = live(await b.service.visit(cookie, HOST));
    assert.equal(b.service.visit(cookie, HOST) instanceof Promise, false, 'remembered');
    assert.equal(await a.service.end(session.key, 'signed_out'), true);
    assert.equal(stores.entries.size, 0);
    assert.equal((await b.service.visit(cookie, HOST)).kind, 'ended');
    assert.equal(await a.service.end(session.key, 'signed_out'), false);
    assert.deepEqual(events, ['begun', 'signed_out']);
  });

  it('are read each time while announcements may be missed, and forgotten after a gap', async () => {
    const { service, view, stores } = imagineReplicas();
    const cookie = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    const { session } = live(await service.visit(cookie, HOST));
    stores.mute = true;
    view.pubSub.complete = false;
    stores.entries.delete(session.key);
    assert.equal((await service.visit(cookie, HOST)).kind, 'ended', 'the cache is not believed');
    view.pubSub.complete = true;
    view.missed();
    assert.equal((await service.visit(cookie, HOST)).kind, 'ended', 'the cache was emptied');
  });

  it('are not remembered from a look that an end overtook', async () => {
    const { replicas, stores } = imagineReplicas({ count: 2 });
    const [a, b] = replicas as [(typeof replicas)[0], (typeof replicas)[0]];
    const cookie = cookieOf(await a.service.begin(signedIn(), BROWSER, undefined));
    const { session } = live(await a.service.visit(cookie, HOST));
    let go = () => {};
    stores.slowly = new Promise<void>((resolve) => {
      go = resolve;
    });
    const slow = b.service.visit(cookie, HOST);
    await turn();
    await turn();
    await a.service.end(session.key, 'signed_out');
    go();
    stores.slowly = undefined;
    await slow;
    assert.equal((await b.service.visit(cookie, HOST)).kind, 'ended');
  });

  it('reject while the store is away, remembered or not', async () => {
    const { service, view, stores } = imagineReplicas();
    const cookie = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    await service.visit(cookie, HOST);
    stores.away = true;
    view.pubSub.complete = false;
    await assert.rejects(async () => service.visit(cookie, HOST), DependencyUnavailable);
    await assert.rejects(async () => service.find(cookie), DependencyUnavailable);
    await assert.rejects(service.begin(signedIn(), BROWSER, undefined), DependencyUnavailable);
  });

  it('end by idleness and by age, and use moves only the first', async () => {
    const { service, clock, stores } = imagineReplicas({ sessions: { idleTimeout: '1h', absoluteLifetime: '3h' } });
    const start = clock.now;
    const idle = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    const used = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    for (let at = 30; at < 180; at += 30) {
      clock.now = start + at * MINUTE;
      assert.equal((await service.visit(used, HOST)).kind, 'live', `${at} min`);
      await turn();
      if (at === 60) assert.equal((await service.visit(idle, HOST)).kind, 'ended');
    }
    clock.now = start + 3 * HOUR - 1;
    assert.equal((await service.visit(used, HOST)).kind, 'live');
    clock.now = start + 3 * HOUR;
    assert.equal((await service.visit(used, HOST)).kind, 'ended');
    assert.equal(stores.entries.size, 0);
  });

  it('tell the store and the browser of their use now and then only', async () => {
    const { service, clock, stores } = imagineReplicas({ sessions: { idleTimeout: '100m', absoluteLifetime: '200m' } });
    const cookie = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    assert.equal(live(await service.visit(cookie, HOST)).cookies, undefined);
    clock.now += 6 * MINUTE;
    assert.match(live(await service.visit(cookie, HOST)).cookies?.[0] as string, /Max-Age=6000;/);
    for (let i = 0; i < 20; i++) assert.equal(live(await service.visit(cookie, HOST)).cookies, undefined);
    assert.equal(stores.extensions, 1);
    clock.now += 90 * MINUTE;
    await service.visit(cookie, HOST);
    clock.now += 60 * MINUTE;
    assert.match(live(await service.visit(cookie, HOST)).cookies?.[0] as string, /Max-Age=2640;/);
  });

  it('give one answer to every forged, padded or changed cookie', async () => {
    const { service, stores } = imagineReplicas();
    const cookie = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    const forged = ['=', '=x', '', `x${cookie.slice(1)}`].map((text) => `${NAME}=${text}`);
    for (const bad of [...forged, `${cookie}A`, cookie.slice(0, -1), `${cookie}=`, cookie.replace('=', '="')])
      assert.deepEqual(await service.visit(bad, HOST), { kind: 'ended' }, bad);
    assert.equal(stores.reads, 0, 'the store was not troubled');
    assert.deepEqual(await service.visit('other=1', HOST), { kind: 'absent' });
    assert.deepEqual(await service.visit(`${cookie}; ${NAME}=${'A'.repeat(43)}`, HOST), { kind: 'conflict' });
    assert.equal(await service.find(`${cookie}; ${NAME}=${'A'.repeat(43)}`), undefined);
  });

  it('count as none where the store holds something that was not sealed for them', async () => {
    const { service, stores } = imagineReplicas({ sessions: { cache: { maxEntries: 0 } } });
    const mine = cookieOf(await service.begin(signedIn(), BROWSER, undefined));
    const [entry] = [...stores.entries.values()] as [
      { key: string; version: number; value: string; indexes: string[]; expiresAt: number },
    ];
    await service.begin(signedIn({ subject: 'bob' }), BROWSER, undefined);
    const other = [...stores.entries.values()][1] as typeof entry;
    assert.equal((await service.visit(mine, HOST)).kind, 'live');
    for (const value of [other.value, `${entry.value.slice(0, -2)}AA`, '', 'x', `${entry.value}=`]) {
      stores.entries.set(entry.key, { ...entry, value });
      assert.equal((await service.visit(mine, HOST)).kind, 'ended');
    }
    stores.entries.set(entry.key, { ...entry, version: 2 });
    assert.equal((await service.visit(mine, HOST)).kind, 'ended', 'an old value under a new version');
  });

  it('are listed by person and by the provider’s session, newest first, of one issuer', async () => {
    const { service, clock } = imagineReplicas();
    await service.begin(signedIn(), BROWSER, undefined);
    clock.now += 1000;
    await service.begin(signedIn(), { ...BROWSER, userAgent: 'newer' }, undefined);
    await service.begin(signedIn({ issuer: 'https://other.example.com' }), BROWSER, undefined);
    await service.begin(signedIn({ subject: 'bob' }), BROWSER, undefined);
    const found = await service.ofUser(ISSUER, 'alice');
    assert.deepEqual(
      found.map(({ userAgent }) => userAgent),
      ['newer', 'Test/1'],
    );
    assert.equal((await service.ofProviderSession(ISSUER, 'sid-bob')).length, 1);
    assert.equal((await service.ofProviderSession(ISSUER, 'sid-carol')).length, 0);
  });
});
