import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';
import type { Child } from './child.ts';
import { copyDeployment, startProxy } from './deployment.ts';
import { freePorts } from './free-port.ts';
import { startNumberedEvents } from './numbered-events.ts';
import { startOpenIdProvider } from './openid-provider.ts';
import { startPostern } from './postern-process.ts';
import { type Program, resolveProgram } from './programs.ts';
import { startRedis } from './redis-server.ts';

const run = promisify(execFile);
const SECRET = 'the secret that proxy and relay share';
/** Two machines, as far as programs can tell: the same ports at two addresses. */
const HOSTS = ['127.0.0.1', '127.0.0.2'] as const;
/** Of the processes: the time for which one that stops takes requests, and the rest. */
const DRAIN = { POSTERN_DRAIN_DELAY: '2s', POSTERN_DRAIN_TIMEOUT: '10s' };

/** Proxies whose folder of `deploy/` says how it looks with two of each process. */
export const REPLICATED = ['traefik', 'nginx', 'envoy'] as const;
export type ReplicatedProxy = (typeof REPLICATED)[number];

/** One process that can be ended and started again at its address. */
export interface Restartable {
  readonly name: string;
  readonly child: Child;
  start(): Promise<void>;
}

export interface ReplicatedChain {
  readonly endpoint: string;
  readonly token: string;
  /** By host: both processes there. */
  readonly hosts: ReadonlyArray<readonly Restartable[]>;
  output(): Promise<string>;
  stop(): Promise<void>;
}

/**
 * Client → proxy → two relays → MCP server, with two forward-auths and one Redis: the files of `deploy/<proxy>` with its
 * `replicas.patch`, on other ports.
 *
 * @throws Error where a program is missing
 */
export async function startReplicatedChain(name: ReplicatedProxy): Promise<ReplicatedChain> {
  const [program, redisProgram] = [await programOf(name), await programOf('redis')];
  const stops: Array<() => Promise<unknown>> = [];
  const stop = async () => {
    for (const one of stops.reverse()) await one();
  };
  try {
    const provider = await startOpenIdProvider();
    stops.push(() => provider.stop());
    const redis = await startRedis(redisProgram);
    stops.push(() => redis.stop());
    const upstream = await startNumberedEvents();
    stops.push(() => upstream.stop());
    const ports = await freePorts(6);
    const [edge, auth, authInternal, relay, relayInternal, check] = ports as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const secretEnv = { POSTERN_RELAY_TRUST_SECRET: SECRET };
    const twice = (from: number, to: number) =>
      Object.fromEntries(HOSTS.map((host) => [`${host}:${from}`, `${host}:${to}`]));
    const { folder, remove } = await copyDeployment(
      name,
      {
        '127.0.0.1:8080': `127.0.0.1:${edge}`,
        ...twice(4180, auth),
        ...twice(4444, relay),
        ...(name === 'envoy' ? twice(9464, authInternal) : { '127.0.0.1:9464': `127.0.0.1:${authInternal}` }),
        ...(name === 'envoy' ? twice(9465, relayInternal) : { '127.0.0.1:9465': `127.0.0.1:${relayInternal}` }),
        ...(name === 'traefik' ? { '127.0.0.1:4182': `127.0.0.1:${check}` } : {}),
        '127.0.0.1:4192': new URL(provider.issuer).host,
      },
      secretEnv,
      (copy) => run('patch', ['--batch', '--strip=1', '--input=replicas.patch'], { cwd: copy }),
    );
    stops.push(remove);
    const started: Child[] = [];
    stops.push(() => Promise.all(started.map((child) => child.stop())));
    const publicUrl = `http://127.0.0.1:${edge}`;
    const env = {
      ...secretEnv,
      ...DRAIN,
      POSTERN_LOG_LEVEL: 'warn',
      POSTERN_REDIS_URL: redis.url,
      POSTERN_AUTH_ASSERTION_KEYS: JSON.stringify({ keys: [await assertionKey()] }),
      POSTERN_RELAY_SESSION_KEY: randomBytes(32).toString('base64url'),
      POSTERN_RELAY_TRUST_ASSERTION_JWKS_URL: `${publicUrl}/_postern/jwks.json`,
      POSTERN_RELAY_SERVERS: JSON.stringify({ everything: { url: upstream.url } }),
    };
    const processOf = async (command: 'auth' | 'relay', host: string): Promise<Restartable> => {
      const [port, internal] = command === 'auth' ? [auth, authInternal] : [relay, relayInternal];
      const own = {
        ...env,
        [`POSTERN_${command.toUpperCase()}_LISTEN`]: `${host}:${port}`,
        [`POSTERN_${command.toUpperCase()}_INTERNAL_LISTEN`]: `${host}:${internal}`,
      };
      const start = async () => {
        const child = await startPostern(command, join(folder, 'postern.yaml'), internal, own, host);
        started.push(child);
        return child;
      };
      let child = await start();
      return {
        name: `${command} at ${host}`,
        get child() {
          return child;
        },
        start: async () => {
          child = await start();
        },
      };
    };
    const auths = await Promise.all(HOSTS.map((host) => processOf('auth', host)));
    // The relays read the keys through the proxy.
    const proxy = await startProxy(name, program, folder, edge, secretEnv);
    stops.push(() => proxy.stop());
    const relays = await Promise.all(HOSTS.map((host) => processOf('relay', host)));
    return {
      endpoint: `${publicUrl}/servers/everything/mcp`,
      token: await provider.mint({ sub: 'alice', aud: `${publicUrl}/servers/everything/mcp`, exp: inAnHour() }),
      hosts: HOSTS.map((_host, at) => [auths[at], relays[at]] as [Restartable, Restartable]),
      output: async () => started.map(({ output }) => output).join('\n') + (await proxy.output()),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function programOf(name: ReplicatedProxy | 'redis'): Promise<Program> {
  const found = await resolveProgram(name);
  if (!('program' in found)) throw new Error(found.missing);
  return found.program;
}

async function assertionKey(): Promise<object> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: 'ES256', use: 'sig' };
}

const inAnHour = () => Math.floor(Date.now() / 1000) + 3_600;
