import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocalJWKSet } from 'jose';
import { TestAuthority } from '../../support/certificates.ts';
import type { Child } from '../../support/child.ts';
import { copyDeployment, type Deployment, startProxy } from '../../support/deployment.ts';
import { startEchoUpstream } from '../../support/echo-upstream.ts';
import { freePorts } from '../../support/free-port.ts';
import { startOpenIdProvider } from '../../support/openid-provider.ts';
import { startPostern } from '../../support/postern-process.ts';
import type { Program } from '../../support/programs.ts';
import { type Asked, startCheckTap } from './check-tap.ts';
import { startGrpcCheckTap } from './grpc-check-tap.ts';
import { type Expected, OPEN_HOST } from './oracle.ts';
import { EDGE_FILES, tlsEdits } from './tls-edge.ts';
import { startUpstreamTap } from './upstream-tap.ts';
import { exchange, type Front, written } from './wire.ts';
import { type Seen, startWitness } from './witness.ts';

export const SECRET = 'the secret that proxy and relay share';
export const ECHO = '/servers/echo/mcp';
/** Nothing listens there; every request names this host, because a token counts at its own host only. */
export const PUBLIC_URL = 'http://127.0.0.1';

/** A line of a deployment, and what stands in its place. */
export interface Edit {
  readonly file: string;
  readonly from: string | RegExp;
  readonly to: string;
}

/** What the attacks are about. */
const ATTACKED_RULES: readonly object[] = [
  { match: { host: OPEN_HOST, path: '/admin/**' }, public: true },
  { match: { path: '/servers/**' }, allow: { groups: ['engineering'] } },
  { match: { path: '/public/**' }, public: true },
  { match: { path: '/app/**' }, allow: { groups: ['engineering'] } },
  { match: { path: '/admin/**' }, allow: { groups: ['admins'] } },
  { match: { path: '/packages/admin/**' }, allow: { groups: ['admins'] } },
  { match: { path: '/packages/**' }, allow: { groups: ['engineering'] }, encodedDelimiters: true },
];
export const ATTACKED_ENV = { POSTERN_LOG_LEVEL: 'debug', POSTERN_AUTH_RULES: JSON.stringify(ATTACKED_RULES) };

export interface OpenFront extends Front {
  stop(): Promise<void>;
}

/** What the attacks of all classes need: a chain, what it saw on its way, and the attacker's only credentials. */
export interface Stage {
  readonly expected: Expected;
  readonly token: string;
  /** The same person's for the MCP server. */
  readonly echoToken: string;
  /** The MCP server behind the relay. */
  readonly echo: { readonly seen: ReadonlyArray<Omit<Seen, 'rawTrailers'>> };
  /** Requests at the application, and at the relay, that passed the proxy. */
  readonly witness: { readonly seen: readonly Seen[] };
  readonly relayTap: { readonly seen: readonly Seen[] };
  /** What forward-auth allowed, by HTTP and by gRPC. */
  readonly asked: ReadonlyArray<readonly Asked[]>;
  readonly running: { readonly auth: Child; readonly relay: Child };
}

export type Gauntlet = Awaited<ReturnType<typeof startGauntlet>>;

/** One forward-auth and one relay for all proxies, which are opened one by one by the files of `deploy/`. */
export async function startGauntlet(rules = ATTACKED_RULES, more: Readonly<Record<string, string>> = {}) {
  const ends: Array<() => Promise<unknown>> = [];
  const stop = async () => {
    while (ends.length > 0) await ends.pop()?.();
  };
  try {
    const provider = await startOpenIdProvider();
    ends.push(() => provider.stop());
    const echo = await startEchoUpstream();
    ends.push(() => echo.stop());
    const witness = await startWitness();
    ends.push(() => witness.stop());
    const [auth, grpc, authInternal, relay, relayInternal] = (await freePorts(5)) as [
      number,
      number,
      number,
      number,
      number,
    ];
    const addresses = {
      '127.0.0.1:4180': `127.0.0.1:${auth}`,
      '127.0.0.1:4181': `127.0.0.1:${grpc}`,
      '127.0.0.1:9464': `127.0.0.1:${authInternal}`,
      '127.0.0.1:4444': `127.0.0.1:${relay}`,
      '127.0.0.1:9465': `127.0.0.1:${relayInternal}`,
      '127.0.0.1:4192': new URL(provider.issuer).host,
    };
    const secretEnv = { POSTERN_RELAY_TRUST_SECRET: SECRET };
    const copy = await copyDeployment('envoy-grpc', addresses, secretEnv);
    ends.push(() => copy.remove());
    const env = {
      ...secretEnv,
      ...ATTACKED_ENV,
      POSTERN_AUTH_RULES: JSON.stringify(rules),
      ...more,
      POSTERN_PUBLIC_URL: PUBLIC_URL,
      POSTERN_RELAY_SERVERS: JSON.stringify({ echo: { url: `http://127.0.0.1:${echo.port}/mcp` } }),
    };
    const config = join(copy.folder, 'postern.yaml');
    const keep = (child: Child) => {
      ends.push(() => child.stop());
      return child;
    };
    const running = {
      auth: keep(await startPostern('auth', config, authInternal, env)),
      relay: keep(await startPostern('relay', config, relayInternal, env)),
    };
    const checkTap = await startCheckTap(auth);
    ends.push(() => checkTap.stop());
    const grpcTap = await startGrpcCheckTap(grpc);
    ends.push(() => grpcTap.stop());
    const relayTap = await startUpstreamTap(relay);
    ends.push(() => relayTap.stop());
    const authority = new TestAuthority();
    ends.push(async () => authority.remove());
    const edge = authority.issue('edge', 'IP:127.0.0.1');
    const certificate = await readFile(edge.certPath, 'utf8');
    const key = await readFile(edge.keyPath, 'utf8');
    const ca = await readFile(authority.caPath);
    const published = (await (await fetch(`http://127.0.0.1:${auth}/_postern/jwks.json`)).json()) as never;
    const token = await provider.token('alice', PUBLIC_URL);
    const echoToken = await provider.token('alice', `${PUBLIC_URL}${ECHO}`);
    const expected: Expected = {
      keys: createLocalJWKSet(published),
      issuer: PUBLIC_URL,
      secret: SECRET,
      tokens: new Set([token, echoToken]),
    };
    const stage: Stage = {
      ...{ echo, witness, relayTap, running, expected, token, echoToken },
      asked: [checkTap.asked, grpcTap.asked],
    };
    return {
      ...stage,
      provider,
      ports: { auth, relay, authInternal, relayInternal, grpc },
      /** A proxy by its files, with what stands behind it, and lines of its files changed. */
      async open(
        name: Deployment,
        program: Program,
        behind: 'witness' | 'relay',
        edits: readonly Edit[] = [],
        /** What is asked in the place of forward-auth. */
        asked: { auth?: number; grpc?: number } = {},
        /** HTTP/2 and HTTP/1.1 by TLS, in the place of what the files listen for. */
        tls = false,
      ): Promise<OpenFront> {
        const [port, check] = (await freePorts(2)) as [number, number];
        const to = behind === 'witness' ? witness.port : relayTap.port;
        const own = await copyDeployment(
          name,
          {
            '127.0.0.1:8080': `127.0.0.1:${port}`,
            '127.0.0.1:4180': `127.0.0.1:${asked.auth ?? checkTap.port}`,
            '127.0.0.1:4444': `127.0.0.1:${to}`,
            ...(name === 'envoy-grpc' ? { '127.0.0.1:4181': `127.0.0.1:${asked.grpc ?? grpcTap.port}` } : {}),
            // Where HAProxy asks itself.
            ...(name === 'haproxy' ? { '127.0.0.1:4182': `127.0.0.1:${check}` } : {}),
          },
          secretEnv,
        );
        const all = tls ? [...edits, ...tlsEdits(name)] : edits;
        const files = {
          [EDGE_FILES.certificate]: certificate,
          [EDGE_FILES.key]: key,
          [EDGE_FILES.both]: certificate + key,
        };
        for (const [file, text] of Object.entries(tls ? files : {})) await writeFile(join(own.folder, file), text);
        for (const { file, from, to: text } of all) await replace(join(own.folder, file), from, text);
        const front: Front = tls ? { port, ca } : { port };
        const ready = () => serves(front);
        const proxy = await startProxy(name, program, own.folder, port, secretEnv, ready).catch(
          async (error: unknown) => {
            await own.remove();
            throw error;
          },
        );
        const close = async () => {
          await proxy.stop();
          await own.remove();
        };
        ends.push(close);
        return {
          ...front,
          stop: async () => {
            ends.splice(ends.indexOf(close), 1);
            await close();
          },
        };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Traefik answers 404 until it has read its routers; forward-auth's, at a port that is not of publicUrl, is JSON. */
export async function serves(front: Front): Promise<boolean> {
  const { statuses, text } = await exchange(front, { bytes: written({ target: '/_postern/jwks.json' }) });
  return statuses[0] === 200 || /^content-type: *application\/json/im.test(text);
}

/** A line that is not there any more would make the test prove nothing. */
async function replace(file: string, from: string | RegExp, to: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const changed = text.replace(from, () => to);
  if (changed === text) throw new Error(`${file} does not hold ${from}`);
  await writeFile(file, changed);
}
