import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, describe, it } from 'mocha';
import { ask, ECHO, endAll, type RelayUnderTest, relay, upstream } from './support/relay.ts';

const PAGE = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8').replaceAll('\n', ' ');
const UPGRADE = ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Version', '13'];

/** What an operator would look for in the log must be there, and on the page, in the same words. */
function assertSaid({ logs }: RelayUnderTest, words: string): void {
  assert.ok(
    logs.some((line) => line.includes(words)),
    logs.join(''),
  );
  assert.ok(PAGE.includes(words), `the page has: ${words}`);
}

async function start(settings: object): Promise<RelayUnderTest> {
  return relay({ servers: { one: { url: await upstream(ECHO) } }, ...settings });
}

describe('the log names the fix, in the words of docs/troubleshooting.md', () => {
  afterEach(endAll);

  it('where authentication is off without a trusted proxy', async () => {
    const running = await start({ trust: { enabled: false }, jwt: { enabled: false } });
    assertSaid(running, 'MCP client authentication is disabled without a trusted proxy');
    assert.equal((await ask(running.port)).status, 401);
    assertSaid(running, 'TRUST_PROXY_AUTH=true or MCP_CLIENT_AUTH_ENABLED=true');
  });

  for (const sent of ['X-Forwarded-User', 'X-Auth-Request-User', 'Remote-User', 'Cf-Access-Authenticated-User-Email'])
    it(`where the proxy sends ${sent} and another name is read`, async () => {
      const running = await start({});
      assert.equal((await ask(running.port, { headers: [sent, 'alice'] })).status, 401);
      assertSaid(running, 'the header names differ');
      assert.ok(
        running.logs.some((line) => line.includes(sent.toLowerCase())),
        'it names the header that came',
      );
      assert.ok(!running.logs.join('').includes('alice'), 'and not its value');
    });

  it('where the proxy sends no user', async () => {
    const running = await start({});
    assert.equal((await ask(running.port)).status, 401);
    assertSaid(running, 'check PROXY_USER_HEADER / authResponseHeaders');
  });

  it('where somebody else asks', async () => {
    const running = await start({ trust: { proxies: ['192.0.2.1'] } });
    assert.equal((await ask(running.port, { headers: ['X-Authenticated-User', 'alice'] })).status, 401);
    assertSaid(running, 'is not a proven proxy');
  });

  it('where a WebSocket upgrade comes without identity', async () => {
    const running = await start({});
    const answer = await ask(running.port, { method: 'GET', path: '/servers/one/ws', headers: UPGRADE });
    assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status));
    assertSaid(running, 'with a WebSocket upgrade: configure the proxy to check upgrade requests');
  });

  it('where a plain header comes without its signature, and where a token is for somebody else', async () => {
    const token = { issuer: 'https://t.cloudflareaccess.com', audiences: ['tag'], jwksUrl: 'http://127.0.0.1:9/' };
    const running = await start({ trust: { preset: 'cloudflare-access', token } });
    await ask(running.port, { headers: ['Cf-Access-Authenticated-User-Email', 'alice@example.com'] });
    assertSaid(running, 'came without');
    await ask(running.port, { headers: ['Cf-Access-Jwt-Assertion', 'no.jwt.atall'] });
    assertSaid(running, 'is not valid');
  });

  it('where two families of oauth2-proxy’s headers disagree', async () => {
    const running = await start({ trust: { preset: 'oauth2-proxy' } });
    await ask(running.port, { headers: ['X-Auth-Request-User', 'root', 'X-Forwarded-User', 'alice'] });
    assertSaid(running, 'say different things');
  });

  it('where a migration holds somebody to the other way, and where there are too many groups', async () => {
    const running = await start({
      jwt: { enabled: true, secretKey: 'a-secret-of-the-test-with-enough-bytes' },
      migration: { jwtOnly: { users: ['alice'] } },
    });
    await ask(running.port, { headers: ['X-Authenticated-User', 'alice'] });
    assertSaid(running, 'holds this user to');
    const groups = ['X-Authenticated-Groups', 'group,'.repeat(1_400)];
    assert.equal((await ask(running.port, { headers: ['X-Authenticated-User', 'bob', ...groups] })).status, 431);
    assertSaid(running, 'let the proxy send fewer groups');
  });
});
