import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Page } from 'playwright-core';
import { type BrokerGate, openBrokerGate } from '../forward-auth/mcp-authorization/support/broker-gate.ts';
import { type CallbackPage, openCallbackPage } from '../forward-auth/mcp-authorization/support/mcp-client.ts';
import { RawClient } from '../forward-auth/mcp-authorization/support/raw-client.ts';
import { browserOrSkip, type Person, screenshot, type TestBrowser } from '../support/browser.ts';
import { pageFaults } from '../support/page-faults.ts';
import { until } from '../support/until.ts';

describe('the consent page in a real Chromium', () => {
  let browser: TestBrowser;
  let gate: BrokerGate;
  let callback: CallbackPage;
  let evil: Server;
  let evilPage = '';
  before(async function () {
    this.timeout(300_000);
    browser = await browserOrSkip(this);
    gate = await openBrokerGate();
    callback = await openCallbackPage();
    evil = createServer((_request, response) => response.setHeader('Content-Type', 'text/html').end(evilPage));
    evil.listen(0, 'localhost');
    await once(evil, 'listening');
  });
  after(async () => {
    await browser?.close();
    evil?.close();
    evil?.closeAllConnections();
    await callback?.stop();
    await gate?.stop();
  });

  async function asked(client: RawClient, options = {}): Promise<Person> {
    const person = await browser.person(options);
    await person.page.goto(client.authorizationUrl().href);
    await person.page.getByLabel('User').fill('alice');
    await person.page.getByRole('button', { name: 'Sign in' }).click();
    await person.page.getByRole('heading', { name: 'Give access to github?' }).waitFor();
    return person;
  }

  const atCallback = (page: Page) => page.waitForURL((url) => url.href.startsWith(callback.url));

  it('leads on to the client’s own page, though the policy holds forms to us, and the code is good', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { page, complaints, context } = await asked(client);
    await page.getByRole('button', { name: 'Allow' }).click();
    await atCallback(page);
    const { status } = await client.exchange(new URL(page.url()).searchParams.get('code') ?? '');
    assert.equal(status, 200);
    assert.deepEqual(
      complaints.filter((text) => !text.includes('favicon')),
      [],
    );
    await context.close();
  });

  for (const [what, target] of [
    ['another origin', (elsewhere: string) => elsewhere],
    ['a program, by its scheme', () => 'claude://callback'],
    ['another origin, twice', (elsewhere: string) => `${elsewhere}/twice`],
  ] as const)
    for (const button of ['Allow', 'Deny'])
      it(`leads on where the client’s page sends the browser to ${what} (${button})`, async () => {
        const reached: string[] = [];
        const elsewhere = createServer((request, response) => {
          reached.push(request.url ?? '');
          if (request.url?.startsWith('/twice') === true) response.writeHead(307, { Location: '/there' }).end();
          else response.setHeader('Content-Type', 'text/html').end('<h1>Arrived</h1>');
        });
        elsewhere.listen(0, 'localhost');
        await once(elsewhere, 'listening');
        const origin = `http://localhost:${(elsewhere.address() as AddressInfo).port}`;
        let came: string | undefined;
        const own = createServer((request, response) => {
          if (request.url?.startsWith('/callback') !== true) return void response.writeHead(404).end();
          came = request.url;
          response.writeHead(307, { Location: target(origin) }).end();
        });
        own.listen(0, '127.0.0.1');
        await once(own, 'listening');
        try {
          const redirect = `http://127.0.0.1:${(own.address() as AddressInfo).port}/callback`;
          const client = await RawClient.register(gate, redirect);
          const { page, complaints, context } = await asked(client);
          await page.getByRole('button', { name: button }).click();
          if (what.startsWith('another')) await page.getByRole('heading', { name: 'Arrived' }).waitFor();
          else {
            // The program is not there: the page stays, and says how to go on.
            await until('the client has its answer', () => came !== undefined);
            await page.getByRole('link', { name: 'Go on' }).waitFor();
          }
          const query = new URL(came ?? '', redirect).searchParams;
          assert.equal(query.has(button === 'Allow' ? 'code' : 'error'), true);
          assert.deepEqual(
            complaints.filter((text) => /form-action|Content Security Policy/i.test(text)),
            [],
          );
          await context.close();
        } finally {
          for (const server of [own, elsewhere]) {
            server.close();
            server.closeAllConnections();
          }
        }
      });

  it('leads back with a refusal', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { page, context } = await asked(client);
    await page.getByRole('button', { name: 'Deny' }).click();
    await atCallback(page);
    assert.equal(new URL(page.url()).searchParams.get('error'), 'access_denied');
    await context.close();
  });

  it('can be used by everybody, also on a narrow screen and with a long name', async () => {
    const client = await RawClient.register(gate, callback.url, { client_name: 'Averylongname'.repeat(7) });
    const { page, context } = await asked(client, { viewport: { width: 320, height: 640 } });
    await screenshot(page, 'consent');
    assert.deepEqual(await pageFaults(page), []);
    await context.close();
  });

  for (const width of [390, 1280])
    it(`says what is given, with answers that look different, ${width} pixels wide`, async () => {
      const client = await RawClient.register(gate, callback.url);
      const { page, context } = await asked(client, { viewport: { width, height: 900 } });
      await screenshot(page, `consent-${width}`);
      assert.deepEqual(await pageFaults(page), []);
      for (const text of ['Your e-mail address: alice@example.com', 'Your groups: engineering', 'Use github as you'])
        await page.getByText(text).waitFor();
      const look = (value: string) =>
        page.evaluate(`getComputedStyle(document.querySelector('button[value=${value}]')).backgroundColor`);
      assert.notEqual(await look('allow'), await look('deny'));
      await context.close();
    });

  it('is neither framed nor answered by another site', async () => {
    const client = await RawClient.register(gate, callback.url);
    const { page, context } = await asked(client);
    const consent = page.url();
    const other = `http://localhost:${(evil.address() as AddressInfo).port}/`;
    evilPage = `<iframe src="${consent}"></iframe>`;
    await page.goto(other);
    const frame = page.frames().find((candidate) => candidate !== page.mainFrame());
    assert.ok(!(await frame?.content())?.includes('Give access'));
    evilPage = `<form method="post" action="${consent}"><input name="decision" value="allow"><button>Win</button></form>`;
    await page.goto(other);
    await page.getByRole('button', { name: 'Win' }).click();
    await page.waitForURL((url) => url.href === consent);
    assert.ok(!(await page.content()).includes('you may close this window'));
    assert.ok(!gate.audit().some(({ audit, client: id }) => audit === 'consent_given' && id === client.id));
    await context.close();
  });
});
