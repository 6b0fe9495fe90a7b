import assert from 'node:assert/strict';
import type { Page } from 'playwright-core';
import { type BrokerGate, openBrokerGate } from '../forward-auth/mcp-authorization/support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from '../forward-auth/mcp-authorization/support/mcp-client.ts';
import { RawClient } from '../forward-auth/mcp-authorization/support/raw-client.ts';
import { browserOrSkip, type TestBrowser } from '../support/browser.ts';
import { assertLooks } from '../support/looks.ts';

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
    page.route(/\/(?:secrets|nowhere|a\/)/, async (route) => {
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

  it('have no fault, wide and narrow, by day and by night', async () => {
    const { page, context, complaints } = await browser.person({ userAgent: AGENT });
    const heading = (name: string) => page.getByRole('heading', { name }).waitFor();
    const client = await RawClient.register(gate, callback.url, { client_name: 'Example Editor' });
    await page.goto(client.authorizationUrl().href);
    await page.getByLabel('User').fill('alice');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await heading('Give access to github?');
    await page.getByText('Read your repositories').waitFor();
    await page.getByText('Careful').waitFor();
    await assertLooks(page, 'people-consent');
    await page.getByRole('button', { name: 'Allow' }).click();
    await page.waitForURL((url) => url.href.startsWith(callback.url));
    await page.goto(`${gate.issuer}/_postern/home`);
    await page.getByText('Add github to your client').click();
    await page.getByRole('button', { name: 'Revoke the access of Example Editor to github' }).first().waitFor();
    await assertLooks(page, 'people-home');
    await page.goto(`${gate.issuer}/_postern/sessions`);
    await assertLooks(page, 'people-sessions');
    await behindTheProxy(page);
    await page.goto(`${gate.issuer}/secrets/plan`);
    await heading('You may not open this page');
    await assertLooks(page, 'people-refused');
    await page.goto(`${gate.issuer}/a//b`);
    await heading('This address cannot be used');
    await assertLooks(page, 'people-bad-address');
    await page.goto(`${gate.issuer}/_postern/nothing`);
    await heading('Nothing is here');
    await assertLooks(page, 'people-nothing');
    await page.getByRole('link', { name: 'Sign out' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await assertLooks(page, 'people-sign-out');

    await page.goto(`${gate.issuer}/_postern/sessions`);
    await context.clearCookies();
    await page.getByRole('button', { name: 'End the session' }).first().click();
    await heading('Your session is over');
    await assertLooks(page, 'people-session-over');
    await page.goto(`${gate.issuer}/nowhere`);
    await heading('You are not signed in');
    await assertLooks(page, 'people-stranger');
    const { issuer } = gate.provider;
    await gate.reload({
      broker: { enabled: false },
      rules: [],
      providers: ['Example Corp', 'Partner Inc'].map((name, at) => ({
        ...{ id: `p${at}`, name, issuer: at === 0 ? issuer : 'https://login.partner.example', clientId: 'postern' },
      })),
    });
    await page.goto(`${gate.issuer}/_postern/sign-in`);
    await page.getByRole('link', { name: 'Partner Inc' }).waitFor();
    await assertLooks(page, 'people-sign-in');
    const policy = complaints.filter((text) => /Content.Security.Policy/i.test(text));
    assert.deepEqual(policy, []);
    await context.close();
  });
});
