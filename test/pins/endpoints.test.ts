import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Child } from '../support/child.ts';
import { freePorts } from '../support/free-port.ts';
import { startOpenIdProvider, type TestProvider } from '../support/openid-provider.ts';
import { startPostern } from '../support/postern-process.ts';
import { rawRequest } from '../support/raw-request.ts';

describe('pinned endpoints', () => {
  let folder: string;
  let ports: { auth: number; authInternal: number; relay: number; relayInternal: number };
  let provider: TestProvider;
  const started: Child[] = [];

  before(async function () {
    this.timeout(60_000);
    folder = await mkdtemp(join(tmpdir(), 'postern-pins-'));
    provider = await startOpenIdProvider();
    const [auth, authInternal, relay, relayInternal, nobody] = (await freePorts(5)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    ports = { auth, authInternal, relay, relayInternal };
    const file = join(folder, 'postern.yaml');
    await writeFile(
      file,
      stringify({
        publicUrl: 'https://mcp.example.com',
        auth: {
          listen: `127.0.0.1:${auth}`,
          internalListen: `127.0.0.1:${authInternal}`,
          providers: [{ id: 'test', issuer: provider.issuer }],
          rules: [{ match: { path: '/servers/one/**' } }],
        },
        relay: {
          listen: `127.0.0.1:${relay}`,
          internalListen: `127.0.0.1:${relayInternal}`,
          admin: { user: 'operator', password: 'correct-horse-battery-9' },
          servers: {
            one: { url: `http://127.0.0.1:${nobody}/mcp` },
            two: { url: `http://127.0.0.1:${nobody}/mcp`, assertion: true, credential: { connection: {} } },
          },
          aggregate: { servers: ['one'] },
        },
      }),
    );
    started.push(await startPostern('auth', file, authInternal));
    started.push(await startPostern('relay', file, relayInternal));
  });

  after(async function () {
    this.timeout(60_000);
    for (const child of started) await child.stop();
    await provider?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const statusOf = async (port: number, path: string, headers: string[] = [], method = 'GET') =>
    (await rawRequest(port, path, { method, headers })).status;

  it('of forward-auth for proxies', async () => {
    const headers = [
      ...['X-Forwarded-Method', 'GET', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'mcp.example.com'],
      ...['X-Forwarded-Uri', '/servers/one/mcp', 'X-Forwarded-For', '127.0.0.1'],
    ];
    assert.equal(await statusOf(ports.auth, '/verify/traefik', headers), 401);
    assert.notEqual(await statusOf(ports.auth, '/verify/another', headers), 200);
  });

  it('of forward-auth for everybody', async () => {
    assert.equal(await statusOf(ports.auth, '/_postern/jwks.json'), 200);
    assert.equal(await statusOf(ports.auth, '/.well-known/oauth-protected-resource/servers/one/mcp'), 200);
    assert.equal(await statusOf(ports.auth, '/.well-known/oauth-protected-resource/servers/none/mcp'), 404);
    assert.equal(await statusOf(ports.auth, '/.well-known/oauth-protected-resource/mcp'), 200);
  });

  it('of the relay', async () => {
    assert.equal(await statusOf(ports.relay, '/servers/one/mcp', [], 'POST'), 401);
    assert.equal(await statusOf(ports.relay, '/mcp', [], 'POST'), 401);
    assert.equal(await statusOf(ports.relay, '/sse'), 401);
    assert.equal(await statusOf(ports.relay, '/ws'), 426);
    assert.ok([401, 404].includes(await statusOf(ports.relay, '/servers/none/mcp', [], 'POST')));
  });

  it('of the relay for operators', async () => {
    const basic = ['Authorization', `Basic ${btoa('operator:correct-horse-battery-9')}`];
    for (const path of ADMIN) {
      assert.equal(await statusOf(ports.relay, path), 401, path);
      assert.equal(await statusOf(ports.relay, path, basic), 200, path);
    }
  });

  it('of the relay for people and for MCP servers', async () => {
    for (const path of ['/connect', '/connect/servers/two', '/connect/servers/two/callback'])
      assert.equal(await statusOf(ports.relay, path), 401, path);
    assert.equal(await statusOf(ports.relay, '/.well-known/jwks.json'), 200);
  });

  it('of both, for operators, and only on the internal listeners', async () => {
    for (const path of ['/healthz', '/readyz', '/metrics', '/configz']) {
      assert.equal(await statusOf(ports.authInternal, path), 200, `forward-auth ${path}`);
      assert.equal(await statusOf(ports.relayInternal, path), 200, `relay ${path}`);
      assert.notEqual(await statusOf(ports.auth, path), 200, `forward-auth's public ${path}`);
      assert.notEqual(await statusOf(ports.relay, path), 200, `relay's public ${path}`);
    }
  });

  it('of forward-auth for operators, with a token', async () => {
    for (const path of ['/sessions', '/suspensions', '/denials']) {
      const { status, body } = await rawRequest(ports.authInternal, path);
      assert.equal(status, 404, path);
      assert.match(body, /auth\.operatorToken/, path);
    }
  });

  it('SIGTERM ends both with 0', async function () {
    this.timeout(30_000);
    for (const child of started) assert.equal(await child.stop(), 0, child.output);
  });
});

const ADMIN = [
  '/admin',
  '/admin/servers/one',
  '/admin/activity',
  '/admin/denials',
  '/admin/streams',
  '/admin/sessions',
  '/admin/policy',
  '/admin/tools',
  '/admin/limits',
  '/admin/security',
  '/admin/api/servers',
  '/admin/api/servers/one',
  '/admin/api/activity',
  '/admin/api/denials',
  '/admin/api/streams',
  '/admin/api/policy',
  '/admin/api/pins',
  '/admin/api/rate-limits',
  '/admin/api/security-events',
  '/admin/api/openapi.json',
];
