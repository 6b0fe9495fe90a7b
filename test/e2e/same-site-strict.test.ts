import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { browserOrSkip, type Person, type TestBrowser } from '../support/browser.ts';
import { programOrSkip } from '../support/programs.ts';
import { type SignInChain, startSignInChain } from '../support/sign-in-chain.ts';

/** `localhost` and `127.0.0.1` are two sites. */
describe('sessions with SameSite=Strict, with a provider on another site, in a real Chromium', function () {
  this.timeout(60_000);
  let chain: SignInChain;
  let browser: TestBrowser;
  let elsewhere: Server;
  let person: Person;

  before(async function () {
    this.timeout(300_000);
    const traefik = await programOrSkip(this, 'traefik');
    browser = await browserOrSkip(this);
    chain = await startSignInChain(traefik, { host: 'localhost', env: { POSTERN_AUTH_SESSIONS_SAME_SITE: 'strict' } });
    elsewhere = createServer((request, response) => {
      const target = new URL(request.url ?? '/', 'http://x').searchParams.get('to') ?? '';
      response.writeHead(200, { 'Content-Type': 'text/html' }).end(`<a href="${chain.publicUrl}${target}">link</a>`);
    }).listen(0, '127.0.0.1');
  });
  after(async function () {
    this.timeout(60_000);
    elsewhere?.close();
    await browser?.close();
    await chain?.stop();
  });
  beforeEach(async () => {
    person = await browser.person({ viewport: { width: 800, height: 600 } });
  });
  afterEach(async () => {
    await person?.context.close();
  });

  async function authenticate(page: Page): Promise<void> {
    await page.getByLabel('User').fill('alice');
    await page.getByRole('button', { name: 'Sign in' }).click();
  }
  async function followLink(page: Page, to: string): Promise<void> {
    await page.goto(`http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}/?to=${encodeURIComponent(to)}`);
    await page.getByRole('link').click();
  }

  for (const path of ['/app/', '/app/page?x=1&y=%2F', '/app/deep/er'])
    it(`a person who opens ${path} comes back to it signed in`, async () => {
      const { page, context } = person;
      await page.goto(chain.publicUrl + path);
      await authenticate(page);
      await page.waitForURL(chain.publicUrl + path);
      const cookie = (await context.cookies(chain.publicUrl)).find(({ name }) => name === '__Host-postern');
      assert.equal(cookie?.sameSite, 'Strict');
    });

  it('a link from another site leads a person who is signed in to its page, without the provider', async () => {
    const { page } = person;
    await page.goto(`${chain.publicUrl}/app/`);
    await authenticate(page);
    await page.waitForURL(`${chain.publicUrl}/app/`);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(request.url()));
    for (const path of ['/app/page?x=1', '/app/other', '/both/']) {
      await followLink(page, path);
      await page.waitForURL(chain.publicUrl + path, { timeout: 15_000 });
    }
    assert.deepEqual(
      asked.filter((url) => url.startsWith(chain.corp.issuer)),
      [],
    );
  });

  it('a link from another site leads a stranger to sign in, and to its page', async () => {
    const { page } = person;
    await followLink(page, '/app/page?x=2');
    await authenticate(page);
    await page.waitForURL(`${chain.publicUrl}/app/page?x=2`);
  });
});
