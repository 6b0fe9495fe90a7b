import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { GenericContainer, type StartedTestContainer } from 'testcontainers';
import { freePorts } from './free-port.ts';
import type { Program } from './programs.ts';
import { until } from './until.ts';

const run = promisify(execFile);

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  /** It stands still and keeps its connections. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  kill(): Promise<void>;
  /** Starts it again after `kill`, on the same port with what it had acknowledged. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  readonly port?: number;
  /** Lines of redis.conf; `%folder%` is where it runs, `%port%` its port. */
  readonly config?: readonly string[];
  /** Files beside the configuration. */
  readonly files?: Readonly<Record<string, string>>;
  readonly sentinel?: boolean;
}

interface Running {
  signal(signal: NodeJS.Signals): Promise<void>;
  end(): Promise<void>;
  output(): string;
}

/** A Redis or Valkey server of the test: what it acknowledged it keeps (append-only file, synchronized each time). */
export async function startRedis(program: Program, options: RedisServerOptions = {}): Promise<RedisServer> {
  const port = options.port ?? ((await freePorts(1))[0] as number);
  const folder = await mkdtemp(join(tmpdir(), 'postern-redis-'));
  const lines = [
    'bind 127.0.0.1',
    ...(options.config?.some((line) => line.startsWith('port ')) ? [] : [`port ${port}`]),
    `dir ${folder}`,
    ...(options.sentinel ? [] : ['appendonly yes', 'appendfsync always', 'save ""']),
    ...(options.config ?? []).map((line) => line.replaceAll('%folder%', folder).replaceAll('%port%', String(port))),
  ];
  for (const [name, text] of Object.entries(options.files ?? {})) await writeFile(join(folder, name), text);
  await writeFile(join(folder, 'redis.conf'), `${lines.join('\n')}\n`);
  const start = async () => {
    const started = await launch(program, folder, options.sentinel === true);
    await listening(port, started);
    return started;
  };
  let running = await start();
  return {
    port,
    folder,
    url: `redis://127.0.0.1:${port}`,
    pause: () => running.signal('SIGSTOP'),
    resume: () => running.signal('SIGCONT'),
    kill: async () => {
      await running.signal('SIGKILL');
      await running.end();
    },
    restart: async () => {
      running = await start();
    },
    stop: async () => {
      await running.signal('SIGCONT').catch(() => {});
      await running.signal('SIGKILL').catch(() => {});
      await running.end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function launch(program: Program, folder: string, sentinel: boolean): Promise<Running> {
  const args = [join(folder, 'redis.conf'), ...(sentinel ? ['--sentinel'] : [])];
  if (program.kind === 'image') return launchImage(program.image, folder, args);
  const child = spawn(program.path, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()));
  return {
    signal: async (signal) => void child.kill(signal),
    end: () => ended,
    output: () => output,
  };
}

async function launchImage(image: string, folder: string, args: string[]): Promise<Running> {
  const container: StartedTestContainer = await new GenericContainer(image)
    .withNetworkMode('host')
    // Mounted, not copied: after a kill the next one finds the data. As the folder's owner, who may then remove it.
    .withBindMounts([{ source: folder, target: folder }])
    .withUser(`${process.getuid?.() ?? 0}`)
    .withEntrypoint(['sh', '-c', 'exec $(command -v redis-server || command -v valkey-server) "$@"', 'redis'])
    .withCommand(args)
    .start();
  let output = '';
  (await container.logs()).on('data', (text) => {
    output += String(text);
  });
  return {
    signal: async (signal) => void (await run('docker', ['kill', `--signal=${signal}`, container.getId()])),
    end: async () => void (await container.stop().catch(() => {})),
    output: () => output,
  };
}

async function listening(port: number, running: Running): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = createConnection({ port, host: '127.0.0.1' });
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    if (open) return;
    await sleep(25);
  }
  throw new Error(`Redis does not listen on ${port}:\n${running.output()}`);
}

export interface RedisGroup {
  readonly servers: readonly RedisServer[];
  stop(): Promise<void>;
}

/** Masters that share the slots among them. */
export async function startCluster(program: Program, count = 3): Promise<RedisGroup> {
  const ports = await freePorts(count * 2);
  const servers = await Promise.all(
    ports.slice(0, count).map((port, at) =>
      startRedis(program, {
        port,
        config: ['cluster-enabled yes', `cluster-port ${ports[count + at]}`, 'cluster-node-timeout 2000'],
      }),
    ),
  );
  const stop = async () => void (await Promise.all(servers.map((server) => server.stop())));
  const clients = servers.map(({ port }) => new Redis({ port, protocol: 2 }));
  try {
    const each = Math.ceil(16384 / count);
    await Promise.all(
      clients.map((client, at) =>
        client.call('CLUSTER', 'ADDSLOTSRANGE', at * each, Math.min(16383, (at + 1) * each - 1)),
      ),
    );
    for (const [at, client] of clients.entries()) await client.call('CLUSTER', 'SET-CONFIG-EPOCH', at + 1);
    for (const at of servers.keys())
      if (at > 0)
        await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', ports[at] as number, ports[count + at] as number);
    await until('the cluster agrees', async () => {
      const infos = await Promise.all(clients.map((client) => client.call('CLUSTER', 'INFO') as Promise<string>));
      return infos.every((info) => /cluster_state:ok/.test(info) && info.includes(`cluster_known_nodes:${count}`));
    });
  } catch (error) {
    await stop();
    throw error;
  } finally {
    for (const client of clients) client.disconnect();
  }
  return { servers, stop };
}

export interface SentinelGroup extends RedisGroup {
  readonly master: RedisServer;
  readonly replica: RedisServer;
  readonly sentinels: readonly RedisServer[];
}

/** A master called `main`, its replica and three Sentinels that fail over within about a second. */
export async function startSentinel(program: Program): Promise<SentinelGroup> {
  const master = await startRedis(program, { config: ['repl-diskless-sync-delay 0'] });
  const replica = await startRedis(program, {
    config: [`replicaof 127.0.0.1 ${master.port}`, 'repl-diskless-sync-delay 0'],
  });
  const client = new Redis({ port: master.port, protocol: 2 });
  try {
    await until('the replica follows', async () => /slave0:.*state=online/.test(await client.info('replication')));
  } finally {
    client.disconnect();
  }
  const sentinels: RedisServer[] = [];
  for (let count = 0; count < 3; count++)
    sentinels.push(
      await startRedis(program, {
        sentinel: true,
        config: [
          `sentinel monitor main 127.0.0.1 ${master.port} 2`,
          'sentinel down-after-milliseconds main 700',
          'sentinel failover-timeout main 3000',
        ],
      }),
    );
  const watchers = sentinels.map(({ port }) => new Redis({ port, protocol: 2, enableReadyCheck: false }));
  try {
    await until('the Sentinels know each other', async () => {
      const seen = await Promise.all(
        watchers.map((one) => one.call('SENTINEL', 'MASTER', 'main') as Promise<string[]>),
      );
      return seen.every(
        (list) => list[list.indexOf('num-other-sentinels') + 1] === '2' && list[list.indexOf('num-slaves') + 1] === '1',
      );
    });
  } finally {
    for (const one of watchers) one.disconnect();
  }
  const servers = [master, replica, ...sentinels];
  return {
    servers,
    master,
    replica,
    sentinels,
    stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
  };
}
