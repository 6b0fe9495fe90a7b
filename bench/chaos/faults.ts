import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { flood } from '../../test/support/flood.ts';
import type { Replica } from '../../test/support/gate-replicas.ts';
import { until } from '../../test/support/until.ts';
import type { Fault } from './stage.ts';
import type { System } from './system.ts';

const FLOOD_CONNECTIONS = 100;
/** To start a replica again. */
const ATTEMPTS = 3;

export const FAULTS: ReadonlyArray<Fault<System>> = [
  { name: 'Redis stands still', begin: ({ redis }) => redis.pause(), end: ({ redis }) => redis.resume() },
  { name: 'Redis is killed', begin: ({ redis }) => redis.kill(), end: ({ redis }) => redis.restart() },
  {
    name: 'Redis only reads',
    begin: ({ tell }) => tell('REPLICAOF', '127.0.0.1', '1'),
    end: ({ tell }) => tell('REPLICAOF', 'NO', 'ONE'),
  },
  {
    name: 'Redis is full',
    begin: ({ tell }) => tell('CONFIG', 'SET', 'maxmemory', '1'),
    end: ({ tell }) => tell('CONFIG', 'SET', 'maxmemory', '0'),
  },
  {
    name: 'Redis takes 300 ms',
    begin: async ({ pipes }) => {
      for (const pipe of pipes) pipe.delay = 150;
    },
    end: async ({ pipes }) => {
      for (const pipe of pipes) pipe.delay = 0;
    },
  },
  {
    name: 'Redis is cut off from one replica',
    begin: async ({ pipes }) => pipes[0]?.cut(),
    end: async ({ pipes }) => pipes[0]?.resume(),
  },
  {
    name: 'the provider fails',
    begin: async ({ gate }) => {
      gate.provider.outage = 503;
    },
    end: async ({ gate }) => {
      gate.provider.outage = undefined;
    },
  },
  { name: 'a replica is killed', begin: ({ gate }) => restart(gate.replicas[0] as Replica, 'SIGKILL') },
  {
    name: 'rolling restart',
    begin: async ({ gate }) => {
      for (const replica of gate.replicas) await restart(replica, 'SIGTERM');
    },
  },
  {
    name: 'a flood of forged tokens',
    begin: async ({ gate, bearer }, signal) => {
      const [replica] = gate.replicas as [Replica];
      const signed = bearer.slice(0, bearer.lastIndexOf('.') + 1);
      const { host } = new URL(gate.publicUrl);
      const next = () =>
        [
          'GET /verify/traefik HTTP/1.1',
          `Host: ${host}`,
          'X-Forwarded-Method: GET',
          'X-Forwarded-Proto: http',
          `X-Forwarded-Host: ${host}`,
          'X-Forwarded-Uri: /app/',
          'X-Forwarded-For: 127.0.0.1',
          `Authorization: Bearer ${signed}${randomBytes(256).toString('base64url')}`,
          '',
          '',
        ].join('\r\n');
      await flood(Number(new URL(replica.url).port), FLOOD_CONNECTIONS, next, signal);
    },
  },
];

/** Ends a replica as an orchestrator does, starts it again, and waits until all that it needs answers. */
async function restart(replica: Replica, signal: NodeJS.Signals): Promise<void> {
  replica.child.signal(signal);
  await until('it has ended', () => replica.child.ended);
  await startAgain(replica, ATTEMPTS);
  await until('it has all that it needs', async () => {
    const answer = await fetch(`${replica.internal}/readyz?strict`).catch(() => undefined);
    await answer?.body?.cancel();
    return answer?.ok === true;
  });
  // Until the balancer has noticed.
  await sleep(1_000);
}

/** As an orchestrator does where one does not become ready in time. */
async function startAgain(replica: Replica, attempts: number): Promise<void> {
  try {
    await replica.restart();
  } catch (error) {
    if (attempts <= 1) throw error;
    await startAgain(replica, attempts - 1);
  }
}
