import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportJWK, generateKeyPair } from 'jose';
import { stringify } from 'yaml';
import { importSigningKey, type SigningKey, signAssertion } from '../src/identity/assertion.ts';
import { toHeaders } from '../src/identity/headers.ts';
import type { Identity } from '../src/identity/identity.ts';
import { freePorts } from '../test/support/free-port.ts';
import { resolveProgram } from '../test/support/programs.ts';
import { assertAllowed, question, writeQuestion } from './grpc-load.ts';
import { type EnvoyCheck, startEnvoy, startNginx } from './proxies.ts';
import { type BenchSessions, startSessions } from './sessions.ts';
import { LOAD_CORE, SERVER_CORE, startTarget, type Target } from './target.ts';
import { createTokenStock } from './tokens.ts';

export const POSTERN = fileURLToPath(new URL('../bin/postern.js', import.meta.url));
const PUBLIC_URL = 'https://mcp.example.com';
const RESOURCE = `${PUBLIC_URL}/servers/bench/mcp`;
/** More than one run of jose can verify, so that none comes twice while it is in the cache. */
const NEW_TOKENS = 20_000;

export type Bench = Awaited<ReturnType<typeof createBench>>;

/** Everything that outlives one run: keys, tokens, ports, the MCP server and the configuration files. */
export async function createBench() {
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-'));
  const ports = await freePorts(8);
  const [bare, koa, jose, auth, authInternal, relay, relayInternal, upstream] = ports as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [caddy, keysPort, grpc, grpcPeer, proxy, same] = (await freePorts(6)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const issuer = `http://127.0.0.1:${keysPort}`;
  const stock = await createTokenStock(issuer);
  const [cached] = (await stock.mint(1, RESOURCE)) as [string];
  let fresh: string[] | undefined;
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const signingKey = await importSigningKey(await exportJWK(privateKey));
  const publicKeys = join(folder, 'jwks.json');
  await writeFile(publicKeys, JSON.stringify({ keys: [signingKey.publicJwk] }));

  const keys = createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(stock.jwks));
  }).listen(keysPort, '127.0.0.1');
  const upstreamTarget = await startTarget(LOAD_CORE, process.execPath, tsx('upstream'), url(upstream), {
    PORT: String(upstream),
  });

  async function authConfig(tokenCache: object, more: { redis?: object; sessions?: object } = {}): Promise<string> {
    const file = join(folder, `auth-${JSON.stringify([tokenCache, more]).length}.yaml`);
    await writeFile(
      file,
      stringify({
        publicUrl: PUBLIC_URL,
        log: { level: 'warn' },
        ...(more.redis === undefined ? {} : { redis: more.redis }),
        auth: {
          listen: `127.0.0.1:${auth}`,
          internalListen: `127.0.0.1:${authInternal}`,
          grpc: `127.0.0.1:${grpc}`,
          providers: [{ id: 'bench', issuer, jwksUri: `${issuer}/jwks`, clientId: 'bench' }],
          sessions: more.sessions ?? {},
          tokenCache,
          assertion: { lifetime: '10m' },
          rules: [
            { match: { path: '/docs/**' }, public: true },
            { match: { path: '/servers/other/**' }, allow: { groups: ['sales'] } },
            {
              match: { path: '/servers/bench/**', host: 'mcp.example.com' },
              allow: { groups: ['engineering'] },
              scopes: { default: ['mcp:use'] },
            },
          ],
        },
        relay: {
          listen: `127.0.0.1:${relay}`,
          internalListen: `127.0.0.1:${relayInternal}`,
          trust: {
            proxies: ['127.0.0.1/32'],
            secret: 'a shared secret of the benchmark',
            assertion: { jwksPath: publicKeys },
          },
          servers: { bench: { url: `${url(upstream)}mcp` } },
        },
      }),
    );
    return file;
  }

  const startAuth = async (tokenCache: object = {}, nodeOptions: readonly string[] = []) =>
    startTarget(
      SERVER_CORE,
      process.execPath,
      [...nodeOptions, POSTERN, 'auth', '--config', await authConfig(tokenCache)],
      `http://127.0.0.1:${authInternal}/readyz`,
    );

  let sessions: BenchSessions | undefined;
  const signedIn = async (count = 1, real = false) => {
    sessions ??= await startSessions(issuer, count, real);
    return sessions;
  };
  const asked = question(`Bearer ${cached}`);
  const questionFile = join(folder, 'question');
  await writeQuestion(questionFile, asked);

  return {
    ports: { bare, koa, jose, auth, relay, upstream, caddy, grpc, grpcPeer, proxy, same },
    cookie: async () => (await signedIn()).cookies[0] as string,
    /** Of as many people with real tokens. */
    cookies: async (count: number) => (await signedIn(count, true)).cookies,
    realTokens: async (count: number) => (await stock.mintReal(count, RESOURCE)).map((token) => `Bearer ${token}`),
    check: { host: '127.0.0.1', port: auth, path: '/verify/traefik', headers: CHECK_HEADERS },
    residentBytes: async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${authInternal}/metrics`)).text();
      return Number(/^process_resident_memory_bytes (\S+)/m.exec(metrics)?.[1]);
    },
    /** @param cache settings of the sessions' cache */
    startSessionAuth: async (cache: object, nodeOptions: readonly string[] = []) => {
      const { redis, keys } = (await signedIn()).settings;
      const config = await authConfig({}, { redis, sessions: { keys, cache } });
      const args = [...nodeOptions, POSTERN, 'auth', '--config', config];
      return startTarget(SERVER_CORE, process.execPath, args, `http://127.0.0.1:${authInternal}/readyz`);
    },
    startGrpcPeer: () =>
      startTarget(
        SERVER_CORE,
        process.execPath,
        tsx('grpc'),
        { host: '127.0.0.1', port: grpcPeer },
        { PORT: String(grpcPeer) },
      ),
    grpc: async (port: number) => {
      await assertAllowed(port, asked);
      return { port, file: questionFile };
    },
    cached: `Bearer ${cached}`,
    fresh: async () => {
      fresh ??= (await stock.mint(NEW_TOKENS, RESOURCE)).map((token) => `Bearer ${token}`);
      return fresh;
    },
    startPeer: (name: 'bare' | 'koa' | 'jose', port: number) =>
      startTarget(SERVER_CORE, process.execPath, tsx(name), url(port), {
        PORT: String(port),
        JWKS: JSON.stringify(stock.jwks),
      }),
    startAuth,
    /** A server that writes what an allow of forward-auth writes, as that was seen to be answered. */
    startSameBytes: async () => {
      const real = await startAuth();
      const HEADERS = await allowedHeaders(auth, `Bearer ${cached}`).finally(real.stop);
      return startTarget(SERVER_CORE, process.execPath, tsx('same-bytes'), url(same), { PORT: String(same), HEADERS });
    },
    startNginx: () => startNginx(folder, proxy),
    /** Envoy with its check, and forward-auth beside it on the same core where it asks there. */
    startEnvoy: async (kind: EnvoyCheck['kind']): Promise<Target> => {
      if (kind === 'none') return startEnvoy(folder, proxy, { kind });
      if (kind === 'jwt') return startEnvoy(folder, proxy, { kind, issuer, audience: RESOURCE, jwks: stock.jwks });
      const asked = await startAuth();
      const envoy = await startEnvoy(folder, proxy, { kind, port: kind === 'http' ? auth : grpc });
      const both = [envoy, asked];
      return {
        cpuMicros: () => both.reduce((sum, target) => sum + (target.cpuMicros?.() ?? Number.NaN), 0),
        toggleProfile: () => asked.toggleProfile?.(),
        stop: async () => void (await Promise.all(both.map((target) => target.stop()))),
      };
    },
    startRelay: async (): Promise<Target & { identity: Record<string, string> }> => {
      const config = await authConfig({});
      const target = await startTarget(
        SERVER_CORE,
        process.execPath,
        [POSTERN, 'relay', '--config', config],
        `http://127.0.0.1:${relayInternal}/readyz`,
      );
      return { ...target, identity: identityHeaders(signingKey) };
    },
    startCaddy: async () => {
      const caddyProgram = await resolveProgram('caddy');
      if (!('program' in caddyProgram)) throw new Error(caddyProgram.missing);
      if (caddyProgram.program.kind !== 'binary') throw new Error('Caddy in a container cannot be pinned to a core');
      const file = join(folder, 'Caddyfile');
      await writeFile(
        file,
        `{\n\tadmin off\n\tauto_https off\n}\n:${caddy} {\n\tbind 127.0.0.1\n\treverse_proxy 127.0.0.1:${upstream}\n}\n`,
      );
      return startTarget(
        SERVER_CORE,
        caddyProgram.program.path,
        ['run', '--adapter', 'caddyfile', '--config', file],
        url(caddy),
        { GOMAXPROCS: '1', XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
      );
    },
    stop: async () => {
      keys.close();
      keys.closeAllConnections();
      await sessions?.target.stop();
      await upstreamTarget.stop();
      await rm(folder, { recursive: true });
    },
  };
}

/** Names and values of an allow, one after the other, without those that Node adds by itself. */
async function allowedHeaders(port: number, authorization: string): Promise<string> {
  const headers = { ...CHECK_HEADERS, Authorization: authorization };
  const asked = request({ host: '127.0.0.1', port, path: '/verify/traefik', headers }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  if (answer.statusCode !== 200) throw new Error(`answered ${answer.statusCode}`);
  const own = new Set(['date', 'connection', 'keep-alive', 'transfer-encoding']);
  const raw = answer.rawHeaders;
  const pairs = raw.flatMap((name, at) => (at % 2 === 0 && !own.has(name.toLowerCase()) ? [name, raw[at + 1]] : []));
  return JSON.stringify(pairs);
}

/** The identity headers of an allow, as the proxy would pass them to the relay. */
function identityHeaders(key: SigningKey): Record<string, string> {
  const identity: Identity = {
    subject: 'alice',
    email: 'alice@example.com',
    name: 'Alice Example',
    groups: ['engineering', 'platform'],
    scopes: ['mcp:use'],
    method: 'bearer',
    issuer: 'https://idp.example.com',
  };
  const assertion = signAssertion(
    key,
    identity,
    { method: 'POST', host: 'mcp.example.com', path: '/servers/bench/mcp' },
    { issuer: PUBLIC_URL, audience: 'postern-relay', issuedAt: Math.floor(Date.now() / 1000), lifetime: 600 },
  );
  return Object.fromEntries(toHeaders(identity, assertion));
}

/** What Traefik sends for a `tools/call`. */
export const CHECK_HEADERS: Readonly<Record<string, string>> = {
  'X-Forwarded-Method': 'POST',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'mcp.example.com',
  'X-Forwarded-Uri': '/servers/bench/mcp',
  'X-Forwarded-For': '203.0.113.7',
  'X-Forwarded-Port': '443',
  Accept: 'application/json, text/event-stream',
  'User-Agent': 'bench',
};

function tsx(peer: string): string[] {
  return ['--import', 'tsx', fileURLToPath(new URL(`./peers/${peer}.ts`, import.meta.url))];
}

function url(port: number): string {
  return `http://127.0.0.1:${port}/`;
}
