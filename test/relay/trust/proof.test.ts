import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JWK } from 'jose';
import { afterEach, before, describe, it } from 'mocha';
import { type AssertionBinding, importSigningKey, signAssertion } from '../../../src/identity/assertion.ts';
import { toHeaders } from '../../../src/identity/headers.ts';
import { ANONYMOUS, type Identity } from '../../../src/identity/identity.ts';
import { FORGERIES } from '../../../src/relay/refusal.ts';
import { ask, ECHO, endAll, onEnd, relay, upstream } from '../support/relay.ts';

const ALICE: Identity = { ...ANONYMOUS, subject: 'alice', method: 'session', issuer: 'https://idp.example' };
const BINDING: AssertionBinding = { method: 'POST', host: 'mcp.example.com', path: '/servers/one/mcp' };
const USER = ['X-Authenticated-User', 'alice'];

async function key() {
  const { privateKey } = generateKeyPairSync('ed25519');
  return importSigningKey(privateKey.export({ format: 'jwk' }) as JWK);
}

type Key = Awaited<ReturnType<typeof key>>;

function assertion(
  signer: Key,
  binding: Partial<AssertionBinding> = {},
  claims: object = {},
  identity = ALICE,
): string {
  return signAssertion(
    signer,
    identity,
    { ...BINDING, ...binding },
    {
      issuer: 'https://mcp.example.com',
      audience: 'postern-relay',
      issuedAt: Math.floor(Date.now() / 1000),
      lifetime: 60,
      ...claims,
    },
  );
}

async function withTrust(trust: object, more: object = {}) {
  return relay({ servers: { one: { url: await upstream(ECHO) } }, trust, ...more });
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-test-'));
  onEnd(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function jwksFile(...keys: Key[]): string {
  const path = join(temporaryFolder(), 'jwks.json');
  writeFileSync(path, JSON.stringify({ keys: keys.map((one) => one.publicJwk) }));
  return path;
}

describe('a proxy proves itself', () => {
  afterEach(endAll);

  it('counts every kind of forgery from zero on, so that the first one is an increase', async () => {
    const { metrics } = await relay({ servers: {} });
    const text = await metrics();
    for (const reason of FORGERIES) assert.match(text, new RegExp(`rejected_total\\{reason="${reason}"\\} 0\\n`));
  });

  it('by its address: a stranger’s identity headers are counted and refused', async () => {
    const running = await withTrust({ proxies: ['192.0.2.1'] });
    const answer = await ask(running.port, { headers: USER });
    assert.equal(answer.status, 401);
    assert.match(await running.metrics(), /rejected_total\{reason="spoof_attempt"\} 1/);
    assert.equal((await ask(running.port)).status, 401);
    assert.match(await running.metrics(), /rejected_total\{reason="unproven_peer"\} 1/);
  });

  it('by its address: without AUTH_REQUIRED a stranger is anonymous, and still counted', async () => {
    const running = await withTrust({ proxies: ['192.0.2.1'] }, { authRequired: false });
    assert.equal((await ask(running.port, { headers: USER })).status, 200);
    const metrics = await running.metrics();
    assert.match(metrics, /rejected_total\{reason="spoof_attempt"\} 1/);
    assert.match(metrics, /method="anonymous",outcome="relayed"\} 1/);
  });

  it('by a shared secret', async () => {
    const running = await withTrust({ secret: 'correct horse', secretHeader: 'X-Proof' });
    const status = async (...proof: string[]) => (await ask(running.port, { headers: [...USER, ...proof] })).status;
    assert.equal(await status('X-Proof', 'correct horse'), 200);
    assert.equal(await status('X-Proof', 'correct horsf'), 401);
    assert.equal(await status('X-Proof', ''), 401);
    assert.equal(await status(), 401);
    assert.equal(await status('X-Proof', 'correct horse', 'X-Proof', 'correct horse'), 400);
    assert.ok(!running.logs.join('').includes('correct horse'));
  });

  it('tells the operator which header the proxy did not send', async () => {
    const running = await withTrust({ preset: 'headers', userHeader: 'X-Forwarded-User' });
    assert.equal((await ask(running.port, { headers: USER })).status, 401);
    assert.ok(
      running.logs.some((line) =>
        line.includes('sent no X-Forwarded-User but x-authenticated-user: the header names differ'),
      ),
    );
    assert.equal((await ask(running.port, { headers: ['X-Forwarded-User', 'alice'] })).status, 200);
    assert.equal((await ask(running.port, { headers: ['X_Forwarded_User', 'alice'] })).status, 400);
  });
});

describe('spoofed identity headers are refused even from a proven proxy', () => {
  afterEach(endAll);

  const spoofs: Array<[name: string, headers: string[], reason: string]> = [
    ['an alias with underscores', ['X_Authenticated_User', 'root'], 'header_alias'],
    ['an alias with dots', ['X.Authenticated.User', 'root'], 'header_alias'],
    ['an alias of another identity header', ['X-Authenticated_Groups', 'admin'], 'header_alias'],
    ['a duplicate', ['x-authenticated-user', 'root'], 'duplicate_header'],
    ['a duplicate with the same value', ['X-Authenticated-User', 'alice'], 'duplicate_header'],
    ['an announced trailer', ['Trailer', 'X-Authenticated-User'], 'header_trailer'],
    ['a Connection header that names one', ['Connection', 'close, X-Authenticated-User'], 'header_connection'],
  ];
  for (const [name, headers, reason] of spoofs)
    it(name, async () => {
      const running = await withTrust({});
      const framing = headers[0] === 'Trailer' ? { trailers: [] } : {};
      const answer = await ask(running.port, { headers: [...USER, ...headers], ...framing });
      assert.equal(answer.status, 400, answer.text);
      assert.match(await running.metrics(), new RegExp(`rejected_total\\{reason="${reason}"\\} 1`));
    });

  it('a trailer after the body', async () => {
    const running = await withTrust({});
    const answer = await ask(running.port, { headers: USER, trailers: [['X-Authenticated-User', 'root']] });
    assert.equal(answer.status, 400);
    assert.match(await running.metrics(), /rejected_total\{reason="header_trailer"\} 1/);
  });

  it('other headers that decide something may not come twice either', async () => {
    const running = await withTrust({});
    const headers = [...USER, 'Mcp-Session-Id', 'a', 'Mcp-Session-Id', 'b'];
    assert.equal((await ask(running.port, { headers })).status, 400);
  });
});

describe('the signed assertion', () => {
  afterEach(endAll);

  const asked = async (jwt: string, sent: string[] = USER, more: object = {}) => {
    const running = await withTrust({ assertion: { jwksPath: jwksFile(signer) } });
    return ask(running.port, { headers: [...sent, 'X-Authenticated-Assertion', jwt], ...more });
  };
  let signer: Key;
  before(async () => {
    signer = await key();
  });

  it('is believed for the request it was made for, again and again', async () => {
    const running = await withTrust({ assertion: { jwksPath: jwksFile(signer) } });
    const identity = toHeaders(ALICE, assertion(signer)).flat();
    assert.equal((await ask(running.port, { headers: identity })).status, 200);
    assert.equal((await ask(running.port, { headers: identity })).status, 200);
    const elsewhere = await ask(running.port, { method: 'DELETE', headers: identity });
    assert.equal(elsewhere.status, 401);
    assert.ok(!running.logs.join('').includes(assertion(signer).slice(0, 30)));
  });

  it('is compared with X-Forwarded-Host where the proxy changed Host, and without default port or case', async () => {
    const forwarded = ['Host', 'relay:4444', 'X-Forwarded-Host', 'MCP.example.com:443'];
    assert.equal((await asked(assertion(signer), [...USER, ...forwarded])).status, 200);
    for (const host of ['mcp.example.com:00443', 'MCP.example.com.:080', 'mcp.example.com:0000443'])
      assert.equal((await asked(assertion(signer), [...USER, 'Host', host])).status, 200, host);
    for (const host of ['mcp.example.com:4430', 'mcp.example.com:0', 'mcp.example.com:00443x'])
      assert.equal((await asked(assertion(signer), [...USER, 'Host', host])).status, 401, host);
  });

  it('is worth nothing beside an empty Host, whatever X-Forwarded-Host says', async () => {
    const forwarded = ['Host', '', 'X-Forwarded-Host', 'mcp.example.com'];
    assert.equal((await asked(assertion(signer), [...USER, ...forwarded])).status, 401);
  });

  it('is worth nothing for another method, host or path', async () => {
    assert.equal((await asked(assertion(signer, { method: 'GET' }))).status, 401);
    assert.equal((await asked(assertion(signer, { host: 'other.example.com' }))).status, 401);
    assert.equal((await asked(assertion(signer, { path: '/servers/two/mcp' }))).status, 401);
  });

  it('is worth nothing when expired, for another audience, from another issuer or by a strange key', async () => {
    const issuedAt = Math.floor(Date.now() / 1000) - 600;
    assert.equal((await asked(assertion(signer, {}, { issuedAt }))).status, 401);
    assert.equal((await asked(assertion(signer, {}, { audience: 'other' }))).status, 401);
    assert.equal((await asked(assertion(signer, {}, { issuer: 'https://evil.example' }))).status, 401);
    const stranger = { ...(await key()), kid: signer.kid };
    assert.equal((await asked(assertion(stranger))).status, 401);
    assert.equal((await asked(assertion(await key()))).status, 401);
    assert.equal((await asked('no.jwt.atall')).status, 401);
  });

  it('must be there, and agree with the user header', async () => {
    const running = await withTrust({ assertion: { jwksPath: jwksFile(signer) } }, { authRequired: false });
    assert.equal((await ask(running.port, { headers: USER })).status, 401);
    assert.equal((await asked(assertion(signer), ['X-Authenticated-User', 'bob'])).status, 401);
    assert.equal((await asked(assertion(signer), [])).status, 401);
    assert.match(await running.metrics(), /reason="assertion_missing"\} 1/);
  });

  it('is not believed past its end by the cache', async () => {
    let ahead = 0;
    const trust = { assertion: { jwksPath: jwksFile(signer) } };
    const running = await relay(
      { servers: { one: { url: await upstream(ECHO) } }, trust },
      { now: () => Date.now() + ahead },
    );
    const headers = [...USER, 'X-Authenticated-Assertion', assertion(signer)];
    assert.equal((await ask(running.port, { headers })).status, 200);
    ahead = 70_000;
    assert.equal((await ask(running.port, { headers })).status, 401);
  });

  it('by keys that are replaced while running', async () => {
    let ahead = 0;
    const path = jwksFile(await key());
    const running = await relay(
      { servers: { one: { url: await upstream(ECHO) } }, trust: { assertion: { jwksPath: path } } },
      { now: () => Date.now() + ahead },
    );
    const headers = [...USER, 'X-Authenticated-Assertion', assertion(signer)];
    assert.equal((await ask(running.port, { headers })).status, 401);
    writeFileSync(path, JSON.stringify({ keys: [signer.publicJwk] }));
    ahead = 5000;
    assert.equal((await ask(running.port, { headers })).status, 200);
  });

  it('from a JWKS address: 503 and nothing else while it is away', async () => {
    let away = true;
    const server = createServer((_request, response) => {
      response.statusCode = away ? 500 : 200;
      response.end(JSON.stringify({ keys: [signer.publicJwk] }));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onEnd(() => server.close());
    const jwksUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
    let ahead = 0;
    const running = await relay(
      { servers: { one: { url: await upstream(ECHO) } }, trust: { assertion: { jwksUrl } }, authRequired: false },
      { now: () => Date.now() + ahead },
    );
    const headers = [...USER, 'X-Authenticated-Assertion', assertion(signer)];
    const refused = await ask(running.port, { headers });
    assert.equal(refused.status, 503);
    assert.equal(refused.headers['retry-after'], '5');
    away = false;
    ahead = 1500;
    assert.equal((await ask(running.port, { headers })).status, 200);
  });
});
