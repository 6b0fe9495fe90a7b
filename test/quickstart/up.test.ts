import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { OAuthClientProvider } from '@modelcontextprotocol/sdk/client/auth.js';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import type { OAuthClientInformationMixed, OAuthTokens } from '@modelcontextprotocol/sdk/shared/auth.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { WebSocket } from 'ws';
import { isAlive } from '../support/alive.ts';
import { HttpPerson } from '../support/http-person.ts';
import { cleanEnvironment, type RunningPostern, startPostern } from '../support/run-postern.ts';

const MCP_ACCEPT = 'application/json, text/event-stream';
const INITIALIZE = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
const REDIRECT = 'http://127.0.0.1:45678/callback';

/** Follows redirects up to the client's own address with a cookie jar, signing in and consenting as a browser would. */
async function signInAndConsent(start: URL, user: string): Promise<string> {
  const cookies = new Map<string, string>();
  let url = start;
  let form: URLSearchParams | undefined;
  for (let step = 0; step < 12; step++) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [name, ...value] = (cookie.split(';')[0] as string).split('=');
      cookies.set(name as string, value.join('='));
    }
    form = undefined;
    const location = response.headers.get('location');
    if (location?.startsWith(REDIRECT)) return new URL(location).searchParams.get('code') ?? assert.fail(location);
    if (location !== null) {
      url = new URL(location, url);
      continue;
    }
    const html = await response.text();
    assert.equal(response.status, 200, html);
    assert.match(html, /DEVELOPMENT ONLY/);
    assert.doesNotMatch(html, /<script/);
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'none'.*frame-ancestors 'none'/);
    form = html.includes('name="password"')
      ? new URLSearchParams({ username: user, password: user })
      : new URLSearchParams({ answer: 'allow' });
  }
  return assert.fail(`no way back to the client, stuck at ${url.pathname}`);
}

/** The same where Postern itself is the authorization server, which answers navigations only. */
async function consentAtPostern(start: URL, user: string): Promise<string> {
  const person = new HttpPerson();
  let url = start;
  let form: URLSearchParams | undefined;
  let asked = false;
  for (let step = 0; step < 20; step++) {
    const { location, text } = await person.step(url, form === undefined ? {} : { form });
    form = undefined;
    const onwards = location ?? /content="0;url=([^"]+)"/.exec(text)?.[1]?.replaceAll('&#38;', '&');
    const token = /name="token" value="([^"]+)"/.exec(text)?.[1];
    if (onwards?.startsWith(REDIRECT)) {
      assert.ok(asked, 'without consent');
      return new URL(onwards).searchParams.get('code') ?? assert.fail(onwards);
    }
    if (onwards !== undefined) url = new URL(onwards, url);
    else if (token === undefined)
      form = new URLSearchParams(
        text.includes('name="password"') ? { username: user, password: user } : { answer: 'allow' },
      );
    else {
      assert.match(text, /<h1>Give access to example\?<\/h1>[\s\S]*Careful/);
      asked = true;
      form = new URLSearchParams({ token, decision: 'allow' });
    }
  }
  return assert.fail(`no way back to the client, stuck at ${url.pathname}`);
}

/** A client that knows nothing but the server's address. */
async function connect(server: string, user: string, consent = signInAndConsent): Promise<Client> {
  let registered: OAuthClientInformationMixed | undefined;
  let tokens: OAuthTokens | undefined;
  let verifier = '';
  let authorization: URL | undefined;
  const provider: OAuthClientProvider = {
    redirectUrl: REDIRECT,
    clientMetadata: { client_name: 'Test', redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' },
    clientInformation: () => registered,
    saveClientInformation: (information) => {
      registered = information;
    },
    tokens: () => tokens,
    saveTokens: (given) => {
      tokens = given;
    },
    redirectToAuthorization: (url) => {
      authorization = url;
    },
    saveCodeVerifier: (given) => {
      verifier = given;
    },
    codeVerifier: () => verifier,
  };
  const transport = () => new StreamableHTTPClientTransport(new URL(server), { authProvider: provider });
  const first = transport();
  await assert.rejects(new Client({ name: 'test', version: '1' }).connect(first as Transport), UnauthorizedError);
  assert.equal(authorization?.searchParams.get('code_challenge_method'), 'S256');
  await first.finishAuth(await consent(authorization as URL, user));
  const client = new Client({ name: 'test', version: '1' });
  await client.connect(transport() as Transport);
  return client;
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ')[1] === String(pid);
      } catch {
        return false; // It ended while we looked.
      }
    })
    .map(Number);
}

/** Those still alive after a while: a process that was told to end may take a moment, an orphan stays. */
async function survivors(pids: readonly number[]): Promise<number[]> {
  let left = pids.filter(isAlive);
  for (let turns = 0; left.length > 0 && turns < 100; turns++) {
    await sleep(50);
    left = left.filter(isAlive);
  }
  return left;
}

describe('postern up', function () {
  this.timeout(60_000);
  let running: RunningPostern;
  let server: string;
  let printed: string[];

  const start = async () => {
    running = startPostern(['up', '--port-base', '0']);
    const [, url] = await running.until(/^ready (http:\/\/127\.0\.0\.1:\d+)\n[\s\S]*Ctrl-C/m);
    server = `${url}/servers/example/mcp`;
    printed = running.stdout().split(/^\d\. .*$/m);
  };
  const shell = async (script: string) =>
    (await promisify(execFile)('sh', ['-c', script], { env: cleanEnvironment() })).stdout;

  describe('as it is started', () => {
    before(start);
    after(async () => {
      if (running.child.exitCode === null) running.child.kill('SIGKILL');
      await running.ended;
    });

    it('is refused by the first printed command, which is told where to sign in', async () => {
      const answer = await shell(printed[1] as string);
      assert.match(answer, /^HTTP\/1\.1 401 /);
      assert.match(answer, /^WWW-Authenticate: Bearer resource_metadata="http:/im);
    });

    it('answers the second one with a result of the example server', async () => {
      const answer = await shell(printed[2] as string);
      assert.match(answer, /^HTTP\/1\.1 200 /);
      assert.match(answer, /"serverInfo":\{"name":"postern-example"/);
    });

    it('refuses carol, who is not in engineering', async () => {
      const answer = await shell((printed[2] as string).replaceAll('alice', 'carol'));
      assert.match(answer, /^HTTP\/1\.1 403 /);
    });

    it('lets an MCP client register, sign in, consent and use tools', async () => {
      const client = await connect(server, 'bob');
      const { tools } = await client.listTools();
      assert.deepEqual(tools.map((tool) => tool.name).toSorted(), ['add', 'countdown', 'echo']);
      const steps: number[] = [];
      await client.callTool({ name: 'countdown', arguments: { from: 3, interval: 0 } }, undefined, {
        onprogress: ({ progress }) => void steps.push(progress),
      });
      assert.deepEqual(steps, [1, 2, 3]);
      await client.close();
    });

    it('offers both servers as one, at the fourth printed address', async () => {
      const [all] = /http:\/\/\S+/.exec(printed[4] as string) ?? assert.fail();
      const client = await connect(all, 'alice');
      const { tools } = await client.listTools();
      const names = tools.map((tool) => tool.name);
      assert.deepEqual(names, ['example__echo', 'example__add', 'example__countdown', 'clock__now', 'clock__add']);
      const textOf = async (name: string, args: object) =>
        (await client.callTool({ name, arguments: { ...args } })).content as object[];
      assert.deepEqual(await textOf('example__add', { a: 2, b: 3 }), [{ type: 'text', text: '5' }]);
      const later = await textOf('clock__add', { date: '2026-02-27', days: 2 });
      assert.deepEqual(later, [{ type: 'text', text: '2026-03-01' }]);
      await client.close();
      for (const path of ['/sse', '/messages', '/ws']) {
        const { status, headers } = await fetch(new URL(path, all));
        assert.equal(status, 401, path);
        // Messages are posted by those who came in at /sse.
        const way = path === '/messages' ? '/sse' : path;
        assert.ok(headers.get('www-authenticate')?.includes(`/.well-known/oauth-protected-resource${way}"`), path);
      }
    });

    it('lets a person sign in at the fifth printed address, see the home page, use the example and sign out', async () => {
      const [page] = /http:\/\/\S+/.exec(printed[5] as string) ?? assert.fail();
      const person = new HttpPerson();
      const asked = await person.visit(page);
      const consent = await person.submit(asked, { username: 'alice', password: 'alice' });
      const sessions = await person.submit(consent, { answer: 'allow' });
      assert.equal(sessions.url.href, page);
      assert.match(sessions.text, /Signed in as Alice Archer/);
      const { hostname } = sessions.url;
      const body = { jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE };
      const used = await fetch(server, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { Cookie: person.cookie(hostname), 'Content-Type': 'application/json', Accept: MCP_ACCEPT },
      });
      assert.equal(used.status, 200, await used.text());
      const before = person.cookie(hostname);
      const end = await person.submit(await person.visit(new URL('/_postern/sign-out', page)));
      assert.match(end.url.pathname, /session\/end|signed-out/);
      const after = await fetch(new URL('/_postern/me', page), { headers: { Cookie: before } });
      assert.equal(after.status, 401, 'the old cookie is worth nothing');
    });

    it('takes the older transports as well: HTTP+SSE and WebSocket', async () => {
      const [getToken] = /^TOKEN=.*$/m.exec(printed[2] as string) ?? assert.fail();
      const token = (await shell(`${getToken}; printf %s "$TOKEN"`)).trim();
      const headers = { Authorization: `Bearer ${token}` };
      globalThis.WebSocket = class extends WebSocket {
        constructor(url: string | URL, protocols?: string | string[]) {
          super(url, protocols, { headers });
        }
      } as unknown as typeof globalThis.WebSocket;
      const address = (transport: string) => new URL(server.replace(/mcp$/, transport));
      for (const transport of [
        new SSEClientTransport(address('sse'), { requestInit: { headers } }),
        new WebSocketClientTransport(new URL(address('ws').href.replace('http', 'ws'))),
      ]) {
        const client = new Client({ name: 'test', version: '1' });
        await client.connect(transport as Transport);
        assert.equal((await client.listTools()).tools.length, 3);
        await client.close();
      }
    });

    it('prints one line for each decision: who, what, verdict and why', async () => {
      await fetch(`${server}?decided`);
      await running.until(/^\d\d:\d\d:\d\d \w+ +anonymous {2}.*\/servers\/example\/mcp.*\(.+\)$/m);
      await running.until(/^\d\d:\d\d:\d\d allow +alice {2}/m);
      assert.doesNotMatch(running.stdout(), /eyJ/);
      assert.doesNotMatch(running.stderr(), /"event"/);
    });

    it('opens the admin pages, at the printed address, to alice and not to bob', async () => {
      const [page] = /http:\/\/\S+\/admin$/m.exec(running.stdout()) ?? assert.fail(running.stdout());
      const visit = async (name: string) => {
        const person = new HttpPerson();
        const consent = await person.submit(await person.visit(page), { username: name, password: name });
        return person.submit(consent, { answer: 'allow' });
      };
      const seen = await visit('alice');
      assert.equal(seen.url.href, page);
      assert.match(seen.text, /<a href="\/admin\/servers\/example">/);
      assert.doesNotMatch((await visit('bob')).text, /activity/i);
    });

    it('complains of nothing, also not of the configuration that it took away again', () => {
      assert.doesNotMatch(running.stderr(), /"level":"(?:error|warn)"/);
    });

    it('shows no notice of oidc-provider and no token', () => {
      assert.doesNotMatch(running.stderr(), /oidc-provider|eyJ/);
    });
  });

  it('is the authorization server, with a consent page of its own, where the configuration turns that on', async () => {
    const file = join(await mkdtemp(join(tmpdir(), 'postern-')), 'postern.yaml');
    await writeFile(file, 'auth:\n  broker:\n');
    running = startPostern(['up', '--port-base', '0', '--config', file]);
    try {
      const [, url] = await running.until(/^ready (http:\/\/127\.0\.0\.1:\d+)\n[\s\S]*Ctrl-C/m);
      const client = await connect(`${url}/servers/example/mcp`, 'alice', consentAtPostern);
      assert.equal((await client.listTools()).tools.length, 3);
      await client.close();
    } finally {
      running.child.kill('SIGTERM');
    }
    assert.equal(await running.ended, 0);
    assert.doesNotMatch(running.stderr(), /broker/);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`ends with 0 and leaves no process at ${signal}`, async () => {
      await start();
      const children = childrenOf(running.pid);
      assert.ok(children.length >= 2);
      running.child.kill(signal);
      assert.equal(await running.ended, 0);
      assert.deepEqual(await survivors(children), []);
    });

  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    it(`ends without a line that reads like a fault at ${signal} before it is ready`, async () => {
      running = startPostern(['up', '--port-base', '0']);
      await running.until(/^starting /m);
      for (let turn = 0; turn < 200 && childrenOf(running.pid).length === 0; turn++) await sleep(20);
      const children = childrenOf(running.pid);
      // A terminal signals all of them.
      for (const pid of [running.pid, ...children]) process.kill(pid, signal);
      assert.equal(await running.ended, 0);
      assert.doesNotMatch(running.stdout(), /^ready/m);
      assert.equal(running.stderr(), '');
      assert.deepEqual(await survivors(children), []);
    });

  it('names the process that died, ends the rest and exits with 1', async () => {
    await start();
    const children = childrenOf(running.pid);
    const relay = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('\0relay\0')) as number;
    process.kill(relay, 'SIGKILL');
    assert.equal(await running.ended, 1);
    assert.match(running.stderr(), /postern: relay ended unexpectedly \(signal SIGKILL\)/);
    assert.deepEqual(await survivors(children), []);
  });
});
