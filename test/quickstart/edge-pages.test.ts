import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseConfig } from '../../src/platform/config/load.ts';
import { createLogger } from '../../src/platform/log.ts';
import { openBranding } from '../../src/platform/pages/branding.ts';
import { PageSite } from '../../src/platform/pages/page.ts';
import { type Edge, startEdge } from '../../src/quickstart/edge.ts';
import { rawRequest } from '../support/raw-request.ts';

const BROWSER = ['Accept', 'text/html,*/*;q=0.8', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document'];
const PROGRAM = ['Accept', 'application/json, text/event-stream'];

describe('the edge of postern up', () => {
  let edge: Edge;
  /** Of a server that has ended. */
  let nobody: number;
  before(async () => {
    const { auth } = parseConfig({ auth: { pages: { name: 'Acme MCP' } } });
    const site = new PageSite('/_postern/assets', openBranding(auth.pages));
    const proof = { secretHeader: 'X-Postern-Proxy-Secret', secret: 'a secret of edge and relay' };
    const log = createLogger('edge', 'silent');
    edge = await startEdge({ host: '127.0.0.1', port: 0 }, proof, { site, log });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    nobody = (server.address() as AddressInfo).port;
    await new Promise((resolve) => server.close(resolve));
  });
  after(() => edge.close(0));

  const both = async (path: string, headers: readonly string[], status: number, title: RegExp, error: string) => {
    const page = await rawRequest(edge.port, path, { headers: [...BROWSER, ...headers] });
    assert.equal(page.status, status);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.match(page.body, title);
    assert.match(page.body, /Acme MCP/);
    assert.match(page.body, /<style>/);
    const json = await rawRequest(edge.port, path, { headers: [...PROGRAM, ...headers] });
    assert.deepEqual([json.status, JSON.parse(json.body).error], [status, error]);
  };

  it('answers a browser with a page, and a program with JSON, whatever is wrong before forward-auth is asked', async () => {
    const many = Array.from({ length: 310 }, (_, n) => [`A${n}`, 'b']).flat();
    await both('/', many, 431, /<h1>Your browser sent too much<\/h1>/, 'too_many_headers');
    const large = ['Cookie', 'c'.repeat(40_000)];
    await both('/', large, 431, /<h1>Your browser sent too much<\/h1>/, 'headers_too_large');
    for (const path of ['/', '/servers/example/mcp', '/_postern/home'])
      await both(path, [], 503, /<h1>Not right now<\/h1>/, 'unavailable');
  });

  it('leads from another name of this machine to the printed address', async () => {
    for (const [host, path] of [
      [`localhost:${edge.port}`, '/'],
      ['localhost', '/_postern/home?a=b'],
      ['LOCALHOST:1', '//other.example/x'],
      [`0.0.0.0:${edge.port}`, '/admin'],
      [`[::1]:${edge.port}`, '/servers/example/mcp'],
    ] as const) {
      const printed = `http://127.0.0.1:${edge.port}${path}`;
      for (const sent of [BROWSER, PROGRAM]) {
        const { status, headers, body } = await rawRequest(edge.port, path, { headers: [...sent, 'Host', host] });
        assert.deepEqual([status, headers.location], [307, printed], host);
        assert.ok(JSON.parse(body).error_description.startsWith(`this is ${printed},`), body);
      }
    }
    for (const [host, sent] of [
      [`127.0.0.1:${edge.port}`, BROWSER],
      ['app.localhost', BROWSER],
      ['localhost.example.com', BROWSER],
      ['localhost.', PROGRAM],
    ] as const)
      assert.equal((await rawRequest(edge.port, '/', { headers: [...sent, 'Host', host] })).status, 503, host);
  });

  it('says to a browser that a part does not answer', async () => {
    edge.connect({ forwardAuthPort: nobody, relayPort: nobody });
    await both('/', [], 503, /<h1>Not right now<\/h1>/, 'unavailable');
    await both('/_postern/home', [], 502, /<h1>Not right now<\/h1>/, 'bad_gateway');
    const german = await rawRequest(edge.port, '/', { headers: [...BROWSER, 'Accept-Language', 'de'] });
    assert.match(german.body, /<html lang="de">/);
  });
});
