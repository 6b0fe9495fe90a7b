import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startAccessTeam } from '../support/compose/access-team.ts';
import { replaceIn, startFolder } from '../support/compose/folder.ts';
import { type SignInProvider, startSignInProvider } from '../support/sign-in-provider.ts';

const CHECK = fileURLToPath(new URL('../../deploy/check/check.mjs', import.meta.url));
const run = promisify(execFile);

/** A provider of the test in the place of the cloud's, with accounts like those there. */
interface Cloud {
  readonly name: string;
  readonly issuer: string;
  readonly clientId: string;
  readonly claims: (user: string) => Readonly<Record<string, unknown>>;
  /** Who may not use the server; absent: everybody of the provider may. */
  readonly outsider?: string;
}

/** Of the parts of Prometheus' answer to a query that are looked at. */
interface Vector {
  readonly data: {
    readonly result: ReadonlyArray<{
      readonly metric: { readonly job: string };
      readonly value: readonly [number, string];
    }>;
  };
}

const FOLDERS = [
  ...['traefik', 'envoy', 'envoy-grpc', 'caddy', 'nginx', 'haproxy'],
  ...['hyprmcp-dex', 'oauth2-proxy/forward-auth', 'oauth2-proxy/reverse-proxy'],
];

const CLOUDS: readonly Cloud[] = [
  {
    name: 'entra',
    issuer: 'https://login.microsoftonline.com/00000000-0000-0000-0000-000000000000/v2.0',
    clientId: '11111111-1111-1111-1111-111111111111',
    claims: (user) => ({
      oid: `object of ${user}`,
      preferred_username: `${user}@example.com`,
      groups: user === 'alice' ? ['22222222-2222-2222-2222-222222222222'] : [],
    }),
    outsider: 'carol',
  },
  {
    name: 'okta',
    issuer: 'https://example.okta.com',
    clientId: '0oa0000000000000000',
    claims: () => ({}),
    outsider: 'carol',
  },
  {
    name: 'google',
    issuer: 'https://accounts.google.com',
    clientId: '000000000000-example.apps.googleusercontent.com',
    claims: () => ({ hd: 'example.com', groups: undefined }),
  },
];

describe('the compose files of deploy/', () => {
  const end: Array<() => unknown> = [];
  afterEach(async function () {
    this.timeout(60_000);
    for (const stop of end.splice(0)) await stop();
  });

  for (const name of FOLDERS)
    it(`${name} starts, and its check script finds nothing wrong`, async function () {
      this.timeout(400_000);
      const running = await startFolder(this, name);
      end.unshift(() => running.stop());
      await running.check();
    });

  it('contextforge starts, and its check script finds nothing wrong', async function () {
    // The first run installs it, which has a time limit of its own.
    this.timeout(900_000);
    const running = await startFolder(this, 'contextforge');
    end.unshift(() => running.stop());
    await running.check();
  });

  it('keycloak starts, and its check script finds nothing wrong', async function () {
    this.timeout(600_000);
    if (process.env.POSTERN_TEST_COMPOSE !== 'all') {
      process.stderr.write('  skipped: Keycloak takes a minute to start; set POSTERN_TEST_COMPOSE=all\n');
      this.skip();
    }
    const running = await startFolder(this, 'keycloak');
    end.unshift(() => running.stop());
    await running.check();
  });

  for (const { name, issuer, outsider = '', ...account } of CLOUDS)
    it(`${name} starts with a provider of the test, and its check script finds nothing wrong`, async function () {
      this.timeout(400_000);
      let provider: SignInProvider | undefined;
      end.unshift(() => provider?.stop());
      const running = await startFolder(this, name, {
        prepare: async (copy) => {
          provider = await startSignInProvider([`http://127.0.0.1:${copy.port(8080)}`], account);
          const file = `${copy.folder}/postern.yaml`;
          await replaceIn(file, `issuer: ${issuer}`, `issuer: ${provider.issuer}`);
          // The provider of the tests has no page for consent.
          if (name === 'google') await replaceIn(file, ', prompt: consent', '');
        },
      });
      end.unshift(() => running.stop());
      await running.check(['--user', 'alice', '--outsider', outsider]);
    });

  it('authelia starts with a stand-in for Authelia, and its check script finds nothing wrong', async function () {
    this.timeout(400_000);
    const running = await startFolder(this, 'authelia', {
      prepare: async ({ folder }) => void (await run('sh', [`${folder}/certificate.sh`])),
    });
    end.unshift(() => running.stop());
    await running.check();
  });

  it('grafana starts with a stand-in for Grafana, which is told who is there; Prometheus reads both processes', async function () {
    this.timeout(400_000);
    const running = await startFolder(this, 'grafana');
    end.unshift(() => running.stop());
    await running.check();
    const source = await readFile(`${running.copy.folder}/datasources.yaml`, 'utf8');
    const [, prometheus] = /\burl: (\S+)/.exec(source) ?? [];
    await untilScraped(new URL('/api/v1/query?query=up', prometheus), ['postern-forward-auth', 'postern-relay']);
  });

  it('cloudflare-access starts with keys of the test, and believes what Access signed for its application only', async function () {
    this.timeout(400_000);
    const team = await startAccessTeam();
    end.unshift(() => team.stop());
    const running = await startFolder(this, 'cloudflare-access', {
      // The tunnel needs an account of Cloudflare.
      without: ['cloudflared'],
      prepare: team.adopt,
    });
    end.unshift(() => running.stop());
    await running.check();

    const statusFor = async (audience: string) =>
      initialize(running.copy.port(4444), { 'Cf-Access-Jwt-Assertion': await team.assertion(audience) });
    assert.equal(await statusFor('4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2'), 200);
    assert.equal(await statusFor('another application'), 401);
  });
});

describe('the check script of deploy/', () => {
  it('finds every hole of a gate that lets everybody in', async () => {
    const open = createServer((_request, response) => response.end('{}'));
    open.listen(0, '127.0.0.1');
    await once(open, 'listening');
    try {
      const { port } = open.address() as AddressInfo;
      const address = `http://127.0.0.1:${port}`;
      const args = [CHECK, '--edge', address, '--relay', address, '--challenge', 'bare'];
      const { code, stdout } = (await run(process.execPath, args).catch((error) => error)) as {
        code: number;
        stdout: string;
      };
      assert.equal(code, 1, stdout);
      assert.equal(stdout.match(/^FAIL /gm)?.length, 8, stdout);
      for (const what of ['without a session', 'written by the client', 'relay itself'])
        assert.match(stdout, new RegExp(`^FAIL .*${what}`, 'm'));
    } finally {
      open.close();
    }
  });
});

/** Waits until Prometheus has read all of these jobs. */
async function untilScraped(query: URL, jobs: readonly string[]): Promise<void> {
  for (const end = Date.now() + 60_000; ; await sleep(500)) {
    const { data } = (await (await fetch(query)).json()) as Vector;
    const up = data.result.filter(({ value: [, value] }) => value === '1').map(({ metric }) => metric.job);
    if (jobs.every((job) => up.includes(job))) return;
    if (Date.now() > end) assert.fail(`read: ${up.join(', ')}`);
  }
}

/** @returns the status of the first request to an MCP server */
async function initialize(port: number, headers: Readonly<Record<string, string>>): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}/servers/everything/mcp`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream', ...headers },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } },
    }),
  });
  await answer.body?.cancel();
  return answer.status;
}
