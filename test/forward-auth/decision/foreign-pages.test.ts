import assert from 'node:assert/strict';
import { type Gate, openGate, PUBLIC_URL } from '../support/gate.ts';
import { rsaKey, startKeyServer } from '../support/key-server.ts';

const FOREIGN = [
  'https://evil.example',
  'null',
  '',
  `${PUBLIC_URL}.evil.example`,
  'http://mcp.example.com',
  `${PUBLIC_URL}/`,
];
const WAYS_IN = ['mcp', 'mcp/', 'sse', 'messages?sessionId=x', 'ws'];

describe('pages of other sites at MCP servers', () => {
  let gate: Gate;
  let close: () => Promise<unknown>;
  before(async () => {
    const idp = await startKeyServer([rsaKey('one')]);
    gate = await openGate(
      {
        providers: [{ id: 'corp', issuer: idp.issuer, audiences: ['x'] }],
        rules: [
          { match: { path: '/servers/open/**' }, public: true },
          { match: { path: '/**' }, allow: 'anyone-signed-in' },
        ],
      },
      ['github', 'open'],
    );
    close = () => idp.stop();
  });
  after(async () => {
    await gate.close();
    await close();
  });

  const ask = (path: string, origins: readonly string[], method = 'POST') =>
    gate.ask(path, { method, headers: origins.flatMap((origin) => ['Origin', origin]) });

  for (const origin of FOREIGN)
    for (const way of WAYS_IN)
      it(`are refused before a token is asked for: "${origin}" at ${way}`, async () => {
        for (const server of ['github', 'open']) {
          const answer = await ask(`/servers/${server}/${way}`, [origin]);
          assert.equal(answer.status, 403);
          assert.equal(answer.headers['www-authenticate'], undefined);
          assert.equal(JSON.parse(answer.body).reason, 'origin');
        }
      });

  it('are refused where a second Origin hides the first', async () => {
    assert.equal((await ask('/servers/github/mcp', [PUBLIC_URL, 'https://evil.example'])).status, 403);
  });

  it('are told in the log with what to change', async () => {
    await ask('/servers/github/mcp', ['https://told.example'], 'GET');
    assert.match(gate.log(), /"reason":"origin".*relay\.allowedOrigins/);
  });

  it('are not those of our own address, of no browser, of applications, and preflights', async () => {
    assert.equal((await ask('/servers/github/mcp', [PUBLIC_URL])).status, 401);
    assert.equal((await ask('/servers/github/mcp', [])).status, 401);
    assert.equal((await ask('/app/orders', ['https://evil.example'])).status, 401);
    const preflight = ['Origin', 'https://evil.example', 'Access-Control-Request-Method', 'POST'];
    assert.equal((await gate.ask('/servers/github/mcp', { method: 'OPTIONS', headers: preflight })).status, 200);
  });
});
