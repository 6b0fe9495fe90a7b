import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { AUDIENCE, type Gate, startGate } from '../../test/support/gate-replicas.ts';
import { type PausablePipe, startPipe } from '../../test/support/pausable-pipe.ts';
import { type Program, resolveProgram } from '../../test/support/programs.ts';
import {
  type RedisGroup,
  type RedisServer,
  type SentinelGroup,
  startCluster,
  startRedis,
  startSentinel,
} from '../../test/support/redis-server.ts';

/** Two forward-auths, an identity provider, and people. */
export interface People {
  readonly gate: Gate;
  /** `Cookie` headers of people who are signed in, and must stay so. */
  readonly alive: readonly string[];
  /** Of people who signed out, and must stay out. */
  readonly ended: readonly string[];
  /** A token that lasts; another one after the provider has new keys. */
  bearer: string;
  stop(): Promise<void>;
}

/** The same with a way to one Redis for each forward-auth. */
export interface System extends People {
  readonly redis: RedisServer;
  /** Connections to Redis, by replica. */
  readonly pipes: readonly PausablePipe[];
  /** One command to Redis itself. */
  tell(command: string, ...args: string[]): Promise<void>;
  /** Sets the clock of both forward-auths. @param offset milliseconds, before or after the real time */
  setClock(offset: number): Promise<void>;
}

const PEOPLE = 6;
const REPLICAS = 2;
const CLOCK = new URL('../../test/support/set-clock.mjs', import.meta.url).href;

/** @throws Error where there is no Redis */
export async function startSystem(): Promise<System> {
  const redis = await startRedis(await redisProgram());
  const pipes: PausablePipe[] = [];
  for (let index = 0; index < REPLICAS; index++) pipes.push(await startPipe(redis.port));
  const folder = await mkdtemp(join(tmpdir(), 'postern-chaos-'));
  const clockFile = join(folder, 'clock');
  const people = await startPeople({
    redis: (index) => ({ url: `redis://127.0.0.1:${pipes[index]?.port}` }),
    env: (index) => ({
      NODE_OPTIONS: `--import ${CLOCK}`,
      CLOCK_FILE: clockFile,
      POSTERN_AUDIT_FILE_PATH: join(folder, `{process}-${index}.log`),
    }),
    stopStore: async () => {
      for (const pipe of pipes) await pipe.stop();
      await redis.stop();
      await rm(folder, { recursive: true, force: true });
    },
  });
  return Object.assign(people, {
    redis,
    pipes,
    tell: async (command: string, ...args: string[]) => {
      const client = new Redis({ port: redis.port, protocol: 2 });
      await client.call(command, ...args).finally(() => client.disconnect());
    },
    setClock: async (offset: number) => {
      await writeFile(clockFile, String(offset));
      for (const { child } of people.gate.replicas) child.signal('SIGUSR2');
    },
  });
}

/** The same with a master that three Sentinels watch. */
export async function startSentinelSystem(): Promise<People & { readonly group: SentinelGroup }> {
  const group = await startSentinel(await redisProgram());
  const nodes = group.sentinels.map(({ port }) => `127.0.0.1:${port}`);
  const redis = () => ({ sentinel: { master: 'main', nodes } });
  return Object.assign(await startPeople({ redis, stopStore: () => group.stop() }), { group });
}

/** The same with three masters that share the slots. */
export async function startClusterSystem(): Promise<People & { readonly group: RedisGroup }> {
  const group = await startCluster(await redisProgram());
  const nodes = group.servers.map(({ port }) => `127.0.0.1:${port}`);
  return Object.assign(await startPeople({ redis: () => ({ cluster: { nodes } }), stopStore: () => group.stop() }), {
    group,
  });
}

async function redisProgram(): Promise<Program> {
  const found = await resolveProgram('redis');
  if (!('program' in found)) throw new Error(found.missing);
  return found.program;
}

async function startPeople(wanted: {
  readonly redis: (index: number) => object;
  readonly env?: (index: number) => Readonly<Record<string, string>>;
  readonly stopStore: () => Promise<void>;
}): Promise<People> {
  const { redis, env, stopStore } = wanted;
  const keys = randomBytes(32).toString('base64url');
  const gate = await startGate(REPLICAS, {
    redis,
    ...(env && { env }),
    auth: {
      sessions: { keys },
      rateLimits: [{ by: 'user', limit: 100_000, per: '1m' }],
    },
  }).catch(async (error) => {
    await stopStore();
    throw error;
  });
  const stop = async () => {
    await gate.stop();
    await stopStore();
  };
  try {
    const alive: string[] = [];
    for (let count = 0; count < PEOPLE; count++) alive.push((await gate.signIn('alice')).cookie);
    const leaving = await gate.signIn('bob');
    const page = await leaving.person.visit(`${gate.provider.issuer}/session/end`);
    await leaving.person.submit(page, { logout: 'yes' });
    return { gate, alive, ended: [leaving.cookie], bearer: await mintBearer(gate), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A token that lasts for a day. */
export function mintBearer({ provider }: Gate): Promise<string> {
  return provider.mint({ sub: 'alice', aud: AUDIENCE, exp: Math.floor(Date.now() / 1000) + 86_400 });
}
