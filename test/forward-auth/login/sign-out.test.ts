import assert from 'node:assert/strict';
import { type House, openHouse } from './support/house.ts';
import { Jar } from './support/jar.ts';

const COOKIE = '__Host-postern';
const field = (page: string, name: string) => new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1] ?? '';

describe('signing out and looking after sessions', () => {
  let house: House;
  before(async () => {
    house = await openHouse();
  });
  beforeEach(() => {
    house.control.storeDown = false;
  });
  after(() => house.close());

  const isIn = async (jar: Jar) => (await jar.hop(house.at('/_postern/me'))).status === 200;
  const sidOf = async (jar: Jar) => {
    const session = await house.sessions.find(`${COOKIE}=${jar.cookies(house.origin).get(COOKIE)}`);
    return { sid: session?.providerSession as string, key: session?.key as string };
  };
  const logOut = (token: string | undefined) =>
    new Jar().post(house.at('/_postern/backchannel-logout'), token === undefined ? {} : { logout_token: token });

  describe('by the person', () => {
    it('asks first, then ends the session here and at the provider', async () => {
      const jar = await house.enter();
      const asked = await jar.hop(house.at('/_postern/sign-out?rd=/bye'));
      const page = await asked.text();
      assert.ok(await isIn(jar), 'looking ends nothing');
      assert.match(page, /Alice &#60;b&#62;/);
      assert.doesNotMatch(page, /Alice <b>/);
      const policy = asked.headers.get('content-security-policy') ?? '';
      assert.ok(policy.includes(`form-action 'self' ${house.idp.issuer}`), policy);

      const old = jar.cookies(house.origin).get(COOKIE);
      const out = await jar.post(house.at('/_postern/sign-out'), {
        token: field(page, 'token'),
        rd: field(page, 'rd'),
      });
      assert.equal(out.status, 303);
      assert.equal(jar.cookies(house.origin).has(COOKIE), false);
      assert.equal(await house.sessions.find(`${COOKIE}=${old}`), undefined);
      const to = new URL(out.headers.get('location') as string);
      assert.equal(to.origin, house.idp.issuer);
      for (const name of ['id_token_hint', 'client_id', 'post_logout_redirect_uri', 'state'])
        assert.ok(to.searchParams.get(name), name);

      const confirm = await (await jar.hop(to.href)).text();
      const done = await jar.post(`${house.idp.issuer}/session/end/confirm`, {
        xsrf: field(confirm, 'xsrf'),
        logout: 'yes',
      });
      const back = done.headers.get('location') as string;
      assert.ok(back.startsWith(house.at('/_postern/signed-out?')), back);
      const end = await (await jar.hop(back)).text();
      assert.match(end, /<h1>Signed out<\/h1>/);
      assert.ok(end.includes(encodeURIComponent(house.at('/bye'))));
    });

    it('refuses forms of other sites and other sessions', async () => {
      const jar = await house.enter();
      const other = await (await (await house.enter('bob')).hop(house.at('/_postern/sign-out'))).text();
      for (const [form, headers] of [
        [{}, { origin: 'https://evil.example' }],
        [{}, { 'sec-fetch-site': 'cross-site', origin: house.origin }],
        [{}, { 'sec-fetch-site': 'same-site' }],
        [{}, {}],
        [{ token: field(other, 'token') }, { 'sec-fetch-site': 'same-origin' }],
        [{ token: 'x' }, {}],
      ] as Array<[Record<string, string>, Record<string, string>]>)
        for (const path of ['/_postern/sign-out', '/_postern/sessions'])
          assert.equal((await jar.post(house.at(path), { others: 'yes', ...form }, headers)).status, 403);
      assert.ok(await isIn(jar));
      const own = await jar.post(house.at('/_postern/sign-out'), {}, { 'sec-fetch-site': 'same-origin' });
      assert.equal(own.status, 303);
      assert.equal(await isIn(jar), false);
    });

    it('keeps the cookie where the store is away', async () => {
      const jar = await house.enter();
      house.control.storeDown = true;
      const answer = await jar.post(house.at('/_postern/sign-out'), {}, { origin: house.origin });
      assert.equal(answer.status, 503);
      assert.deepEqual(answer.headers.getSetCookie(), []);
      house.control.storeDown = false;
      assert.ok(await isIn(jar));
    });

    it('refuses bodies that are too large or no form', async () => {
      const jar = await house.enter();
      const big = await jar.post(house.at('/_postern/sign-out'), { a: 'x'.repeat(70_000) });
      assert.equal(big.status, 413);
      const json = await jar.post(house.at('/_postern/sign-out'), {}, { 'content-type': 'application/json' });
      assert.equal(json.status, 415);
    });
  });

  describe('by the provider, back-channel', () => {
    it('ends the session that sid names, and only that', async () => {
      const one = await house.enter();
      const two = await house.enter();
      const answer = await logOut(await house.idp.logoutToken({ sub: 'alice', sid: (await sidOf(one)).sid }));
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('cache-control'), 'no-store');
      assert.equal(await isIn(one), false);
      assert.ok(await isIn(two));
    });

    it('ends all sessions of a subject', async () => {
      const one = await house.enter();
      const two = await house.enter();
      const bob = await house.enter('bob');
      assert.equal((await logOut(await house.idp.logoutToken({ sub: 'alice' }, { typ: '' }))).status, 200);
      assert.deepEqual([await isIn(one), await isIn(two), await isIn(bob)], [false, false, true]);
    });

    it('ends nobody’s session by a sub where sessions know people by another claim, and does not say it did', async () => {
      const mapped = await openHouse({ provider: { claims: { subject: 'email' } } });
      try {
        const jar = await mapped.enter();
        const alive = async () => (await jar.hop(mapped.at('/_postern/me'))).status === 200;
        const send = async (claims: Record<string, string>) =>
          new Jar().post(mapped.at('/_postern/backchannel-logout'), {
            logout_token: await mapped.idp.logoutToken(claims),
          });
        for (const sub of ['alice', 'alice@example.com']) {
          const answer = await send({ sub });
          assert.equal(answer.status, 400, await answer.clone().text());
          assert.match(await answer.text(), /sid/);
          assert.ok(await alive());
        }
        const cookie = `${COOKIE}=${jar.cookies(mapped.origin).get(COOKIE)}`;
        const sid = (await mapped.sessions.find(cookie))?.providerSession as string;
        assert.equal((await send({ sub: 'alice', sid })).status, 200);
        assert.equal(await alive(), false);
      } finally {
        await mapped.close();
      }
    });

    it('refuses a token that was used before', async () => {
      const token = await house.idp.logoutToken({ sub: 'alice' });
      assert.equal((await logOut(token)).status, 200);
      const jar = await house.enter();
      assert.equal((await logOut(token)).status, 400);
      assert.ok(await isIn(jar));
    });

    const now = () => Math.floor(Date.now() / 1000);
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const forgeries: Record<string, () => Promise<string | undefined>> = {
      'no token at all': async () => undefined,
      'no JWT': async () => 'x.y.z',
      'another audience': () => house.idp.logoutToken({ sub: 'alice', aud: 'somebody-else' }),
      'another issuer': () => house.idp.logoutToken({ sub: 'alice', iss: 'https://evil.example' }),
      'a nonce': () => house.idp.logoutToken({ sub: 'alice', nonce: 'x' }),
      'no events': () => house.idp.logoutToken({ sub: 'alice' }, { omit: ['events'] }),
      'another event': () => house.idp.logoutToken({ sub: 'alice', events: { 'https://example.com/x': {} } }),
      'an event that is no object': () =>
        house.idp.logoutToken({ sub: 'alice', events: { 'http://schemas.openid.net/event/backchannel-logout': true } }),
      'neither sub nor sid': () => house.idp.logoutToken({}),
      'an empty sid': () => house.idp.logoutToken({ sub: 'alice', sid: '' }),
      'no jti': () => house.idp.logoutToken({ sub: 'alice' }, { omit: ['jti'] }),
      'no exp': () => house.idp.logoutToken({ sub: 'alice' }, { omit: ['exp'] }),
      'no iat': () => house.idp.logoutToken({ sub: 'alice' }, { omit: ['iat'] }),
      'an old iat': () => house.idp.logoutToken({ sub: 'alice', iat: now() - 3_600, exp: now() + 60 }),
      'an exp that is over': () => house.idp.logoutToken({ sub: 'alice', iat: now() - 120, exp: now() - 60 }),
      'a key that is not the provider’s': () => house.idp.logoutToken({ sub: 'alice' }, { stranger: true }),
      'the type of an access token': () => house.idp.logoutToken({ sub: 'alice' }, { typ: 'at+jwt' }),
      'an ID token': () => house.idp.idToken({ sub: 'alice', jti: 'x', nonce: 'n' }),
      'alg none': async () => {
        const [, payload] = (await house.idp.logoutToken({ sub: 'alice' })).split('.');
        return `${encode({ alg: 'none', typ: 'logout+jwt' })}.${payload}.`;
      },
      'alg HS256 with the client’s secret': async () => {
        const { SignJWT } = await import('jose');
        const { CLIENT_SECRET } = await import('./support/interactive-provider.ts');
        const events = { 'http://schemas.openid.net/event/backchannel-logout': {} };
        return new SignJWT({ iss: house.idp.issuer, aud: 'postern', sub: 'alice', jti: 'hs', events })
          .setProtectedHeader({ alg: 'HS256' })
          .setIssuedAt()
          .setExpirationTime('2m')
          .sign(new TextEncoder().encode(CLIENT_SECRET));
      },
    };
    for (const [name, forge] of Object.entries(forgeries))
      it(`refuses ${name}`, async () => {
        const jar = await house.enter();
        const answer = await logOut(await forge());
        assert.equal(answer.status, 400, await answer.clone().text());
        assert.equal(((await answer.json()) as { error: string }).error, 'invalid_request');
        assert.equal(answer.headers.get('cache-control'), 'no-store');
        assert.ok(await isIn(jar), 'the session goes on');
      });

    it('logs which claim of a logout token failed and by how much, and nothing of the person', async () => {
      for (const [claims, told] of [
        [{ iat: now() - 120, exp: now() - 90 }, /exp was (?:9\d|8\d) s ago .*tolerance 30 s/],
        [{ iat: now() - 3_600, exp: now() + 60 }, /iat was 36\d\d s ago .*at most 300 s/],
        [{ iat: now() + 600, exp: now() + 900 }, /iat is (?:600|59\d) s ahead/],
        [{ aud: 'audience-7731' }, /unexpected \\"aud\\" claim value/],
      ] as const) {
        const before = house.log().length;
        const token = await house.idp.logoutToken({
          sub: 'subject-7731',
          sid: 'sid-7731',
          name: 'Name-7731',
          ...claims,
        });
        assert.equal((await logOut(token)).status, 400);
        const written = house.log().slice(before);
        assert.match(written, told);
        assert.doesNotMatch(written, /7731/);
      }
    });

    it('finds the provider’s new key, whatever key ids strangers invent', async () => {
      const jar = await house.enter();
      assert.equal((await logOut(await house.idp.logoutToken({ sub: 'alice', sid: 'nobody' }))).status, 200);
      for (const kid of ['a', 'b', 'next'])
        assert.equal(
          (await logOut(await house.idp.logoutToken({ sub: 'alice' }, { kid, stranger: true }))).status,
          400,
        );
      house.idp.rotated = true;
      try {
        assert.equal((await logOut(await house.idp.logoutToken({ sub: 'alice' }))).status, 200);
        assert.equal(await isIn(jar), false);
      } finally {
        house.idp.rotated = false;
      }
    });

    it('answers 503 where the store or the provider is away', async () => {
      const jar = await house.enter();
      house.control.storeDown = true;
      const token = await house.idp.logoutToken({ sub: 'alice' });
      assert.equal((await logOut(token)).status, 503);
      house.control.storeDown = false;
      assert.ok(await isIn(jar));
      assert.equal((await logOut(token)).status, 200, 'the provider sends the same token again');
      assert.equal(await isIn(jar), false);
      const fresh = await openHouse();
      try {
        const unheard = await fresh.idp.logoutToken({ sub: 'alice' });
        await fresh.idp.stop();
        const answer = await new Jar().post(fresh.at('/_postern/backchannel-logout'), { logout_token: unheard });
        assert.equal(answer.status, 503);
      } finally {
        await fresh.close();
      }
    });
  });

  it('ends a session by front channel only where both issuer and sid are its own', async () => {
    const jar = await house.enter();
    const { sid } = await sidOf(jar);
    const open = (query: Record<string, string>) =>
      jar.hop(`${house.at('/_postern/frontchannel-logout')}?${new URLSearchParams(query)}`);
    for (const query of [
      {},
      { sid },
      { iss: house.idp.issuer },
      { iss: 'https://x', sid },
      { iss: house.idp.issuer, sid: 'x' },
    ])
      await open(query as Record<string, string>);
    assert.ok(await isIn(jar));
    const answer = await open({ iss: house.idp.issuer, sid });
    assert.equal(answer.headers.get('x-frame-options'), null);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.ok(answer.headers.get('content-security-policy')?.includes(`frame-ancestors ${house.idp.issuer}`));
    assert.equal(await isIn(jar), false);
  });

  describe('one’s own sessions', () => {
    const json = { accept: 'application/json' };
    const own = { origin: '' };
    before(() => {
      own.origin = house.origin;
    });

    it('lists them, and ends one of one’s own, never another person’s', async () => {
      const alice = await house.enter();
      const second = await house.enter();
      const bob = await house.enter('bob');
      const page = await (await alice.hop(house.at('/_postern/sessions'))).text();
      assert.match(page, /this one/);
      assert.doesNotMatch(page, /eyJ/);
      const listed = (await (await alice.hop(house.at('/_postern/sessions'), { headers: json })).json()) as {
        sessions: Array<{ key: string; current: boolean }>;
      };
      const bobs = (await sidOf(bob)).key;
      assert.ok(!listed.sessions.some(({ key }) => key === bobs));
      const wrong = await alice.post(house.at('/_postern/sessions'), { end: bobs }, { ...json, ...own });
      assert.equal(wrong.status, 404);
      assert.ok(await isIn(bob));

      await alice.post(house.at('/_postern/sessions'), { end: (await sidOf(second)).key }, { ...own });
      assert.equal(await isIn(second), false);
      const third = await house.enter();
      await alice.post(house.at('/_postern/sessions'), { others: 'yes', token: field(page, 'token') });
      assert.equal(await isIn(third), false);
      assert.ok(await isIn(alice));
      const last = await alice.post(house.at('/_postern/sessions'), { end: (await sidOf(alice)).key }, own);
      assert.equal(last.status, 303);
      assert.equal(last.headers.get('location'), '/_postern/signed-out');
      assert.equal(alice.cookies(house.origin).has(COOKIE), false);
    });

    it('names nobody to strangers', async () => {
      const stranger = new Jar();
      const me = await stranger.hop(house.at('/_postern/me'));
      assert.equal(me.status, 401);
      assert.ok(
        ((await me.json()) as { sign_in_url: string }).sign_in_url.startsWith(house.at('/_postern/sign-in?rd=')),
      );
      assert.equal((await stranger.hop(house.at('/_postern/sessions'), { headers: json })).status, 401);
      assert.equal((await stranger.hop(house.at('/_postern/sessions'))).status, 302);
      const program = await stranger.post(house.at('/_postern/sessions'), { others: 'yes' }, { ...json, ...own });
      assert.equal(program.status, 401);
      assert.equal(program.headers.get('content-type'), 'application/json; charset=utf-8');
    });

    it('says to a person whose session is over that the form was not taken, and where to sign in', async () => {
      for (const [path, fields] of [
        ['/_postern/sessions', { end: 'x' }],
        ['/_postern/sessions', { others: 'yes', token: 'old' }],
        ['/_postern/home', { revoke: 'x', token: 'old' }],
      ] as const) {
        const gone = new Jar();
        const answer = await gone.post(house.at(path), { ...fields }, own);
        assert.equal(answer.status, 303, path);
        const page = await gone.hop(house.at(answer.headers.get('location') ?? ''));
        assert.equal(page.status, 401, path);
        const text = await page.text();
        assert.match(text, /<h1>Your session is over<\/h1>/, path);
        const again = `href="/_postern/sign-in?rd=${encodeURIComponent(house.at(path))}">Sign in again</a>`;
        assert.ok(text.includes(again), text);
      }
    });

    it('names the time of a session in its button as the page shows it', async () => {
      const jar = await house.enter();
      for (const [language, time] of [
        ['en', /[A-Z][a-z]{2} \d{1,2}, \d{4}, \d{1,2}:\d\d\s[AP]M UTC/],
        ['de', /\d\d\.\d\d\.\d{4}, \d\d:\d\d UTC/],
        ['fr', /\d{1,2} \S+ \d{4}(?:,| à) \d\d:\d\d UTC/],
      ] as const) {
        const page = await jar.hop(house.at('/_postern/sessions'), { headers: { 'accept-language': language } });
        const [, label = ''] = /aria-label="([^"]*20\d\d[^"]*)"/.exec(await page.text()) ?? [];
        assert.match(label, time, language);
        assert.doesNotMatch(label, /T\d\d:/, language);
      }
    });

    it('shows the address that the trusted proxy saw, whatever the client wrote before it', async () => {
      const jar = new Jar();
      const callback = await jar.until(house.at('/_postern/sign-in'), /callback\?/);
      await jar.hop(callback, {
        headers: { 'x-forwarded-for': '198.51.100.9, 203.0.113.7', 'user-agent': '<img src=x onerror=alert(1)>' },
      });
      const page = await (await jar.hop(house.at('/_postern/sessions'))).text();
      assert.match(page, /203\.0\.113\.7/);
      assert.doesNotMatch(page, /198\.51\.100\.9|<img src=x/);
    });
  });

  it('serves its stylesheet, with nothing in it from elsewhere', async () => {
    const page = await (await new Jar().hop(house.at('/_postern/signed-out'))).text();
    const href = /<link rel="stylesheet" href="([^"]+)"/.exec(page)?.[1] as string;
    const sheet = await new Jar().hop(house.at(href));
    assert.equal(sheet.headers.get('content-type'), 'text/css; charset=utf-8');
    assert.doesNotMatch(await sheet.text(), /url\(|@import/);
    const etag = sheet.headers.get('etag') as string;
    assert.equal((await new Jar().hop(house.at(href), { headers: { 'if-none-match': etag } })).status, 304);
    assert.match(page, /<html lang="en">.*<title>Signed out · Postern<\/title>.*<main><h1>/s);
  });
});

describe('the refresh of a session', () => {
  let house: House;
  beforeEach(async () => {
    house = await openHouse();
  });
  afterEach(() => house.close());

  const sessionOf = async (jar: Jar) => {
    const session = await house.sessions.find(`${COOKIE}=${jar.cookies(house.origin).get(COOKIE)}`);
    assert.ok(session !== undefined);
    return session;
  };
  const signal = new AbortController().signal;

  it('brings new tokens and the claims of now', async () => {
    const session = await sessionOf(await house.enter());
    house.idp.accounts.alice = { idToken: { groups: ['sales'] } };
    const outcome = await house.providers.refresh(session, signal);
    assert.equal(outcome.kind, 'refreshed');
    if (outcome.kind !== 'refreshed') return;
    assert.notEqual(outcome.signedIn.tokens.accessToken, session.tokens.accessToken);
    assert.notEqual(outcome.signedIn.tokens.refreshToken, session.tokens.refreshToken);
    assert.deepEqual(outcome.signedIn.identity.groups, ['sales']);
    assert.equal(outcome.signedIn.providerSession, session.providerSession);
    assert.equal(outcome.signedIn.identity.method, 'session');
  });

  it('is refused where the grant is dead, and nothing else is a refusal', async () => {
    const session = await sessionOf(await house.enter());
    const dead = { ...session, tokens: { ...session.tokens, refreshToken: 'unknown' } };
    assert.deepEqual(await house.providers.refresh(dead, signal), { kind: 'refused' });
    for (const status of [500, 503, 429, 400]) {
      house.idp.failTokens = status;
      await assert.rejects(house.providers.refresh(session, signal), { name: 'DependencyUnavailable' });
    }
    house.idp.failTokens = undefined;
    await house.idp.stop();
    await assert.rejects(house.providers.refresh(session, signal), { name: 'DependencyUnavailable' });
    await house.idp.restart();
    assert.equal((await house.providers.refresh(session, signal)).kind, 'refreshed');
  });

  for (const [what, status, error] of [
    ['as Dex says it', 400, 'invalid_request'],
    ['as RFC 6749 says it', 400, 'invalid_grant'],
    ['where the client may not refresh any more', 400, 'unauthorized_client'],
    ['where the scopes may not be had any more', 400, 'invalid_scope'],
    ['by a code of the provider alone', 403, 'consent_withdrawn'],
  ] as const)
    it(`is refused by any OAuth error that blames the grant: ${what}`, async () => {
      const session = await sessionOf(await house.enter());
      const description = 'Refresh token is invalid or has already been claimed by another client.';
      house.idp.failTokens = { status, body: { error, error_description: description } };
      assert.deepEqual(await house.providers.refresh(session, signal), { kind: 'refused' });
      assert.match(house.log(), new RegExp(`"error":"${error}"`));
      assert.doesNotMatch(house.log(), /claimed by another client/);
    });

  for (const [what, failure] of [
    ['a page of a proxy whose backend restarts', { status: 404, body: '404 page not found' }],
    ['a page of a firewall', { status: 403, body: '<html>blocked</html>' }],
    ['a time limit', { status: 408, body: { error: 'invalid_request' } }],
    ['a rate limit', { status: 429, body: { error: 'slow_down' } }],
    ['an answer that the provider says is passing', { status: 400, body: { error: 'temporarily_unavailable' } }],
  ] as const)
    it(`is an outage where the answer says nothing of the grant: ${what}`, async () => {
      const session = await sessionOf(await house.enter());
      house.idp.failTokens = failure;
      await assert.rejects(house.providers.refresh(session, signal), { name: 'DependencyUnavailable' });
    });

  for (const [what, failure] of [
    ['by code', { status: 400, body: { error: 'invalid_client' } }],
    ['by status', { status: 401, body: { error: 'invalid_grant' } }],
    ['by a challenge', { status: 401, body: '', challenge: 'Basic realm="tokens"' }],
  ] as const)
    it(`blames the configuration where the provider refuses our own client ${what}`, async () => {
      const session = await sessionOf(await house.enter());
      house.idp.failTokens = failure;
      await assert.rejects(house.providers.refresh(session, signal), { name: 'DependencyUnavailable' });
      assert.match(
        house.log(),
        /"level":"error".*check clientId, clientSecret and clientAuthentication of the provider .{1,2}idp0/,
      );
    });

  for (const [what, rotated] of [
    ['to a key with an id of its own', true],
    ['to another key under the same id', 'same id'],
    ['to a key without an id', 'no id'],
  ] as const)
    it(`survives a rotation of the provider keys right after they were fetched, as a sign-in does: ${what}`, async () => {
      const session = await sessionOf(await house.enter());
      house.idp.rotated = rotated;
      const outcome = await house.providers.refresh(session, signal);
      assert.equal(outcome.kind, 'refreshed');
      house.idp.rotated = false;
      assert.equal((await house.providers.refresh(await sessionOf(await house.enter()), signal)).kind, 'refreshed');
      house.idp.rotated = rotated;
      await house.enter('bob');
    });

  for (const [what, failure, code] of [
    [
      'beside its answer',
      { status: 400, body: { error: 'invalid_grant' }, challenge: 'Bearer error="invalid_grant"' },
      'invalid_grant',
    ],
    [
      'in the place of an answer',
      { status: 403, body: '', challenge: 'Bearer error="invalid_token"' },
      'invalid_token',
    ],
    [
      'without a code',
      { status: 403, body: { error: 'access_denied' }, challenge: 'Bearer realm="corp"' },
      'status_403',
    ],
  ] as const)
    it(`is refused where the provider refuses the token by a challenge ${what}`, async () => {
      const session = await sessionOf(await house.enter());
      house.idp.failTokens = failure;
      assert.deepEqual(await house.providers.refresh(session, signal), { kind: 'refused' });
      assert.match(house.log(), new RegExp(`"error":"${code}"`));
      assert.doesNotMatch(house.log(), /check clientId/);
    });

  for (const status of [408, 429, 503])
    it(`is an outage whatever challenge comes with it: ${status}`, async () => {
      const session = await sessionOf(await house.enter());
      house.idp.failTokens = { status, body: '', challenge: 'Bearer error="invalid_token"' };
      await assert.rejects(house.providers.refresh(session, signal), { name: 'DependencyUnavailable' });
    });

  for (const [what, forge] of [
    ['is signed by a key that nobody publishes', { stranger: true }],
    ['is over already, as with a wrong clock', { claims: { exp: 1 } }],
    ['is for another client', { claims: { aud: 'another' } }],
    ['comes from another issuer', { claims: { iss: 'https://other.example' } }],
  ] as const)
    it(`keeps the new refresh token, and nothing else, where the ID token ${what}`, async () => {
      const session = await sessionOf(await house.enter());
      house.idp.forge = forge;
      const outcome = await house.providers.refresh(session, signal);
      assert.equal(outcome.kind, 'unchecked');
      if (outcome.kind !== 'unchecked') return;
      assert.notEqual(outcome.refreshToken, session.tokens.refreshToken);
      house.idp.forge = undefined;
      const tokens = { ...session.tokens, refreshToken: outcome.refreshToken };
      assert.equal((await house.providers.refresh({ ...session, tokens }, signal)).kind, 'refreshed');
    });

  it('keeps the refresh token and the claims where the provider sends no new ones', async () => {
    const session = await sessionOf(await house.enter());
    house.idp.forge = { none: true, noRefresh: true };
    const outcome = await house.providers.refresh(session, signal);
    assert.equal(outcome.kind, 'refreshed');
    if (outcome.kind !== 'refreshed') return;
    const { signedIn } = outcome;
    assert.equal(signedIn.tokens.refreshToken, session.tokens.refreshToken);
    assert.equal(signedIn.tokens.idToken, session.tokens.idToken);
    assert.notEqual(signedIn.tokens.accessToken, session.tokens.accessToken);
    assert.deepEqual(signedIn.identity, session.identity);
  });

  it('is refused for another subject, and for somebody who may not sign in any more', async () => {
    const session = await sessionOf(await house.enter());
    const foreign = { ...session, identity: { ...session.identity, subject: 'mallory' } };
    assert.deepEqual(await house.providers.refresh(foreign, signal), { kind: 'refused' });
    const strict = await openHouse({ provider: { allowedDomains: ['example.com'] } });
    try {
      const jar = await strict.enter();
      const theirs = await strict.sessions.find(`${COOKIE}=${jar.cookies(strict.origin).get(COOKIE)}`);
      assert.ok(theirs !== undefined);
      strict.idp.accounts.alice = { idToken: { email: 'alice@example.net', email_verified: true } };
      assert.deepEqual(await strict.providers.refresh(theirs, signal), { kind: 'refused' });
    } finally {
      await strict.close();
    }
  });

  it('keeps the new tokens where userinfo is away', async () => {
    const open = await openHouse({ provider: { userinfo: 'always' } });
    try {
      const jar = await open.enter();
      const session = await open.sessions.find(`${COOKIE}=${jar.cookies(open.origin).get(COOKIE)}`);
      assert.ok(session !== undefined);
      open.idp.failUserinfo = true;
      const outcome = await open.providers.refresh(session, signal);
      assert.equal(outcome.kind, 'refreshed');
      if (outcome.kind !== 'refreshed') return;
      assert.notEqual(outcome.signedIn.tokens.refreshToken, session.tokens.refreshToken);
      assert.deepEqual(outcome.signedIn.identity, session.identity);
      open.idp.failUserinfo = 'refused';
      const { signedIn } = outcome;
      const refused = await open.providers.refresh({ ...session, ...signedIn }, signal);
      assert.equal(refused.kind, 'unchecked');
      assert.doesNotMatch(open.log(), /check clientId/);
    } finally {
      await open.close();
    }
  });

  it('ends nothing else than the session whose provider is configured no longer', async () => {
    const session = await sessionOf(await house.enter());
    assert.deepEqual(await house.providers.refresh({ ...session, provider: 'gone' }, signal), { kind: 'refused' });
    const { stillHas } = house.providers;
    const identity = { ...session.identity, issuer: 'https://another.example' };
    assert.deepEqual(
      [session, { ...session, provider: 'gone' }, { ...session, identity }].map(stillHas),
      [true, false, false],
      'an id that now stands for another issuer is another provider',
    );
  });
});
