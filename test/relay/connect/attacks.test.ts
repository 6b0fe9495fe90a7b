import assert from 'node:assert/strict';
import { endAll } from '../support/relay.ts';
import { type Connecting, ConnectingPerson, startConnecting } from './support/connecting.ts';

/** Nothing of the attack may end with an account of the attacker's in use by the victim, or the other way round. */
describe('attackers of connecting', () => {
  let place: Connecting;
  let alice: ConnectingPerson;
  let mallory: ConnectingPerson;

  beforeEach(async () => {
    place = await startConnecting();
    alice = new ConnectingPerson(place.origin, 'alice');
    mallory = new ConnectingPerson(place.origin, 'mallory');
  });
  afterEach(endAll);

  const notConnected = async (person: ConnectingPerson) =>
    assert.match(String(await person.who(place.port)), /not connected/);

  it('who lead a victim to their own answer of the provider connect nothing (login CSRF)', async () => {
    place.house.user = 'mallory-at-notes';
    const callback = await mallory.authorize(await mallory.begin());
    const answer = await alice.page(callback);
    assert.equal(answer.status, 400);
    assert.match(answer.text, /does not belong to you/);
    await notConnected(alice);
    await notConnected(mallory);
    assert.equal(place.house.tokenRequests.length, 0, 'the code was not spent');
  });

  it('who put their code behind the state of a victim connect nothing (PKCE)', async () => {
    const hers = new URL(await alice.authorize(await alice.begin()));
    place.house.user = 'mallory-at-notes';
    const theirs = new URL(await mallory.authorize(await mallory.begin()));
    hers.searchParams.set('code', theirs.searchParams.get('code') as string);
    assert.equal((await alice.page(hers.href)).status, 502);
    await notConnected(alice);
  });

  it('who repeat an answer connect nothing, and the connection stays', async () => {
    const callback = await alice.authorize(await alice.begin());
    assert.equal((await alice.page(callback)).status, 303);
    assert.equal((await alice.page(callback)).status, 400);
    assert.equal(place.house.tokenRequests.length, 1);
    assert.equal(await alice.who(place.port), 'alice');
  });

  it('who answer for another issuer connect nothing (RFC 9207)', async () => {
    for (const iss of ['https://evil.example', '']) {
      const callback = new URL(await alice.authorize(await alice.begin()));
      callback.searchParams.set('iss', iss);
      assert.equal((await alice.page(callback.href)).status, 502);
    }
    const without = new URL(await alice.authorize(await alice.begin()));
    without.searchParams.delete('iss');
    assert.equal((await alice.page(without.href)).status, 502);
    assert.equal(place.house.tokenRequests.length, 0, 'no code went anywhere');
    await notConnected(alice);
  });

  it('who send a form from elsewhere do nothing', async () => {
    await alice.connect();
    const theirs = /name="token" value="([^"]+)"/.exec((await mallory.page()).text)?.[1] as string;
    for (const token of ['', 'x', theirs]) assert.equal((await alice.send('disconnect', token)).status, 403);
    const cross = await alice.send('disconnect', undefined, { origin: 'https://evil.example' });
    assert.equal(cross.status, 403);
    assert.equal((await alice.send('disconnect', undefined, { origin: 'null' })).status, 403);
    assert.equal(await alice.who(place.port), 'alice');
    assert.equal((await alice.send('disconnect', undefined, { origin: place.origin })).status, 303);
  });

  it('who change state, or send none, connect nothing', async () => {
    const callback = new URL(await alice.authorize(await alice.begin()));
    const state = callback.searchParams.get('state') as string;
    for (const bad of ['', 'x', `${state.slice(0, -2)}AA`]) {
      callback.searchParams.set('state', bad);
      assert.equal((await alice.page(callback.href)).status, 400);
    }
    assert.doesNotMatch(Buffer.from(state, 'base64url').toString('latin1'), /alice|http|one/, 'sealed');
  });

  it('who say no at the provider are told so, and the text of the provider is not shown', async () => {
    place.house.user = undefined;
    const answer = await alice.connect();
    assert.equal(answer.status, 403);
    assert.match(answer.text, /You did not agree at Notes &#60;Inc&#62;/);
  });

  it('who want to be led elsewhere are led to the provider or to our own page', async () => {
    const { headers } = await alice.connect();
    assert.equal(headers.get('location'), '/connect/servers/one');
    const url = new URL(await alice.begin());
    assert.equal(url.origin, place.house.issuer);
    for (const path of [
      '/connect/servers/one?rd=https://evil.example',
      '/connect//evil.example',
      '/connect/servers/none',
    ])
      assert.doesNotMatch((await alice.page(path)).text, /href="(https:)?\/\/evil/);
  });

  it('who are nobody, or are not proven, see nothing', async () => {
    await endAll();
    const open = await startConnecting({ relay: { authRequired: false, trust: { proxies: ['192.0.2.1'] } } });
    const stranger = new ConnectingPerson(open.origin, 'alice');
    assert.equal((await stranger.page()).status, 403);
    assert.match(String(await stranger.who(open.port)), /not connected/);
    await endAll();
    const closed = await startConnecting({ relay: { trust: { proxies: ['192.0.2.1'] } } });
    assert.equal((await new ConnectingPerson(closed.origin, 'alice').page()).status, 401);
  });

  it('of another issuer with the same subject are somebody else', async () => {
    await alice.connect();
    const answer = await alice.call(place.port, 'X-Authenticated-Issuer', 'https://other.example');
    assert.match(answer.text, /not connected/);
  });

  it('who begin again and again are stopped', async () => {
    const statuses: number[] = [];
    const token = /name="token" value="([^"]+)"/.exec((await alice.page()).text)?.[1] as string;
    for (let i = 0; i < 22; i++) statuses.push((await alice.send('connect', token)).status);
    assert.equal(statuses.at(0), 200);
    assert.equal(statuses.at(-1), 429);
    assert.equal((await mallory.send('connect')).status, 200);
  });

  it('who look at the pages find no script, no frame and nothing of elsewhere', async () => {
    for (const path of ['/connect', '/connect/servers/one', '/connect/servers/none']) {
      const { headers } = await alice.page(path);
      assert.match(
        headers.get('content-security-policy') ?? '',
        /^default-src 'none'; .*form-action 'self'.*frame-ancestors 'none'/,
      );
      assert.equal(headers.get('cache-control'), 'no-store');
    }
    assert.equal((await alice.jar.hop(`${place.origin}/connect`, { method: 'HEAD' })).status, 405);
  });
});
