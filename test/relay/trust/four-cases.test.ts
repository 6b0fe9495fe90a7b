import assert from 'node:assert/strict';
import { request as send } from 'node:http';
import { SignJWT } from 'jose';
import { afterEach, describe, it } from 'mocha';
import { ask, ECHO, endAll, relay, upstream } from '../support/relay.ts';
import { handshake } from '../support/web-socket.ts';

const SECRET = 'a-secret-of-the-test-with-enough-bytes';

async function token(subject: string, secret = SECRET, claims: { aud?: string; typ?: string; exp?: string } = {}) {
  return new SignJWT({})
    .setProtectedHeader({ alg: 'HS256', typ: claims.typ ?? 'JWT' })
    .setSubject(subject)
    .setIssuer('mcpgateway')
    .setAudience(claims.aud ?? 'mcpgateway-api')
    .setExpirationTime(claims.exp ?? '1h')
    .sign(new TextEncoder().encode(secret));
}

async function start(jwt: boolean, trust: boolean, authRequired: boolean, more: object = {}) {
  return relay({
    authRequired,
    servers: { one: { url: await upstream(ECHO) } },
    jwt: { enabled: jwt, secretKey: SECRET },
    trust: { enabled: trust },
    ...more,
  });
}

/** Opens a stream of the transport of 2024-11-05 and leaves again. @returns the status */
function opened(port: number, headers: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const all = ['Host', 'mcp.example.com', 'Accept', 'text/event-stream', ...headers];
    const request = send(
      { host: '127.0.0.1', port, path: '/servers/one/sse', headers: all, agent: false },
      (response) => {
        resolve(response.statusCode ?? 0);
        response.destroy();
      },
    );
    request.on('error', reject);
    request.end();
  });
}

type Given = 'nothing' | 'header' | 'good' | 'bad';
/** What each case answers: a way (200) or `401`; the second where no identity is needed. */
const TABLE: Array<[jwt: boolean, trust: boolean, given: Given, required: string, open: string]> = [
  [false, true, 'nothing', '401', 'anonymous'],
  [false, true, 'header', 'proxy', 'proxy'],
  [false, true, 'good', '401', 'anonymous'],
  [false, true, 'bad', '401', 'anonymous'],
  [false, false, 'nothing', '401', 'anonymous'],
  [false, false, 'header', '401', 'anonymous'],
  [false, false, 'good', '401', 'anonymous'],
  [false, false, 'bad', '401', 'anonymous'],
  [true, false, 'nothing', '401', 'anonymous'],
  [true, false, 'header', '401', 'anonymous'],
  [true, false, 'good', 'jwt', 'jwt'],
  [true, false, 'bad', '401', '401'],
  [true, true, 'nothing', '401', 'anonymous'],
  [true, true, 'header', 'proxy', 'proxy'],
  [true, true, 'good', 'jwt', 'jwt'],
  [true, true, 'bad', '401', '401'],
];

describe('the four cases of MCP_CLIENT_AUTH_ENABLED and TRUST_PROXY_AUTH', () => {
  afterEach(endAll);

  for (const [jwt, trust, given, required, open] of TABLE)
    for (const authRequired of [true, false]) {
      const expected = authRequired ? required : open;
      it(`jwt ${jwt}, trust ${trust}, ${given}, AUTH_REQUIRED ${authRequired}: ${expected}`, async () => {
        const running = await start(jwt, trust, authRequired);
        const headers: Record<Given, string[]> = {
          nothing: [],
          header: ['X-Authenticated-User', 'alice'],
          good: ['Authorization', `Bearer ${await token('alice')}`],
          bad: ['Authorization', `Bearer ${await token('alice', 'another secret of enough bytes!!!')}`],
        };
        const answer = await ask(running.port, { headers: headers[given] });
        assert.equal(answer.status, expected === '401' ? 401 : 200, answer.text);
        const [method, outcome] = expected === '401' ? ['none', 'refused'] : [expected, 'relayed'];
        assert.match(
          await running.metrics(),
          new RegExp(`postern_relay_requests_total\\{server="one",method="${method}",outcome="${outcome}"\\} 1`),
        );
      });
    }

  const ENDPOINTS: Record<'sse' | 'ws', (port: number, headers: string[]) => Promise<number>> = {
    sse: opened,
    ws: async (port, headers) => (await handshake(port, headers)).status,
  };
  for (const [endpoint, statusOf] of Object.entries(ENDPOINTS))
    for (const authRequired of [true, false])
      it(`is the same at /servers/<name>/${endpoint}, AUTH_REQUIRED ${authRequired}`, async () => {
        const good = ['Authorization', `Bearer ${await token('alice')}`];
        const bad = ['Authorization', `Bearer ${await token('alice', 'another secret of enough bytes!!!')}`];
        const headers: Record<Given, string[]> = {
          nothing: [],
          header: ['X-Authenticated-User', 'alice'],
          good,
          bad,
        };
        for (const [jwt, trust, given, required, open] of TABLE) {
          const running = await start(jwt, trust, authRequired);
          const expected = (authRequired ? required : open) === '401' ? 401 : endpoint === 'ws' ? 101 : 200;
          const what = `jwt ${jwt}, trust ${trust}, ${given}`;
          assert.equal(await statusOf(running.port, headers[given]), expected, what);
          await endAll();
        }
      });

  it('refuses a request that names two users, and takes one where both agree', async () => {
    const running = await start(true, true, true);
    const bearer = ['Authorization', `Bearer ${await token('alice')}`];
    const mixed = await ask(running.port, { headers: ['X-Authenticated-User', 'bob', ...bearer] });
    assert.equal(mixed.status, 401);
    const agreed = await ask(running.port, { headers: ['X-Authenticated-User', 'alice', ...bearer] });
    assert.equal(agreed.status, 200);
    const metrics = await running.metrics();
    assert.match(metrics, /rejected_total\{reason="identity_conflict"\} 1/);
    assert.match(metrics, /method="both",outcome="relayed"\} 1/);
  });

  it('holds a JWT to audience, expiry and kind, and can be told not to look at the audience', async () => {
    const strict = await start(true, false, true);
    const lax = await start(true, false, true, {
      jwt: { enabled: true, secretKey: SECRET, audienceVerification: false },
    });
    const status = async (port: number, jwt: string) =>
      (await ask(port, { headers: ['Authorization', `Bearer ${jwt}`] })).status;
    const other = await token('alice', SECRET, { aud: 'other' });
    assert.equal(await status(strict.port, other), 401);
    assert.equal(await status(lax.port, other), 200);
    assert.equal(await status(strict.port, await token('alice', SECRET, { exp: '1h ago' })), 401);
    assert.equal(await status(strict.port, await token('alice', SECRET, { typ: 'postern-identity+jwt' })), 401);
    assert.equal(await status(strict.port, await token('')), 401);
    assert.equal(await status(strict.port, await token('alice')), 200);
  });

  it('stops believing a cached JWT when it expires', async () => {
    let ahead = 0;
    const running = await relay(
      {
        servers: { one: { url: await upstream(ECHO) } },
        jwt: { enabled: true, secretKey: SECRET },
        trust: { enabled: false },
      },
      { now: () => Date.now() + ahead },
    );
    const headers = ['Authorization', `Bearer ${await token('alice')}`];
    assert.equal((await ask(running.port, { headers })).status, 200);
    assert.equal((await ask(running.port, { headers })).status, 200);
    ahead = 2 * 3_600_000;
    assert.equal((await ask(running.port, { headers })).status, 401);
  });

  it('warns at start where nothing authenticates', async () => {
    const open = await start(false, false, false);
    assert.ok(open.logs.some((line) => line.includes('MCP client authentication is disabled without a trusted proxy')));
    const guarded = await start(false, true, true);
    assert.ok(!guarded.logs.some((line) => line.includes('authentication is disabled')));
  });
});
