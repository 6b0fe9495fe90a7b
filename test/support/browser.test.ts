import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { browserOrSkip, type TestBrowser } from './browser.ts';
import { pageFaults } from './page-faults.ts';

const GOOD = `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Good</title>
<main><h1>Good</h1><p>Text</p><a href="/">Back</a><label>Name <input></label><button>Go on</button></main>`;
const BAD = `<!doctype html><html><meta name="viewport" content="width=device-width">
<style>div { color: #999; background: #fff } p { width: 900px; background: #eee } button { outline: none }</style>
<div>Pale</div><p>Wide</p><input><button tabindex="-1">Out of reach</button><button>Unseen</button>`;

describe('Chromium', () => {
  let browser: TestBrowser;
  let server: Server;
  let port: number;
  const cookies: Array<string | undefined> = [];

  before(async function () {
    this.timeout(60_000);
    browser = await browserOrSkip(this);
    server = createServer((request, response) => {
      cookies.push(request.headers.cookie);
      response.setHeader('Content-Type', 'text/html');
      if (request.url === '/set')
        response.setHeader('Set-Cookie', '__Host-t=1; Path=/; Secure; HttpOnly; SameSite=Lax');
      response.end(request.url === '/bad' ? BAD : GOOD);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });

  after(async () => {
    await browser?.close();
    server?.close();
    server?.closeAllConnections();
  });

  for (const host of ['127.0.0.1', 'localhost'])
    it(`takes and sends a __Host- cookie over http on ${host}`, async () => {
      const { page, context } = await browser.person();
      await page.goto(`http://${host}:${port}/set`);
      cookies.length = 0;
      await page.goto(`http://${host}:${port}/`);
      assert.equal(cookies[0], '__Host-t=1');
      await context.close();
    });

  it('shows no fault of a good page, and each of a bad one', async () => {
    const { page, context } = await browser.person({ viewport: { width: 360, height: 740 } });
    await page.goto(`http://127.0.0.1:${port}/`);
    assert.deepEqual(await pageFaults(page), []);
    await page.goto(`http://127.0.0.1:${port}/bad`);
    const faults = (await pageFaults(page)).join('\n');
    for (const fault of [
      /no language/,
      /no title/,
      /h1/,
      /no main/,
      /px wide in 360 px/,
      /no name: <input/,
      /contrast 2\.\d+: <div> "Pale"/,
      /Tab does not reach: <button tabindex="-1"/,
      /focus not seen: <button>Unseen/,
    ])
      assert.match(faults, fault);
    await context.close();
  });
});
