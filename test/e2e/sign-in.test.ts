import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { SIGN_IN_PATHS } from '../../src/forward-auth/decision/own-endpoints.ts';
import { browserOrSkip, type Person, screenshot, type TestBrowser } from '../support/browser.ts';
import { pageFaults } from '../support/page-faults.ts';
import { programOrSkip } from '../support/programs.ts';
import { type SignInChain, startSignInChain } from '../support/sign-in-chain.ts';

const COOKIE = '__Host-postern';
/** Milliseconds within which a sign-out must have been noticed. */
const NOTICED = 1_000;

describe('people with a real Chromium, through the real Traefik', () => {
  let chain: SignInChain;
  let browser: TestBrowser;
  const people: Person[] = [];

  before(async function () {
    this.timeout(300_000);
    const traefik = await programOrSkip(this, 'traefik');
    browser = await browserOrSkip(this);
    chain = await startSignInChain(traefik);
  });

  after(async function () {
    this.timeout(60_000);
    await browser?.close();
    await chain?.stop();
  });

  afterEach(async () => {
    for (const { context } of people.splice(0)) await context.close();
  });

  const at = (path: string) => chain.publicUrl + path;
  async function newPerson(): Promise<Person> {
    const person = await browser.person({ viewport: { width: 800, height: 600 } });
    people.push(person);
    return person;
  }

  /** At the provider's page. */
  async function authenticate(page: Page, user: string): Promise<void> {
    await page.getByLabel('User').fill(user);
    await page.getByRole('button', { name: 'Sign in' }).click();
  }

  async function signedIn(user = 'alice', path = '/app/'): Promise<Person> {
    const person = await newPerson();
    await person.page.goto(at(path));
    await authenticate(person.page, user);
    await person.page.waitForURL(at(path));
    return person;
  }

  async function cookieOf({ context }: Person) {
    return (await context.cookies(chain.publicUrl)).find(({ name }) => name === COOKIE);
  }

  /** What a program gets that sends this cookie. */
  async function statusWith(cookie: string | undefined): Promise<number> {
    const answer = await fetch(at('/app/'), { headers: { Cookie: `${COOKIE}=${cookie}` }, redirect: 'manual' });
    await answer.body?.cancel();
    return answer.status;
  }

  describe('by another address', () => {
    it('shows the right one, and leads there', async () => {
      const { page } = await newPerson();
      const alias = chain.publicUrl.replace('127.0.0.1', 'localhost');
      await page.goto(`${alias}/app/page?x=1`);
      assert.equal(new URL(page.url()).origin, chain.publicUrl);
      assert.match(
        (await page.getByRole('alert').textContent()) ?? '',
        new RegExp(`${alias}\\b.*${chain.publicUrl} only`),
      );
      assert.deepEqual(await pageFaults(page), []);
      await page.getByRole('link', { name: /Go to/ }).click();
      await authenticate(page, 'alice');
      await page.waitForURL(at('/app/page?x=1'));
      assert.match(
        await chain.logs(),
        /"reason":"wrong_address".*"scheme":"http","host":"localhost:\d+","expected":"http:\/\/127/,
      );
    });

    it('begins no sign-in whose cookie would be lost', async () => {
      const { page, context } = await newPerson();
      const alias = chain.publicUrl.replace('127.0.0.1', 'localhost');
      await page.goto(`${alias}${SIGN_IN_PATHS.signIn}?rd=/app/page`);
      assert.deepEqual(await context.cookies(), []);
      await page.getByRole('link', { name: /Go to/ }).click();
      await page.getByRole('link', { name: 'Example Corp' }).click();
      await authenticate(page, 'alice');
      await page.waitForURL(at('/app/page'));
    });
  });

  describe('a form that comes after the session', () => {
    async function send(page: Page, action: string): Promise<void> {
      await page.goto(at('/open/'));
      await page.evaluate(`{
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: ${JSON.stringify(action)} });
        document.body.append(form);
        form.submit();
      }`);
    }

    it('gets a page that says so, with a way to sign in', async () => {
      for (const path of ['/app/save', '/app/save?id=1&x=%2F', '/both/form']) {
        const { page } = await newPerson();
        const before = chain.app.seen.length;
        await send(page, at(path));
        const alert = page.getByRole('alert');
        await alert.waitFor();
        assert.match((await alert.textContent()) ?? '', /What you sent was not taken/);
        assert.deepEqual(await pageFaults(page), []);
        assert.deepEqual(
          chain.app.seen.slice(before).filter(({ url }) => url.startsWith('/app/save')),
          [],
        );
        await page.getByRole('link', { name: 'Sign in again' }).click();
        if (path === '/both/form') await page.getByRole('link', { name: 'Example Corp' }).click();
        await authenticate(page, 'alice');
        await page.waitForURL(at(path));
      }
    });

    it('gets it by another address too, never raw JSON', async () => {
      const { page } = await newPerson();
      await send(page, at('/app/save').replace('127.0.0.1', 'localhost'));
      await page.getByRole('link', { name: /Go to/ }).waitFor();
      assert.equal(new URL(page.url()).origin, chain.publicUrl);
    });
  });

  describe('signing in', () => {
    it('leads back to long addresses whole', async () => {
      for (const query of ['q'.repeat(2_100), `a=${'%2F'.repeat(700)}&b`]) {
        const { page } = await newPerson();
        await page.goto(at(`/app/page?${query}`));
        await authenticate(page, 'alice');
        await page.waitForURL(at(`/app/page?${query}`));
      }
    });

    it('leads to exactly the page that was wanted', async () => {
      const { page, complaints } = await newPerson();
      const wanted = at('/app/page?x=1&y=a%20b&z=%2Fadmin&empty=#part');
      await page.goto(wanted);
      assert.equal(new URL(page.url()).origin, chain.corp.issuer);
      await authenticate(page, 'alice');
      await page.waitForURL((url) => url.origin === chain.publicUrl);
      // The part behind `#` never reaches a server; browsers carry it over redirects, but not over a form.
      assert.equal(page.url().split('#')[0], wanted.split('#')[0]);
      assert.equal(await page.locator('#user').textContent(), 'alice');
      assert.deepEqual(complaints, []);
    });

    it('works in ten tabs at once', async function () {
      this.timeout(90_000);
      const { context } = await newPerson();
      const tabs = await Promise.all(Array.from({ length: 10 }, () => context.newPage()));
      await Promise.all(tabs.map((tab, index) => tab.goto(at(`/app/tab?n=${index}`))));
      await Promise.all(tabs.map((tab) => tab.getByLabel('User').fill('alice')));
      for (const [index, tab] of tabs.entries()) {
        // Tabs behind others are drawn once in a second only, and a click waits for that.
        await tab.bringToFront();
        await tab.getByRole('button', { name: 'Sign in' }).click();
        await tab.waitForURL(at(`/app/tab?n=${index}`));
        assert.equal(await tab.locator('#user').textContent(), 'alice');
      }
      const names = (await context.cookies(chain.publicUrl)).map(({ name }) => name);
      assert.ok(names.length <= 3, `cookies left behind: ${names.join(', ')}`);
    });

    it('is offered to a script as an address, without a redirect and without a cookie', async () => {
      const { page, context } = await newPerson();
      await page.goto(at('/open/'));
      const answer = await page.evaluate<{ status: number; redirected: boolean; type: string; body: string }>(
        `fetch('/app/data').then(async (answer) => ({ status: answer.status, redirected: answer.redirected,
          type: answer.headers.get('content-type'), body: await answer.text() }))`,
      );
      assert.equal(answer.status, 401);
      assert.equal(answer.redirected, false);
      assert.match(answer.type, /^application\/json/);
      const url = new URL((JSON.parse(answer.body) as { sign_in_url: string }).sign_in_url);
      assert.equal(url.origin + url.pathname, at(SIGN_IN_PATHS.signIn));
      assert.deepEqual(await context.cookies(), []);
      // And the address works when the page opens it.
      await page.goto(url.href);
      await authenticate(page, 'alice');
      await page.waitForURL(at('/app/data'));
    });

    it('offers a choice where there are two providers', async () => {
      const { page, complaints } = await newPerson();
      await page.goto(at('/both/page?q=1'));
      assert.deepEqual(await page.getByRole('main').getByRole('link').allTextContents(), [
        'Example Corp',
        'Partner & Söhne',
      ]);
      await page.getByRole('link', { name: 'Partner & Söhne' }).click();
      await authenticate(page, 'bob');
      await page.waitForURL(at('/both/page?q=1'));
      assert.equal(await page.locator('#user').textContent(), 'bob');
      assert.equal(chain.app.seen.at(-1)?.headers['x-authenticated-issuer'], chain.partner.issuer);
      assert.deepEqual(complaints, []);
    });

    it('explains a refusal of the provider, and starts again', async () => {
      const { page } = await newPerson();
      await page.goto(at('/app/page?q=2'));
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.waitForURL((url) => url.origin === chain.publicUrl);
      await page.getByRole('alert').waitFor();
      assert.equal(await page.locator('main b').count(), 0, 'the provider’s text is no markup of ours');
      await page.getByRole('link', { name: 'Sign in again' }).click();
      await authenticate(page, 'alice');
      await page.waitForURL(at('/app/page?q=2'));
    });
  });

  describe('the session', () => {
    it('is a cookie that scripts, other sites and plain connections do not get', async () => {
      const person = await signedIn();
      const { value, expires, ...flags } = (await cookieOf(person)) ?? assert.fail('no cookie');
      const { name, domain, path, httpOnly, secure, sameSite } = flags;
      assert.deepEqual(
        { name, domain, path, httpOnly, secure, sameSite },
        { name: COOKIE, domain: '127.0.0.1', path: '/', httpOnly: true, secure: true, sameSite: 'Lax' },
      );
      assert.match(value, /^[\w-]{43}$/);
      assert.ok(expires > Date.now() / 1_000);
      assert.doesNotMatch(await person.page.evaluate<string>('document.cookie'), /postern/);
    });

    it('does not reach the application, and its own cookies do', async () => {
      const person = await signedIn();
      await person.page.goto(at('/app/taste'));
      await person.page.goto(at('/app/after'));
      const { headers } = chain.app.seen.find(({ url }) => url === '/app/after') ?? assert.fail('never arrived');
      assert.equal(headers.cookie, 'taste=vanilla');
      assert.equal(headers['x-authenticated-user'], 'alice');
      assert.equal(headers['x-authenticated-method'], 'session');
    });

    it('leaves the application its cookies on public pages too', async () => {
      const { page } = await newPerson();
      await page.goto(at('/open/'));
      await page.evaluate(`document.cookie = 'taste=lemon; path=/'`);
      await page.goto(at('/open/again'));
      const { headers } = chain.app.seen.find(({ url }) => url === '/open/again') ?? assert.fail('never arrived');
      assert.equal(headers.cookie, 'taste=lemon');
      assert.equal(headers['x-authenticated-user'], '');
    });

    it('is renewed in the browser while it is used', async () => {
      const person = await signedIn();
      const before = (await cookieOf(person))?.expires ?? 0;
      await sleep(3_200);
      await person.page.goto(at('/app/later'));
      assert.ok(((await cookieOf(person))?.expires ?? 0) > before + 2);
    });
  });

  describe('the end of a session', () => {
    it('can be brought about from another browser', async () => {
      const here = await signedIn();
      const there = await signedIn();
      await here.page.goto(at(SIGN_IN_PATHS.sessions));
      // Earlier tests left sessions of the same person.
      const mine = here.page.getByRole('listitem').filter({ hasText: '(this one)' });
      assert.equal(await mine.count(), 1);
      const all = await here.page.getByRole('listitem').count();
      assert.ok(all >= 2);
      await here.page.getByRole('listitem').first().getByRole('button').click();
      await here.page.waitForLoadState();
      assert.equal(await here.page.getByRole('listitem').count(), all - 1);
      assert.equal(await statusWith((await cookieOf(there))?.value), 401, 'the newest one is the other browser');
      await there.page.goto(at('/app/'));
      await there.page.waitForURL((url) => url.pathname === '/app/' || url.origin === chain.corp.issuer);
      await here.page.goto(at('/app/'));
      assert.equal(await here.page.locator('#user').textContent(), 'alice');
      assert.deepEqual(here.complaints, []);
    });

    it('is asked for, goes on to the provider, and leaves a cookie that is worth nothing', async () => {
      const person = await signedIn();
      const { page, complaints } = person;
      const old = (await cookieOf(person))?.value;
      assert.equal(await statusWith(old), 200);
      await page.goto(`${at(SIGN_IN_PATHS.signOut)}?rd=${encodeURIComponent('/app/')}`);
      assert.equal(await statusWith(old), 200, 'asking ends nothing');
      await page.getByRole('button', { name: 'Sign out' }).click();
      assert.equal(new URL(page.url()).origin, chain.corp.issuer);
      assert.equal(await statusWith(old), 401);
      await page.getByRole('button', { name: 'Yes, sign me out' }).click();
      await page.waitForURL((url) => url.origin + url.pathname === at(SIGN_IN_PATHS.signedOut));
      assert.equal(await cookieOf(person), undefined);
      assert.deepEqual(complaints, []);
      await page.getByRole('link', { name: 'Sign in again' }).click();
      await page.getByRole('link', { name: 'Example Corp' }).click();
      await authenticate(page, 'alice');
      await page.waitForURL(at('/app/'));
      assert.equal(await statusWith(old), 401);
    });

    it('comes within a second when the provider says so', async () => {
      const person = await signedIn();
      const cookie = (await cookieOf(person))?.value;
      assert.equal(await statusWith(cookie), 200);
      await person.page.goto(`${chain.corp.issuer}/session/end`);
      await person.page.getByRole('button', { name: 'Yes, sign me out' }).click();
      await person.page.getByRole('heading', { name: 'Signed out at the provider' }).waitFor();
      const start = performance.now();
      while ((await statusWith(cookie)) !== 401) {
        assert.ok(performance.now() - start < NOTICED, 'still let through');
        await sleep(10);
      }
      assert.deepEqual(chain.corp.logoutFailures, []);
    });
  });

  describe('every page', () => {
    const looks = [
      { name: 'phone-light', width: 360, height: 740, scheme: 'light' },
      { name: 'phone-dark', width: 360, height: 740, scheme: 'dark' },
      { name: 'desktop-light', width: 1280, height: 800, scheme: 'light' },
      { name: 'desktop-dark', width: 1280, height: 800, scheme: 'dark' },
    ] as const;

    async function look(page: Page, name: string): Promise<void> {
      for (const { name: form, width, height, scheme } of looks) {
        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme: scheme });
        await screenshot(page, `${name}-${form}`);
        assert.deepEqual(await pageFaults(page), [], `${name}, ${form}`);
      }
    }

    /** Chromium complains of every page that comes with an error status. */
    const real = (complaints: readonly string[]) =>
      complaints.filter((text) => !/Failed to load resource: the server responded with a status of 4/.test(text));

    it('can be read and used: choice of providers', async () => {
      const { page, complaints } = await newPerson();
      await page.goto(at('/both/'));
      await look(page, 'choice');
      assert.deepEqual(complaints, []);
    });

    it('can be read and used: error', async () => {
      const { page, complaints } = await newPerson();
      await page.goto(at('/app/'));
      await page.getByRole('button', { name: 'Cancel' }).click();
      await page.getByRole('alert').waitFor();
      await look(page, 'error');
      assert.deepEqual(real(complaints), []);
    });

    it('can be read and used: sessions, sign-out, signed out', async function () {
      this.timeout(60_000);
      // Nobody else of these tests signs in as bob there, so that the picture shows two.
      const { page, complaints } = await signedIn('bob');
      await signedIn('bob');
      await page.goto(at(SIGN_IN_PATHS.sessions));
      await look(page, 'sessions');
      await page.goto(at(SIGN_IN_PATHS.signOut));
      await look(page, 'sign-out');
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: 'Yes, sign me out' }).click();
      await page.waitForURL((url) => url.pathname === SIGN_IN_PATHS.signedOut);
      await look(page, 'signed-out');
      assert.deepEqual(complaints, []);
    });
  });

  describe('after all that', () => {
    it('no cookie, code or token is in any log', async () => {
      const person = await signedIn();
      const cookie = (await cookieOf(person))?.value ?? assert.fail('no cookie');
      const logs = await chain.logs();
      assert.ok(logs.includes('/app/'), 'the logs are those of this run');
      assert.ok(!logs.includes(cookie));
      assert.doesNotMatch(logs, /eyJ[\w-]{10,}\./, 'a JWT');
      assert.doesNotMatch(logs, /[?&"](?:code|state|id_token_hint|logout_token|refresh_token)(?:=|":\s*")[\w%.-]{8}/);
    });
  });
});
