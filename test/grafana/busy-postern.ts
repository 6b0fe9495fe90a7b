import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { TestAuthority } from '../support/certificates.ts';
import { freePorts } from '../support/free-port.ts';
import { HttpPerson } from '../support/http-person.ts';
import { rawRequest } from '../support/raw-request.ts';
import { startPostern } from '../support/run-postern.ts';

const INITIALIZE = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'load', version: '1' } };
const MCP = { 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream' };
/** Milliseconds between two rounds of load. */
const PAUSE = 150;

export interface BusyPostern {
  /** Addresses that Prometheus asks, by job. */
  readonly targets: Readonly<Record<string, readonly string[]>>;
  /** Once round after the other until told to end: all that an operator may see on a busy and troubled day. */
  load(end: AbortSignal): Promise<void>;
  stop(): Promise<void>;
}

/**
 * `postern up` with Redis, limits and a second MCP server that is dead, and one more forward-auth that serves TLS.
 *
 * @param collector where its traces go
 */
export async function startBusyPostern(redisUrl: string, collector: string): Promise<BusyPostern> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-busy-'));
  const authority = new TestAuthority();
  const base = await freeBase();
  const [dead, tls, tlsInternal] = (await freePorts(3)) as [number, number, number];
  const edge = `http://127.0.0.1:${base}`;
  const issuer = `http://127.0.0.1:${base + 4}`;
  const engineering = { groups: ['engineering'] };
  const config = join(folder, 'postern.yaml');
  // JSON is YAML.
  await writeFile(
    config,
    JSON.stringify({
      redis: { url: redisUrl },
      tracing: { endpoint: collector },
      auth: {
        rules: [
          { match: { path: '/servers/dead/**' }, allow: engineering },
          { match: { path: '/servers/example/**' }, allow: engineering, scopes: { default: ['mcp:use'] } },
        ],
        rateLimits: [{ by: 'address', limit: 30, per: '2s', path: '/servers/dead/**' }],
      },
      relay: {
        servers: {
          example: { url: `http://127.0.0.1:${base + 5}/mcp` },
          dead: { url: `http://127.0.0.1:${dead}/mcp`, timeout: '1s' },
        },
      },
    }),
  );
  const up = startPostern(['up', '--port-base', String(base), '--config', config]);
  const certificate = authority.issue('auth', 'DNS:localhost');
  const second = startPostern(['auth'], {
    POSTERN_AUTH_LISTEN: `127.0.0.1:${tls}`,
    POSTERN_AUTH_INTERNAL_LISTEN: `127.0.0.1:${tlsInternal}`,
    POSTERN_AUTH_TLS_CERT_PATH: certificate.certPath,
    POSTERN_AUTH_TLS_KEY_PATH: certificate.keyPath,
  });
  const stop = async () => {
    for (const running of [up, second]) {
      if (running.child.exitCode === null) running.child.kill('SIGTERM');
      await running.ended;
    }
    authority.remove();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await up.until(/^ready /m);
  } catch (error) {
    await stop();
    throw error;
  }

  const address = (server: string) => `${edge}/servers/${server}/mcp`;
  const post = (server: string, headers: Record<string, string>) =>
    fetch(address(server), {
      method: 'POST',
      headers: { ...MCP, ...headers },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: INITIALIZE }),
    }).then((answer) => answer.body?.cancel());

  async function token(user: string, server: string): Promise<string> {
    const form = { grant_type: 'password', client_id: 'demo', username: user, password: user };
    const body = new URLSearchParams({ ...form, scope: 'openid mcp:use', resource: address(server) });
    const answer = await fetch(`${issuer}/token`, { method: 'POST', body });
    return `Bearer ${((await answer.json()) as { access_token: string }).access_token}`;
  }

  async function signIn(user: string): Promise<void> {
    const person = new HttpPerson();
    const page = await person.visit(`${edge}/_postern/sessions`);
    const consent = await person.submit(page, { username: user, password: user });
    await person.submit(consent, { answer: 'allow' });
    await person.submit(await person.visit(`${edge}/_postern/sign-out`));
    // One who comes back with a state of somebody else.
    await new HttpPerson().visit(`${edge}/_postern/callback?code=invented&state=invented`);
  }

  async function load(end: AbortSignal): Promise<void> {
    const alice = await token('alice', 'example');
    const carol = await token('carol', 'example');
    const deadToken = await token('alice', 'dead');
    const client = new Client({ name: 'load', version: '1' });
    const requestInit = { headers: { Authorization: alice } };
    await client.connect(new StreamableHTTPClientTransport(new URL(address('example')), { requestInit }) as Transport);
    for (let round = 0; !end.aborted; round++) {
      await Promise.all([
        ...Array.from({ length: 4 }, () => client.callTool({ name: 'add', arguments: { a: 1, b: round } })),
        post('example', {}),
        post('example', { Authorization: carol }),
        post('example', { Authorization: 'Bearer eyJhbGciOiJub25lIn0.e30.' }),
        ...Array.from({ length: 12 }, () => post('dead', { Authorization: deadToken })),
        // Straight to the relay, past the proxy, as somebody else.
        rawRequest(base + 3, '/servers/example/mcp', { headers: ['X-Authenticated-User', 'alice'] }),
        ...(round % 10 === 0 ? [signIn('bob')] : []),
      ]);
      await sleep(PAUSE, undefined, { signal: end }).catch(() => {});
    }
    await client.close();
  }

  const targets = {
    'postern-forward-auth': [`127.0.0.1:${base + 6}`, `127.0.0.1:${tlsInternal}`],
    'postern-relay': [`127.0.0.1:${base + 7}`],
  };
  return { targets, load, stop };
}

/** The first of ports in a row that were free a moment ago, for `--port-base`. */
async function freeBase(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const [base = 0] = await freePorts(1);
    const row = Array.from({ length: 8 }, (_, offset) => base + offset);
    if (base < 65_000 && (await Promise.all(row.map(isFree))).every((free) => free)) return base;
  }
  throw new Error('no free ports in a row');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
