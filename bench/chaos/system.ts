import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { AUDIENCE, type Gate, startGate } from '../../test/support/gate-replicas.ts';
import { type PausablePipe, startPipe } from '../../test/support/pausable-pipe.ts';
import { resolveProgram } from '../../test/support/programs.ts';
import { type RedisServer, startRedis } from '../../test/support/redis-server.ts';

/** Two forward-auths, each with a way of its own to one Redis, an identity provider, and people. */
export interface System {
  readonly gate: Gate;
  readonly redis: RedisServer;
  /** Connections to Redis, by replica. */
  readonly pipes: readonly PausablePipe[];
  /** `Cookie` headers of people who are signed in, and must stay so. */
  readonly alive: readonly string[];
  /** Of people who signed out, and must stay out. */
  readonly ended: readonly string[];
  readonly bearer: string;
  /** One command to Redis itself. */
  tell(command: string, ...args: string[]): Promise<void>;
  stop(): Promise<void>;
}

const PEOPLE = 6;
const REPLICAS = 2;

/** @throws Error where there is no Redis */
export async function startSystem(): Promise<System> {
  const found = await resolveProgram('redis');
  if (!('program' in found)) throw new Error(found.missing);
  const redis = await startRedis(found.program);
  const pipes: PausablePipe[] = [];
  for (let index = 0; index < REPLICAS; index++) pipes.push(await startPipe(redis.port));
  const keys = randomBytes(32).toString('base64url');
  const stopStore = async () => {
    for (const pipe of pipes) await pipe.stop();
    await redis.stop();
  };
  const gate = await startGate(REPLICAS, {
    redis: (index) => ({ url: `redis://127.0.0.1:${pipes[index]?.port}` }),
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
    const bearer = await gate.provider.mint({
      sub: 'alice',
      aud: AUDIENCE,
      exp: Math.floor(Date.now() / 1000) + 86_400,
    });
    return {
      ...{ gate, redis, pipes, alive, bearer, stop },
      ended: [leaving.cookie],
      tell: async (command, ...args) => {
        const client = new Redis({ port: redis.port, protocol: 2 });
        await client.call(command, ...args).finally(() => client.disconnect());
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
