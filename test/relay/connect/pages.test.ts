import assert from 'node:assert/strict';
import { browserOrSkip, type TestBrowser } from '../../support/browser.ts';
import { assertLooks } from '../../support/looks.ts';
import { endAll } from '../support/relay.ts';
import { startConnecting } from './support/connecting.ts';

describe('pages of connections in a browser', function () {
  this.timeout(300_000);
  let browser: TestBrowser;

  before(async function () {
    browser = await browserOrSkip(this);
  });
  after(() => browser?.close());
  afterEach(endAll);

  it('lead to the provider and back, and let go again, wide and narrow, by day and by night', async () => {
    const { origin, house } = await startConnecting();
    const { page, complaints } = await browser.person({
      extraHTTPHeaders: { 'X-Authenticated-User': 'alice@example.com', 'X-Authenticated-Name': 'Alice <i>' },
    });
    const look = (name: string) => assertLooks(page, `accounts-${name}`);
    await page.goto(`${origin}/connect`);
    await look('list');
    await page.getByRole('link', { name: 'Manage Notes <Inc>' }).click();
    await look('before');
    // To the provider, which asks nothing here, and back by itself.
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'Notes <Inc> is connected' }).waitFor();
    assert.equal(page.url(), `${origin}/connect/servers/one`);
    await look('connected');
    house.failTokens = 500;
    await page.getByRole('button', { name: 'Disconnect' }).click();
    await page.getByRole('heading', { name: 'Connect Notes <Inc>' }).waitFor();
    house.user = undefined;
    house.failTokens = undefined;
    await page.context().clearCookies();
    await page.getByRole('button', { name: 'Connect' }).click();
    await page.getByRole('heading', { name: 'Not connected' }).waitFor();
    await look('refused');
    // Chromium says so of the answer 403 itself.
    assert.deepEqual(
      complaints.filter((text) => !text.includes('403 (Forbidden)')),
      [],
    );
  });
});
