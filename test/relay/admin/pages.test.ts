import assert from 'node:assert/strict';
import { browserOrSkip, type Person, type TestBrowser } from '../../support/browser.ts';
import { assertLooks } from '../../support/looks.ts';
import { axeViolations } from '../../support/page-faults.ts';
import { until } from '../../support/until.ts';
import { endAll, type RelayUnderTest } from '../support/relay.ts';
import { forwardAuth, HOSTILE, look, OPERATOR, openStream, say } from './support/admin.ts';
import { busyAdmin } from './support/busy-admin.ts';

const WIDTHS = { wide: { width: 1280, height: 800 }, narrow: { width: 390, height: 844 } } as const;

/** Every page, by the name of its picture. */
const PAGES: Readonly<Record<string, string>> = {
  limits: '/admin/limits',
  overview: '/admin',
  server: '/admin/servers/github',
  activity: '/admin/activity',
  denials: '/admin/denials',
  streams: '/admin/streams',
  sessions: '/admin/sessions?issuer=https%3A%2F%2Fidp.example.com&subject=ann',
  policy: '/admin/policy',
  tools: '/admin/tools',
  security: '/admin/security',
};

describe('admin pages in a browser', function () {
  this.timeout(120_000);
  let browser: TestBrowser;
  let under: RelayUnderTest;

  before(async function () {
    browser = await browserOrSkip(this);
    under = await busyAdmin((await forwardAuth()).access);
    // The watch looks once a second.
    await until('the watch has seen the wrong password', async () =>
      (await look(under.port, '/admin/security')).text.includes('operator refused'),
    );
  });

  after(async () => {
    await browser?.close();
    await endAll();
  });

  const operator = (viewport: { width: number; height: number }, more: object = {}): Promise<Person> =>
    browser.person({
      viewport,
      baseURL: `http://localhost:${under.port}`,
      httpCredentials: {
        username: OPERATOR.user,
        password: OPERATOR.password,
        origin: `http://localhost:${under.port}`,
      },
      ...more,
    });

  // First, because limits are forgotten in a minute.
  it('show the whole date, in a time that programs read too', async () => {
    const { context, page } = await operator(WIDTHS.wide);
    for (const name of ['activity', 'denials', 'sessions', 'streams', 'limits', 'security', 'server']) {
      await page.goto(PAGES[name] as string);
      const times = await page
        .locator('main time')
        .evaluateAll((found) => found.map((time) => [time.getAttribute('datetime') ?? '', time.textContent ?? '']));
      assert.ok(times.length > 0, name);
      for (const [datetime = '', text = ''] of times) {
        assert.match(text, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?: UTC)?$/, name);
        assert.equal(new Date(datetime).toISOString().slice(0, 19).replace('T', ' '), text.slice(0, 19), name);
      }
    }
    await context.close();
  });

  it('have no fault that anybody would stumble over, wide and narrow, by day and by night', async function () {
    this.timeout(300_000);
    const { context, page, complaints } = await operator(WIDTHS.wide);
    for (const [name, path] of Object.entries(PAGES)) {
      await page.goto(path);
      await assertLooks(page, `admin-${name}`);
    }
    assert.deepEqual(complaints, []);
    await context.close();
  });

  it('show hostile names as text', async () => {
    const { context, page, complaints } = await operator(WIDTHS.wide);
    await page.goto('/admin/servers/github');
    assert.equal(await page.getByText(HOSTILE, { exact: true }).first().textContent(), HOSTILE);
    await page.goto('/admin/activity');
    assert.ok((await page.getByText(HOSTILE).count()) > 0);
    assert.equal(await page.locator('main script').count(), 0);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  it('show what happens while it happens, hostile names as text', async () => {
    const { context, page, complaints } = await operator(WIDTHS.wide);
    await page.goto('/admin/activity');
    await page.getByText('Live', { exact: true }).waitFor();
    const user = `<img src=x onerror=alert(1)> ${Date.now()}`;
    await say(under.port, user, { method: 'tools/call', params: { name: HOSTILE } }, 'github');
    await page.locator('tbody tr').first().getByText(user).waitFor();
    assert.equal(await page.locator('main img, main script').count(), 0);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused').waitFor();
    assert.deepEqual(complaints, []);
    await context.close();
  });

  it('work without JavaScript', async () => {
    const { context, page } = await operator(WIDTHS.wide, { javaScriptEnabled: false });
    await page.goto('/admin/activity');
    await page.getByLabel('Event').selectOption('denial');
    await page.getByRole('button', { name: 'Show' }).click();
    await until('only denials are shown', async () => {
      const events = await page.locator('tbody tr td:nth-child(2)').allInnerTexts();
      return events.length > 0 && events.every((event) => event === 'denial');
    });
    await context.close();
  });

  it('explain what the policy would decide', async () => {
    const { context, page } = await operator(WIDTHS.wide);
    await page.goto('/admin/policy');
    await page.getByLabel('User').fill('bert@example.com');
    await page.getByLabel('Groups').fill('contractors');
    await page.getByLabel('Tool, prompt or resource').fill('delete_branch');
    await page.getByRole('button', { name: 'Explain' }).click();
    const answer = page.getByRole('status');
    assert.match((await answer.textContent()) ?? '', /^Denied: by relay\.policy\.rules\[0\]/);
    assert.match((await answer.textContent()) ?? '', /needs a message that .*has tools.*fix if it should be allowed/s);
    await assertLooks(page, 'admin-explain');
    await page.getByLabel('Groups').fill('engineering');
    await page.getByRole('button', { name: 'Explain' }).click();
    assert.match((await answer.textContent()) ?? '', /^Allowed: by relay\.policy\.rules\[2\]/);
    await context.close();
  });

  it('end a stream', async () => {
    const { context, page } = await operator(WIDTHS.wide, { javaScriptEnabled: false });
    const stream = await openStream(under.port, 'fred@example.com');
    await page.goto('/admin/streams');
    await page.getByRole('button', { name: 'End the stream of fred@example.com at live' }).click();
    await stream.ended;
    await page.waitForURL('**/admin/streams');
    assert.equal(await page.getByText('fred@example.com').count(), 0);
    await context.close();
  });

  it('end sessions', async () => {
    const { context, page } = await operator(WIDTHS.wide, { javaScriptEnabled: false });
    await page.goto(PAGES.sessions as string);
    await page.getByRole('button', { name: 'End', exact: true }).first().click();
    await page.getByText('Ended: 1.').waitFor();
    assert.equal(await page.getByText('Firefox on a laptop').count(), 0);
    assert.equal(await page.getByText('Firefox on a phone').count(), 1);
    await context.close();
  });

  it('show what changed of a tool, approve it, and reject another', async () => {
    const { context, page } = await operator(WIDTHS.wide, { javaScriptEnabled: false });
    await page.goto('/admin/tools');
    const held = page.locator('section', { hasText: 'create_issue' });
    assert.match((await held.locator('.added').allTextContents()).join('\n'), /attacker\.example/);
    assert.match((await held.locator('.removed').allTextContents()).join('\n'), /"Opens an issue"/);
    await held.getByRole('button', { name: 'Approve this definition' }).click();
    await page.waitForURL('**/admin/tools');
    assert.equal(await page.getByText('create_issue').count(), 0);
    const other = page.locator('section', { hasText: 'export_all' });
    await other.getByRole('button', { name: 'Reject' }).click();
    await page.waitForURL('**/admin/tools');
    await page.getByRole('heading', { name: 'Rejected' }).waitFor();
    assert.equal(await other.getByRole('button', { name: 'Reject' }).count(), 0);
    assert.equal(await other.getByRole('button', { name: 'Approve this definition' }).count(), 1);
    await context.close();
    const again = await operator(WIDTHS.wide);
    await again.page.goto('/admin/tools');
    assert.deepEqual(await axeViolations(again.page), []);
    await again.context.close();
  });

  it('put what is short of a row side by side on a phone', async () => {
    const { context, page } = await operator(WIDTHS.narrow);
    for (const [path, labels, lines] of [
      ['/admin/activity', ['Time (UTC)', 'Event', 'Outcome'], 1],
      // How many fit on a line depends on the figures.
      ['/admin', ['Health', 'Reached by', 'Median', '95 %', 'Relayed', 'Refused', 'Failed', 'Tools'], 4],
    ] as const) {
      await page.goto(path);
      const row = page.locator('tbody tr').first();
      const tops = await Promise.all(
        labels.map(async (label) => (await row.locator(`td[data-label="${label}"]`).boundingBox())?.y ?? Number.NaN),
      );
      const begun = tops
        .sort((one, other) => one - other)
        .filter((top, at) => at === 0 || top - (tops[at - 1] as number) > 12);
      assert.ok(begun.length <= lines && !tops.includes(Number.NaN), `${path}: ${tops}`);
    }
    await context.close();
  });

  it('keep the tabs where they are, whichever is chosen', async () => {
    for (const viewport of Object.values(WIDTHS)) {
      const { context, page } = await operator(viewport);
      const places = new Set<string>();
      for (const path of ['/admin', '/admin/denials', '/admin/policy', '/admin/security']) {
        await page.goto(path);
        const boxes = await page
          .locator('nav a')
          .evaluateAll((links) =>
            links.map((link) => [link.getBoundingClientRect().x, link.getBoundingClientRect().y]),
          );
        assert.ok(boxes.length > 6);
        places.add(JSON.stringify(boxes));
      }
      assert.equal(places.size, 1, [...places].join('\n'));
      await context.close();
    }
  });

  it('mark the fields that are required', async () => {
    const { context, page } = await operator(WIDTHS.wide);
    for (const path of Object.values(PAGES)) {
      await page.goto(path);
      const fields = await page
        .locator('main [name][required]')
        .evaluateAll((found) => found.map((field) => field.closest('label')?.textContent ?? ''));
      for (const label of fields) assert.match(label, /\(required\)/, path);
      if (path === PAGES.policy) assert.deepEqual(fields.length, 2);
    }
    await context.close();
  });

  it('name no user by an id alone where a name is known', async () => {
    const { context, page } = await operator(WIDTHS.wide);
    for (const [name, path] of Object.entries(PAGES)) {
      await page.goto(path);
      const bare = await page
        .locator('main :is(td, th, label, button, p)')
        .evaluateAll((cells) =>
          cells
            .map((cell) => (cell.textContent ?? '').trim())
            .filter((text) => /^\S*[0-9a-f]{8}-[0-9a-f]{4}-\S*$/.test(text)),
        );
      assert.deepEqual(bare, [], name);
    }
    await page.goto('/admin/activity');
    assert.equal((await page.locator('td', { hasText: 'Uma Uuid' }).count()) > 0, true);
    await context.close();
  });

  it('run no foreign script, and are in nobody’s frame', async () => {
    for (const path of [...Object.values(PAGES), '/admin/nothing', '/admin/api/servers']) {
      const { headers } = await look(under.port, path);
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /default-src 'none'/, path);
      assert.match(policy, /frame-ancestors 'none'/, path);
      assert.doesNotMatch(policy, /unsafe|\*/, path);
      assert.equal(headers['cache-control'], 'no-store', path);
      assert.equal(headers['x-content-type-options'], 'nosniff', path);
    }
    const { context, page } = await operator(WIDTHS.wide);
    await page.goto('about:blank');
    await page.setContent(`<iframe src="http://localhost:${under.port}/admin" width="800" height="600"></iframe>`);
    await page.waitForTimeout(500);
    const frame = page.frames().at(-1);
    assert.doesNotMatch((await frame?.content()) ?? '', /MCP servers/);
    await context.close();
  });
});
