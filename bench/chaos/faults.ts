import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import type { Replica } from '../../test/support/gate-replicas.ts';
import { until } from '../../test/support/until.ts';
import { count, type Report } from './report.ts';
import type { Fault } from './stage.ts';
import { mintBearer, type System } from './system.ts';

const run = promisify(execFile);
const SPARE_FILES = 10;
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
  { name: 'the disk of Redis is full', begin: fillDisk, end: freeDisk },
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
  intercepted('the provider is down', (request) => {
    request.socket.destroy();
    return true;
  }),
  intercepted('the provider hangs', () => true),
  intercepted("the provider's keys are broken", ({ url }, response) => {
    if (url !== '/jwks') return false;
    response.setHeader('Content-Type', 'application/json').end('{"keys":[{"kty":"RSA","kid":"x"},{"kty":"unknown"}]}');
    return true;
  }),
  {
    name: "the provider's keys rotate",
    begin: async (system) => {
      await system.gate.provider.rotate();
      system.bearer = await mintBearer(system.gate);
    },
  },
  {
    name: 'clocks jump forward by two minutes',
    begin: ({ setClock }) => setClock(120_000),
    end: ({ setClock }) => setClock(0),
  },
  {
    name: 'clocks jump back by two minutes',
    begin: ({ setClock }) => setClock(-120_000),
    end: ({ setClock }) => setClock(0),
  },
  {
    name: 'clocks jump forward by two hours',
    begin: ({ setClock }) => setClock(7_200_000),
    end: ({ setClock }) => setClock(0),
  },
  { name: 'file descriptors run out at one replica', begin: exhaustFiles, end: freeFiles },
  {
    name: 'the disk of the audit log is full',
    begin: ({ gate }) => Promise.all(gate.replicas.map(({ child }) => limit(child.pid, 'fsize', '0:'))),
    end: ({ gate }) => Promise.all(gate.replicas.map(({ child }) => limit(child.pid, 'fsize', 'unlimited:'))),
  },
  { name: 'a replica is killed', begin: ({ gate }) => restart(gate.replicas[0] as Replica, 'SIGKILL') },
  {
    name: 'rolling restart',
    begin: async ({ gate }) => {
      for (const replica of gate.replicas) await restart(replica, 'SIGTERM');
    },
  },
];

function intercepted(
  name: string,
  answer: (request: IncomingMessage, response: ServerResponse) => boolean,
): Fault<System> {
  return {
    name,
    begin: async ({ gate }) => {
      gate.provider.intercept = answer;
    },
    end: async ({ gate }) => {
      gate.provider.intercept = undefined;
    },
  };
}

/** Changes the soft limit of a process that runs (prlimit(1) of util-linux). */
async function limit(pid: number, resource: 'nofile' | 'fsize', bounds: string): Promise<void> {
  await run('prlimit', [`--pid=${pid}`, `--${resource}=${bounds}`]);
}

/** Writes are refused once a snapshot has failed (`stop-writes-on-bgsave-error`), as where there is no space for it. */
async function fillDisk({ redis, tell }: System): Promise<void> {
  await tell('CONFIG', 'SET', 'appendonly', 'no');
  await tell('CONFIG', 'SET', 'save', '3600 1');
  await limit(await processOf(redis), 'fsize', '0:');
  await tell('BGSAVE');
  await until('Redis refuses to write', () =>
    tell('SET', 'chaos', '1').then(
      () => false,
      (error: Error) => error.message.startsWith('MISCONF'),
    ),
  );
}

async function freeDisk({ redis, tell }: System): Promise<void> {
  await limit(await processOf(redis), 'fsize', 'unlimited:');
  await tell('CONFIG', 'SET', 'save', '');
  await tell('CONFIG', 'SET', 'appendonly', 'yes');
}

/** @returns its process id */
async function processOf({ port }: System['redis']): Promise<number> {
  const client = new Redis({ port, protocol: 2 });
  const told = await client.info('server').finally(() => client.disconnect());
  return Number(/^process_id:(\d+)/m.exec(told)?.[1]);
}

/** Connections that hold the file descriptors of the first replica. */
const holding = new Set<Socket>();

async function exhaustFiles({ gate }: System, _signal: AbortSignal, report: Report): Promise<void> {
  const { child, url } = gate.replicas[0] as Replica;
  const open = await readdir(`/proc/${child.pid}/fd`);
  await limit(child.pid, 'nofile', `${open.length + SPARE_FILES}:`);
  for (let opened = 0; opened < 4 * SPARE_FILES; opened++)
    holding.add(
      connect(Number(new URL(url).port), '127.0.0.1')
        .on('error', () => {})
        .on('close', () => count(report, 'connection refused')),
    );
}

async function freeFiles({ gate }: System): Promise<void> {
  for (const socket of holding) socket.removeAllListeners('close').destroy();
  holding.clear();
  await limit((gate.replicas[0] as Replica).child.pid, 'nofile', '4096:');
}

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
