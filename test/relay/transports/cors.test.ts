import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'mocha';
import { ask, ECHO, endAll, relay, upstream } from '../support/relay.ts';

const PAGE = 'https://inspector.example';
const ALICE = ['X-Authenticated-User', 'alice'];

describe('MCP clients in a browser', () => {
  afterEach(endAll);
  const start = async () => relay({ servers: { one: { url: await upstream(ECHO) } }, allowedOrigins: [PAGE] });

  for (const path of ['/servers/one/mcp', '/servers/one/sse', '/servers/one/messages?sessionId=x'])
    it(`may ask before they send to ${path}, without any credential`, async () => {
      const wanted = 'authorization, content-type, mcp-protocol-version, mcp-method, mcp-name, mcp-session-id';
      const answer = await ask((await start()).port, {
        method: 'OPTIONS',
        path,
        headers: ['Origin', PAGE, 'Access-Control-Request-Method', 'POST', 'Access-Control-Request-Headers', wanted],
      });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers['access-control-allow-origin'], PAGE);
      assert.equal(answer.headers['access-control-allow-headers'], wanted);
      assert.match(String(answer.headers['access-control-allow-methods']), /POST/);
      assert.equal(answer.headers['access-control-allow-credentials'], undefined);
    });

  it('may read answers and refusals, with the session and the challenge', async () => {
    const { port } = await start();
    for (const headers of [ALICE, []]) {
      const answer = await ask(port, { headers: [...headers, 'Origin', PAGE] });
      assert.equal(answer.status, headers === ALICE ? 200 : 401);
      assert.equal(answer.headers['access-control-allow-origin'], PAGE);
      assert.match(String(answer.headers['access-control-expose-headers']), /WWW-Authenticate, Mcp-Session-Id/);
      assert.equal(answer.headers.vary, 'Origin');
    }
  });

  it('of another origin get nothing to read, and no permission', async () => {
    const { port } = await start();
    const origin = ['Origin', 'https://evil.example'];
    const asked = await ask(port, {
      method: 'OPTIONS',
      headers: [...origin, 'Access-Control-Request-Method', 'POST'],
    });
    const sent = await ask(port, { headers: [...ALICE, ...origin] });
    assert.equal(sent.status, 403);
    for (const { headers } of [asked, sent]) assert.equal(headers['access-control-allow-origin'], undefined);
  });
});
