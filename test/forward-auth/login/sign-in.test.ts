import assert from 'node:assert/strict';
import { SessionCookie } from '../../../src/forward-auth/sessions/cookie.ts';
import { type House, openHouse } from './support/house.ts';
import type { InteractiveProvider } from './support/interactive-provider.ts';
import { Jar } from './support/jar.ts';

const CALLBACK = /\/_postern\/callback(?:\/idp[01])?\?/;

async function problem(answer: Response, status: number): Promise<string> {
  const text = await answer.text();
  assert.equal(answer.status, status, text);
  assert.match(text, /role="alert"/);
  assert.match(text, /Request [\w-]+/);
  assert.match(answer.headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.doesNotMatch(text, /<script|style=|eyJ/);
  return text;
}

describe('signing in', () => {
  let house: House;
  before(async () => {
    house = await openHouse();
  });
  beforeEach(() => {
    house.idp.user = 'alice';
    house.idp.failTokens = undefined;
    house.idp.forge = undefined;
    house.control.limited = false;
    house.control.storeDown = false;
  });
  after(() => house.close());

  const begin = (jar: Jar, rd = '/inside') => jar.until(house.at(`/_postern/sign-in?rd=${rd}`), CALLBACK);

  it('leads through the provider and back, with PKCE, nonce and state', async () => {
    const jar = new Jar();
    const first = await jar.hop(house.at('/_postern/sign-in?rd=/deep%3Fa=b'));
    assert.equal(first.status, 302);
    const asked = new URL(first.headers.get('location') as string).searchParams;
    assert.equal(asked.get('code_challenge_method'), 'S256');
    assert.equal(asked.get('response_type'), 'code');
    assert.equal(asked.get('redirect_uri'), house.at('/_postern/callback'));
    for (const name of ['state', 'nonce', 'code_challenge']) assert.ok((asked.get(name) ?? '').length >= 43, name);
    assert.match(
      first.headers.getSetCookie()[0] ?? '',
      /^__Host-postern-sign-in=[\w-]{43}; Path=\/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax$/,
    );
    const callback = await jar.until(first.headers.get('location') as string, CALLBACK);
    const answer = await jar.hop(callback);
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.get('location'), house.at('/deep?a=b'));
    const me = (await (await jar.hop(house.at('/_postern/me'))).json()) as Record<string, unknown>;
    assert.equal(me.subject, 'alice');
    assert.equal(me.email, 'alice@example.com');
    assert.deepEqual(me.groups, ['engineering']);
    assert.equal(me.issuer, house.idp.issuer);
    assert.doesNotMatch(JSON.stringify(me), /eyJ|token/i);
  });

  it('lets people in with 200 ids of groups, and tells those with more which limit they are over', async () => {
    const ids = (count: number) => Array.from({ length: count }, (_none, at) => `${at}`.padStart(36, '0'));
    for (const groups of [ids(1), ids(200)]) {
      house.idp.forge = { claims: { groups } };
      const jar = new Jar();
      assert.equal((await jar.hop(await begin(jar))).status, 303, `${groups.length}`);
    }
    const long = Array.from({ length: 20 }, (_none, at) => `${at}`.padStart(500, 'g'));
    const many = Array.from({ length: 3_000 }, (_none, at) => `${at}`);
    for (const groups of [ids(230), long, many]) {
      house.idp.forge = { claims: { groups } };
      const jar = new Jar();
      const text = await problem(await jar.hop(await begin(jar)), 403);
      assert.match(text, new RegExp(`${groups.length} groups.*auth\\.limits\\.maxIdentity allows 8192`));
      assert.ok(groups === many || !text.includes(groups[2] as string), 'none of them is named');
      assert.equal(jar.cookies(house.origin).has('__Host-postern'), false);
      assert.match(
        house.log(),
        new RegExp(`a sign-in was refused: .*${groups.length} groups.*auth\\.limits\\.maxIdentity`),
      );
    }
  });

  it('works in ten tabs at once, with one cookie', async () => {
    const jar = new Jar();
    await jar.hop(house.at('/_postern/sign-in?rd=/inside'));
    const bound = jar.cookies(house.origin).get('__Host-postern-sign-in');
    const callbacks: string[] = [];
    for (let i = 0; i < 10; i++) callbacks.push(await begin(jar, `/tab${i}`));
    assert.equal(jar.cookies(house.origin).get('__Host-postern-sign-in'), bound);
    assert.equal(jar.cookies(house.origin).size, 1);
    const answers = await Promise.all(callbacks.map((url) => jar.hop(url)));
    assert.deepEqual(
      answers.map((answer) => answer.headers.get('location')),
      callbacks.map((_, index) => house.at(`/tab${index}`)),
    );
  });

  it('refuses a callback in another browser', async () => {
    const callback = await begin(new Jar());
    await problem(await new Jar().hop(callback), 400);
  });

  it('begins anew, once, where another tab replaced the cookie of this one', async () => {
    const jar = new Jar();
    await jar.hop(house.at('/_postern/sign-in'));
    const callback = await begin(new Jar(), '/tab');
    const asked = house.idp.tokenRequests.length;
    const answer = await jar.hop(callback);
    assert.equal(answer.status, 302);
    assert.ok(answer.headers.get('location')?.startsWith(house.idp.issuer));
    assert.equal(jar.cookies(house.origin).has('__Host-postern'), false);
    assert.equal(house.idp.tokenRequests.length, asked, 'the code of the other one is not used');
    // The new one, in a third browser that has a cookie of its own as well.
    const state = new URL(answer.headers.get('location') as string).searchParams.get('state') as string;
    const third = new Jar();
    await third.hop(house.at('/_postern/sign-in'));
    await problem(await third.hop(`${house.at('/_postern/callback')}?code=x&state=${state}`), 400);
  });

  it('lets a tab whose cookie was replaced go where it wanted, once its browser is signed in', async () => {
    const jar = new Jar();
    const mine = await begin(jar, '/mine');
    const other = await begin(new Jar(), '/other');
    await jar.hop(mine);
    assert.equal((await jar.hop(other)).headers.get('location'), house.at('/other'));
  });

  it('takes a state once, and sends somebody who went back in the history on', async () => {
    const jar = new Jar();
    const callback = await begin(jar, '/once');
    assert.equal((await jar.hop(callback)).status, 303);
    const again = await jar.hop(callback);
    assert.equal(again.headers.get('location'), house.at('/once'));
    assert.deepEqual(again.headers.getSetCookie(), []);
    jar.cookies(house.origin).delete('__Host-postern');
    const asked = house.idp.tokenRequests.length;
    await problem(await jar.hop(callback), 400);
    assert.equal(house.idp.tokenRequests.length, asked);
  });

  it('refuses tampered, doubled, missing and old states', async () => {
    const jar = new Jar();
    const callback = new URL(await begin(jar));
    const state = callback.searchParams.get('state') as string;
    for (const wrong of [`${state.slice(0, -4)}AAAA`, '', 'x', house.sealing.seal('other', 'x')]) {
      callback.searchParams.set('state', wrong);
      await problem(await jar.hop(callback.href), 400);
    }
    await problem(await jar.hop(`${house.at('/_postern/callback')}?code=x&state=${state}&state=${state}`), 400);
    await problem(await jar.hop(house.at('/_postern/callback')), 400);
    house.pass(11 * 60_000);
    callback.searchParams.set('state', state);
    await problem(await jar.hop(callback.href), 400);
    house.pass(-11 * 60_000);
  });

  it('refuses a code that is not this attempt’s', async () => {
    const jar = new Jar();
    const mine = new URL(await begin(jar));
    const theirs = new URL(await begin(new Jar()));
    mine.searchParams.set('code', theirs.searchParams.get('code') as string);
    await problem(await jar.hop(mine.href), 502);
    assert.equal(jar.cookies(house.origin).has('__Host-postern'), false);
  });

  it('refuses an answer that another issuer gave', async () => {
    const jar = new Jar();
    const callback = new URL(await begin(jar));
    assert.equal(callback.searchParams.get('iss'), house.idp.issuer);
    callback.searchParams.set('iss', 'https://evil.example');
    const asked = house.idp.tokenRequests.length;
    await problem(await jar.hop(callback.href), 502);
    assert.equal(house.idp.tokenRequests.length, asked, 'the code goes to nobody');
  });

  for (const [name, forge] of [
    ['another nonce', { claims: { nonce: 'another' } }],
    ['another audience', { claims: { aud: 'somebody-else' } }],
    ['another issuer', { claims: { iss: 'https://evil.example' } }],
    ['an end that is over', { claims: { exp: 1_000_000_000 } }],
    ['a stranger’s signature', { stranger: true }],
    ['no ID token', { none: true }],
  ] as const)
    it(`refuses an ID token with ${name}`, async () => {
      const jar = new Jar();
      const callback = await begin(jar);
      house.idp.forge = forge;
      await problem(await jar.hop(callback), 502);
      assert.equal(jar.cookies(house.origin).has('__Host-postern'), false);
    });

  it('logs which claim of an ID token failed and by how much, and nothing of the person', async () => {
    const seconds = Math.floor(Date.now() / 1_000);
    const personal = {
      ...{
        email: 'person-7731@example.com',
        name: 'Personal Name-7731',
        groups: ['group-7731'],
        phone_number: '+49-7731',
      },
      address: { locality: 'Town-7731' },
    };
    for (const [claims, told] of [
      [{ exp: seconds - 312 }, /exp was 31\d s ago \(\d{4}-.*Z, now \d{4}-.*Z\), tolerance 30 s/],
      [{ nbf: seconds + 900 }, /nbf is (?:900|89\d) s ahead/],
      [{ exp: 1e300 - 1e300 }, /exp was \d+ s ago \(1970-/],
      [{ exp: 'tomorrow-7731' }, /refused/],
      [{ aud: 'audience-7731' }, /JWT \\"aud\\"/],
      [{ iss: 'https://issuer-7731.example' }, /JWT \\"iss\\"/],
      [{ nonce: 'nonce-7731' }, /ID Token \\"nonce\\"/],
    ] as const) {
      const jar = new Jar();
      const callback = await begin(jar);
      house.idp.forge = { claims: { ...personal, ...claims } };
      const before = house.log().length;
      await problem(await jar.hop(callback), 502);
      const written = house.log().slice(before);
      assert.match(written, told);
      assert.doesNotMatch(written, /7731|"claims"/, JSON.stringify(claims));
    }
  });

  it('takes an ID token that the same forger leaves as it is', async () => {
    const jar = new Jar();
    const callback = await begin(jar);
    house.idp.forge = {};
    assert.equal((await jar.hop(callback)).status, 303);
  });

  it('believes a forwarded host only where it is one of the configured origins', async () => {
    for (const host of ['evil.example', 'evil.example, 127.0.0.1', `${new URL(house.origin).host}@evil.example`]) {
      const answer = await new Jar().hop(house.at('/_postern/sign-in'), { headers: { 'x-forwarded-host': host } });
      // Its cookie would not come to the callback: the page leads to the address where it does.
      const text = await problem(answer, 404);
      assert.ok(text.includes(`href="${house.at('/_postern/sign-in?')}`), text);
      assert.doesNotMatch(text, /evil/);
      assert.deepEqual(answer.headers.getSetCookie(), []);
    }
    const several = await openHouse({
      auth: {
        sessions: { cookie: '__Secure-postern', cookieDomains: ['0.0.1', 'example.org'] },
        signIn: { origins: ['https://apps.example.org'] },
      },
    });
    try {
      const headers = { 'x-forwarded-host': 'apps.example.org' };
      const answer = await new Jar().hop(several.at('/_postern/sign-in'), { headers });
      const asked = new URL(answer.headers.get('location') as string).searchParams;
      assert.equal(asked.get('redirect_uri'), 'https://apps.example.org/_postern/callback');
    } finally {
      await several.close();
    }
  });

  it('says so where the person says no, without the provider’s words', async () => {
    house.idp.user = undefined;
    const jar = new Jar();
    const text = await problem(await jar.hop(await begin(jar)), 403);
    assert.doesNotMatch(text, /alert\(1\)/);
    assert.match(text, /href="\/_postern\/sign-in\?rd=[^"]*%2Finside&#38;switch=1"/);
  });

  it('begins a new session id and ends what the browser came with', async () => {
    const jar = await house.enter();
    const planted = jar.cookies(house.origin).get('__Host-postern') as string;
    await house.enter('alice', jar);
    const now = jar.cookies(house.origin).get('__Host-postern');
    assert.notEqual(now, planted);
    assert.equal(await house.sessions.find(`__Host-postern=${planted}`), undefined);
  });

  it('answers 503 while the provider is away, and works again after', async () => {
    const fresh = await openHouse();
    try {
      await fresh.idp.stop();
      const jar = new Jar();
      const away = await jar.hop(fresh.at('/_postern/sign-in'));
      await problem(away, 503);
      assert.ok(Number(away.headers.get('retry-after')) > 0);
      assert.deepEqual(away.headers.getSetCookie(), []);
      await fresh.idp.restart();
      fresh.pass(2_000);
      const callback = await jar.until(fresh.at('/_postern/sign-in?rd=/inside'), CALLBACK);
      await fresh.idp.stop();
      await problem(await jar.hop(callback), 503);
      await fresh.idp.restart();
      await fresh.enter('alice', jar);
      assert.equal((await fresh.outcomes()).unavailable, 2);
    } finally {
      await fresh.close();
    }
  });

  it('answers 503 where the token endpoint or the store fails, and takes no cookie away', async () => {
    const jar = await house.enter();
    const callback = await jar.until(house.at('/_postern/sign-in?switch=1&rd=/inside'), CALLBACK);
    house.idp.failTokens = 503;
    const away = await jar.hop(callback);
    await problem(away, 503);
    house.idp.failTokens = undefined;
    const next = await jar.until(house.at('/_postern/sign-in?switch=1&rd=/inside'), CALLBACK);
    house.control.storeDown = true;
    const unkept = await jar.hop(next);
    await problem(unkept, 503);
    assert.deepEqual(unkept.headers.getSetCookie(), []);
    for (const path of ['/_postern/sign-in', '/_postern/me', '/_postern/sessions', '/_postern/sign-out']) {
      const answer = await jar.hop(house.at(path));
      await problem(answer, 503);
      assert.deepEqual(answer.headers.getSetCookie(), []);
    }
    assert.ok(jar.cookies(house.origin).has('__Host-postern'));
  });

  it('lets programs, frames and prefetches begin nothing', async () => {
    for (const headers of [
      { 'sec-fetch-mode': 'cors' },
      { 'sec-fetch-dest': 'iframe' },
      { 'sec-purpose': 'prefetch' },
    ]) {
      const answer = await new Jar().hop(house.at('/_postern/sign-in?rd=/inside'), {
        headers: { 'sec-fetch-mode': 'navigate', ...headers } as Record<string, string>,
      });
      assert.equal(answer.status, 401);
      assert.deepEqual(answer.headers.getSetCookie(), []);
      const body = (await answer.json()) as { sign_in_url: string };
      assert.equal(new URL(body.sign_in_url).origin, house.origin);
    }
  });

  it('limits attempts, and hears no HEAD', async () => {
    house.control.limited = true;
    const answer = await new Jar().hop(house.at('/_postern/sign-in'));
    await problem(answer, 429);
    assert.equal(answer.headers.get('retry-after'), '3');
    assert.equal((await new Jar().hop(house.at('/_postern/callback'), { method: 'HEAD' })).status, 405);
  });

  it('returns somebody signed in straight, but not for ever', async () => {
    const jar = await house.enter();
    const url = house.at('/_postern/sign-in?rd=/inside');
    for (let i = 0; i < 3; i++) assert.equal((await jar.hop(url)).headers.get('location'), house.at('/inside'));
    assert.match(await problem(await jar.hop(url), 403), /switch=1/);
    assert.match((await jar.hop(`${url}&switch=1`)).headers.get('location') ?? '', /code_challenge=/);
  });

  it('asks first where a page elsewhere would have somebody sign in anew, which ends their session', async () => {
    for (const site of ['cross-site', 'same-site'])
      for (const how of ['switch=1', 'prompt=login', 'provider=idp0', 'switch=1&provider=idp0']) {
        const jar = await house.enter();
        const headers = { 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
        const address = house.at(`/_postern/sign-in?${how}&rd=/inside`);
        const answer = await jar.hop(address, { headers });
        assert.equal(answer.status, 200, how);
        const link = /class="button" href="([^"]+)"/.exec(await answer.text())?.[1]?.replaceAll('&#38;', '&');
        assert.equal((await jar.hop(house.at('/_postern/me'))).status, 200, 'the session goes on');
        const own = { ...headers, 'sec-fetch-site': 'same-origin' };
        assert.equal((await jar.hop(house.at(link as string), { headers: own })).status, 302, 'a click goes on');
        assert.equal((await new Jar().hop(address, { headers })).status, 302, 'nobody is signed in');
      }
  });

  it('never leads to a foreign address', async () => {
    for (const rd of ['https://evil.example', '//evil.example', '/\\evil.example', '/_postern/sign-out']) {
      const jar = new Jar();
      const answer = await jar.hop(await begin(jar, encodeURIComponent(rd)));
      assert.equal(answer.headers.get('location'), `${house.origin}/`);
    }
  });

  it('writes no token, code or state to the log', async () => {
    const jar = new Jar();
    const callback = new URL(await begin(jar));
    await jar.hop(callback.href);
    for (const name of ['code', 'state'])
      assert.ok(!house.log().includes(callback.searchParams.get(name) as string), `the log holds a ${name}`);
    assert.doesNotMatch(house.log(), /eyJ[\w-]{10,}\./);
    for (const value of jar.cookies(house.origin).values()) assert.ok(!house.log().includes(value));
  });
});

describe('who may sign in, and as what', () => {
  const signInAs = async (
    claims: Record<string, unknown>,
    provider: object,
    userinfo?: Record<string, unknown>,
  ): Promise<{ status: number; me: Record<string, unknown>; house: House }> => {
    const house = await openHouse({ provider });
    try {
      house.idp.accounts.zoe = { idToken: claims, ...(userinfo === undefined ? {} : { userinfo }) };
      house.idp.user = 'zoe';
      const jar = new Jar();
      const answer = await jar.hop(await jar.until(house.at('/_postern/sign-in'), CALLBACK));
      const me = (await (await jar.hop(house.at('/_postern/me'))).json()) as Record<string, unknown>;
      return { status: answer.status, me, house };
    } finally {
      await house.close();
    }
  };
  const verified = { email: 'Zoe@Example.com', email_verified: true };

  for (const [name, claims, provider, status] of [
    ['an allowed address in other case', verified, { allowedEmails: ['zoe@example.com'] }, 303],
    ['an allowed domain', verified, { allowedDomains: ['EXAMPLE.com'] }, 303],
    ['a text instead of a boolean', { ...verified, email_verified: 'true' }, { allowedDomains: ['example.com'] }, 303],
    ['another domain', verified, { allowedDomains: ['example.org'] }, 403],
    ['a domain below', { ...verified, email: 'zoe@sub.example.com' }, { allowedDomains: ['example.com'] }, 403],
    [
      'a domain that only ends so',
      { ...verified, email: 'zoe@notexample.com' },
      { allowedDomains: ['example.com'] },
      403,
    ],
    ['two @', { ...verified, email: 'zoe@evil.example@example.com' }, { allowedDomains: ['example.com'] }, 403],
    ['an unverified address', { ...verified, email_verified: false }, { allowedDomains: ['example.com'] }, 403],
    ['an address nobody vouches for', { email: verified.email }, { allowedDomains: ['example.com'] }, 403],
  ] as const)
    it(`${status === 303 ? 'lets in' : 'refuses'} ${name}`, async () => {
      const outcome = await signInAs(claims, provider);
      assert.equal(outcome.status, status);
      assert.equal(outcome.me.signedIn, status === 303);
    });

  const here = { allowedDomains: ['example.com'] };
  for (const [name, claims, provider, status, log] of [
    [
      'Entra: no email_verified',
      { email: 'zoe@example.com' },
      here,
      403,
      /"reason":"email_unverified".*set trustEmails of the provider/,
    ],
    ['Entra, trusted', { email: 'zoe@example.com' }, { ...here, trustEmails: true }, 303, /signed in/],
    [
      'trusted, by another claim',
      { upn: 'zoe@example.com' },
      { ...here, trustEmails: true, claims: { email: 'upn' } },
      303,
      /signed in/,
    ],
    [
      'trusted, in a list of addresses',
      { email: 'zoe@example.com' },
      { allowedEmails: ['ZOE@example.com'], trustEmails: true },
      303,
      /signed in/,
    ],
    [
      'trusted, yet said to be unverified',
      { email: 'zoe@example.com', email_verified: false },
      { ...here, trustEmails: true },
      403,
      /"fix":"the provider says that the address is not verified/,
    ],
    [
      'trusted, yet null',
      { email: 'zoe@example.com', email_verified: null },
      { ...here, trustEmails: true },
      403,
      /email_unverified/,
    ],
    [
      'trusted, of another domain',
      { email: 'zoe@example.org' },
      { ...here, trustEmails: true },
      403,
      /"reason":"email_not_listed"/,
    ],
    [
      'trusted, without an address',
      {},
      { ...here, trustEmails: true },
      403,
      /"reason":"email_missing".*ask for the scope/,
    ],
    [
      'trusted, with two @',
      { email: 'zoe@evil.example@example.com' },
      { ...here, trustEmails: true },
      403,
      /"reason":"email_missing"/,
    ],
  ] as const)
    it(`${status === 303 ? 'lets in' : 'refuses, and logs provider, reason and setting,'} ${name}`, async () => {
      const outcome = await signInAs(claims, provider);
      assert.equal(outcome.status, status);
      const written = outcome.house.log();
      assert.match(written, log);
      if (status === 303) return;
      assert.match(written, /"provider":"idp0"[^\n]*"message":"a person may not sign in"/);
      assert.doesNotMatch(written, /zoe@/);
    });

  it('reads nested groups and names with dots', async () => {
    const claims = { realm_access: { roles: ['a', 'b'] }, 'roles.of.app': ['c'] };
    const nested = await signInAs(claims, { claims: { groups: 'realm_access.roles' } });
    assert.deepEqual(nested.me.groups, ['a', 'b']);
    const dotted = await signInAs(claims, { claims: { groups: 'roles.of.app' } });
    assert.deepEqual(dotted.me.groups, ['c']);
  });

  it('asks userinfo where the token only points to the groups, or always', async () => {
    const overage = await signInAs({ hasgroups: true }, {}, { groups: ['many'] });
    assert.deepEqual(overage.me.groups, ['many']);
    const never = await signInAs({ hasgroups: true }, { userinfo: 'never' }, { groups: ['many'] });
    assert.deepEqual(never.me.groups, []);
    assert.match(never.house.log(), /more groups than fit/);
    const unasked = await signInAs({}, {}, { groups: ['many'] });
    assert.deepEqual(unasked.me.groups, []);
    const always = await signInAs({}, { userinfo: 'always' }, { groups: ['many'] });
    assert.deepEqual(always.me.groups, ['many']);
  });

  it('lets people choose among providers, and keeps the answers apart', async () => {
    const house = await openHouse({ providers: 2 });
    try {
      const jar = new Jar();
      const page = await (await jar.hop(house.at('/_postern/sign-in?rd=/inside'))).text();
      const links = [...page.matchAll(/class="button" href="([^"]+)"/g)].map((match) =>
        (match[1] as string).replaceAll('&#38;', '&'),
      );
      assert.equal(links.length, 2);
      const one = new URL(await jar.until(house.at(links[0] as string), CALLBACK));
      const two = new URL(await jar.until(house.at(links[1] as string), CALLBACK));
      assert.notEqual(one.searchParams.get('iss'), two.searchParams.get('iss'));
      // The second provider's answer under the first one's state, at either's address.
      const mixed = new URL(two);
      mixed.searchParams.set('state', one.searchParams.get('state') as string);
      await problem(await jar.hop(mixed.href), 400);
      mixed.pathname = one.pathname;
      await problem(await jar.hop(mixed.href), 502);
      assert.equal((await jar.hop(two.href)).status, 303);
      const only = await jar.hop(house.at('/_postern/sign-in?switch=1&providers=idp1'));
      assert.ok(only.headers.get('location')?.startsWith(house.idps[1]?.issuer as string));
      await problem(await jar.hop(house.at('/_postern/sign-in?provider=nobody')), 404);
    } finally {
      await house.close();
    }
  });

  it('gives no provider the code of another, which it had people sent to (RFC 9700 §4.4)', async () => {
    const house = await openHouse({ providers: 2 });
    const [evil, honest] = house.idps as [InteractiveProvider, InteractiveProvider];
    try {
      const jar = new Jar();
      const begun = await jar.hop(house.at('/_postern/sign-in?provider=idp0'));
      const asked = new URL(begun.headers.get('location') as string);
      // The malicious one leads on to the honest one, with what it was given for itself.
      const led = new URL(asked);
      led.host = new URL(honest.issuer).host;
      const refused = await jar.hop(led.href);
      assert.equal(refused.status, 400, 'the honest one knows only its own callback');
      led.searchParams.set('redirect_uri', house.at('/_postern/callback/idp1'));
      const answer = new URL(await jar.until(led.href, CALLBACK));
      assert.equal(answer.pathname, '/_postern/callback/idp1');
      for (const keptIss of [true, false]) {
        if (!keptIss) answer.searchParams.delete('iss');
        await problem(await jar.hop(answer.href), 400);
      }
      assert.deepEqual([evil.tokenRequests, honest.tokenRequests], [[], []], 'no code goes anywhere');
    } finally {
      await house.close();
    }
  });

  it('takes no answer without the issuer that the provider promises, and no error of another issuer', async () => {
    const house = await openHouse();
    for (const [iss, change] of [
      ['none', (answer: URL) => answer.searchParams.delete('iss')],
      ['another', (answer: URL) => answer.searchParams.set('iss', 'https://evil.example')],
      ['two', (answer: URL) => answer.searchParams.append('iss', 'https://evil.example')],
    ] as const)
      for (const error of [undefined, 'access_denied', 'temporarily_unavailable']) {
        const jar = new Jar();
        const answer = new URL(await jar.until(house.at('/_postern/sign-in?rd=/inside'), CALLBACK));
        change(answer);
        if (error !== undefined) {
          answer.searchParams.delete('code');
          answer.searchParams.set('error', error);
        }
        const asked = house.idp.tokenRequests.length;
        await problem(await jar.hop(answer.href), 502);
        assert.equal(house.idp.tokenRequests.length, asked, `${iss}: the code goes nowhere`);
      }
    await house.close();
  });

  it('binds a browser by a cookie of this host alone, whatever the session’s is called', async () => {
    for (const [cookie, domains] of [
      ['postern', []],
      ['__Secure-gate', ['0.0.1']],
      ['__Host-gate', []],
    ] as const) {
      const house = await openHouse({ auth: { sessions: { cookie, cookieDomains: domains } } });
      try {
        const jar = new Jar();
        const base = cookie.replace(/^__(?:Host|Secure)-/, '');
        const begun = await jar.hop(house.at('/_postern/sign-in?rd=/inside'));
        const set = begun.headers.getSetCookie();
        assert.match(
          set[0] ?? '',
          new RegExp(`^__Host-${base}-sign-in=[\\w-]{43}; Path=/; Max-Age=3600; HttpOnly; Secure; `),
        );
        assert.doesNotMatch(set[0] ?? '', /Domain=/i);
        await jar.until(begun.headers.get('location') as string, /\/inside$/);
        const straight = await jar.hop(house.at('/_postern/sign-in?rd=/inside'));
        assert.match(straight.headers.getSetCookie()[0] ?? '', new RegExp(`^__Host-${base}-returns=1; Path=/; `));
        const own = new SessionCookie({ cookie, cookieDomains: [...domains], sameSite: 'lax', partitioned: false });
        const header = `a=b; ${cookie}=s; __Host-${base}-sign-in=x; __Host-${base}-returns=1; ${base}x=c`;
        assert.equal(own.stripped(header), `a=b; ${base}x=c`, 'none of them goes upstream');
      } finally {
        await house.close();
      }
    }
  });
});
