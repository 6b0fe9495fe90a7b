import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { type BrokerGate, openBrokerGate } from '../forward-auth/mcp-authorization/support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from '../forward-auth/mcp-authorization/support/mcp-client.ts';
import { RawClient } from '../forward-auth/mcp-authorization/support/raw-client.ts';
import { browserOrSkip, screenshot, type TestBrowser } from '../support/browser.ts';
import { axeViolations, pageFaults } from '../support/page-faults.ts';

/** `npm run pictures` writes a picture of each page for each of these. */
const LOOKS = [390, 1280].flatMap((width) =>
  (['light', 'dark'] as const).map((colorScheme) => ({ width, colorScheme })),
);
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36';

describe('the pages for people in a real Chromium', function () {
  this.timeout(300_000);
  let browser: TestBrowser;
  let gate: BrokerGate;
  let callback: CallbackPage;
  before(async function () {
    browser = await browserOrSkip(this);
    callback = await openCallbackPage();
    gate = await openBrokerGate({
      servers: ['github', 'files'],
      auth: {
        pages: { help: 'platform@example.com', permissions: { 'mcp:use': 'Read your repositories' } },
        rules: [
          { match: { path: '/servers/**' }, allow: { groups: ['engineering'] }, scopes: { default: ['mcp:use'] } },
          { match: { path: '/secrets/**' }, allow: { groups: ['admins'] } },
        ],
      },
    });
  });
  after(async () => {
    await browser?.close();
    await callback?.stop();
    await gate?.stop();
  });

  /** As a proxy would show the answer of the check. */
  const behindTheProxy = (page: Page) =>
    page.route(`${gate.issuer}/secrets/**`, async (route) => {
      const { host, pathname } = new URL(route.request().url());
      const forwarded = {
        'X-Forwarded-Method': 'GET',
        'X-Forwarded-Uri': pathname,
        'X-Forwarded-Host': host,
        'X-Forwarded-Proto': 'http',
        'X-Forwarded-For': '192.0.2.1',
      };
      const headers = { ...(await route.request().allHeaders()), ...forwarded };
      await route.fulfill({ response: await route.fetch({ url: `${gate.issuer}/verify/traefik`, headers }) });
    });

  for (const { width, colorScheme } of LOOKS)
    it(`have no fault, ${width} pixels wide, ${colorScheme}`, async () => {
      const { page, context, complaints } = await browser.person({
        ...{ viewport: { width, height: 844 }, colorScheme, userAgent: AGENT },
      });
      const look = async (name: string) => {
        await screenshot(page, `people-${name}-${width}-${colorScheme}`);
        assert.deepEqual(await axeViolations(page), [], name);
        assert.deepEqual(await pageFaults(page), [], name);
      };
      const client = await RawClient.register(gate, callback.url, { client_name: 'Example Editor' });
      await page.goto(client.authorizationUrl().href);
      await page.getByLabel('User').fill('alice');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('heading', { name: 'Give access to github?' }).waitFor();
      await page.getByText('Read your repositories').waitFor();
      await look('consent');
      await page.getByRole('button', { name: 'Allow' }).click();
      await page.waitForURL((url) => url.href.startsWith(callback.url));
      await page.goto(`${gate.issuer}/_postern/home`);
      await page.getByText('Add github to your client').click();
      await page.getByRole('button', { name: 'Revoke the access of Example Editor to github' }).first().waitFor();
      await look('home');
      await page.goto(`${gate.issuer}/_postern/sessions`);
      await look('sessions');
      await behindTheProxy(page);
      await page.goto(`${gate.issuer}/secrets/plan`);
      await page.getByRole('heading', { name: 'You may not open this page' }).waitFor();
      await look('refused');
      await page.getByRole('link', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: 'Sign out' }).waitFor();
      await look('sign-out');
      const policy = complaints.filter((text) => /Content.Security.Policy/i.test(text));
      assert.deepEqual(policy, []);
      await context.close();
    });
});
