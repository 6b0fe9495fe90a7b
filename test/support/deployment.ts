import { execFile } from 'node:child_process';
import { chmod, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { GenericContainer, type StartedTestContainer } from 'testcontainers';
import { startChild } from './child.ts';
import type { Program, ProgramName } from './programs.ts';
import { until } from './until.ts';

const DEPLOY = fileURLToPath(new URL('../../deploy/', import.meta.url));
const run = promisify(execFile);

/** How to run what is in a folder of `deploy/`, in that folder. */
interface Proxy {
  readonly program: ProgramName;
  /** Files that hold addresses. */
  readonly files: readonly string[];
  readonly args: readonly string[];
  /** Arguments with which the program only reads its configuration; absent: it cannot. */
  readonly validate?: readonly string[];
  /** Addresses that are written in another way than `HOST:PORT`. */
  readonly written?: (host: string, port: string) => string;
  /** Where it writes beside its output. */
  readonly log?: string;
  /** In its image, what comes before the arguments. */
  readonly inImage?: readonly string[];
}

const NGINX = ['-p', './', '-e', 'stderr', '-c', 'nginx.conf'];
const ENVOY: Proxy = {
  program: 'envoy',
  files: ['envoy.yaml', 'postern.yaml'],
  // One process of each test: Envoy's shared memory is told apart by its base id.
  args: ['-c', 'envoy.yaml', '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'warn'],
  validate: ['-c', 'envoy.yaml', '--mode', 'validate'],
  written: (host, port) => `address: ${host}, port_value: ${port}`,
};

export const PROXIES = {
  traefik: {
    program: 'traefik',
    files: ['traefik.yaml', 'dynamic.yaml', 'postern.yaml'],
    args: ['--configfile=traefik.yaml'],
    // Of a health check, which has the host of its server.
    written: (_host, port) => `port: ${port},`,
  },
  caddy: {
    program: 'caddy',
    files: ['Caddyfile', 'postern.yaml'],
    args: ['run', '--config', 'Caddyfile', '--adapter', 'caddyfile'],
    validate: ['validate', '--config', 'Caddyfile', '--adapter', 'caddyfile'],
    written: (_host, port) => `http://:${port}`,
    inImage: ['caddy'],
  },
  nginx: {
    program: 'nginx',
    files: ['nginx.conf', 'postern.yaml'],
    args: NGINX,
    validate: [...NGINX, '-t'],
    log: 'access.log',
    inImage: ['nginx'],
  },
  envoy: ENVOY,
  'envoy-grpc': ENVOY,
} as const satisfies Readonly<Record<string, Proxy>>;

/** Those whose whole chain other tests run, see {@link DEPLOYMENTS}. */
export type DeployedProxy = keyof typeof PROXIES;

/** Every folder of `deploy/` with a proxy that clients face and that asks forward-auth. */
export const DEPLOYMENTS = {
  ...PROXIES,
  haproxy: {
    program: 'haproxy',
    files: ['haproxy.cfg', 'postern.yaml'],
    args: ['-db', '-f', 'haproxy.cfg'],
    validate: ['-c', '-f', 'haproxy.cfg'],
    inImage: ['haproxy'],
  },
} as const satisfies Readonly<Record<string, Proxy>>;

export type Deployment = keyof typeof DEPLOYMENTS;

/**
 * A copy of a folder of `deploy/` with other addresses. Every replacement must be found, so that a test cannot go on
 * running with an address that the files no longer hold.
 */
export async function copyDeployment(
  name: Deployment,
  replacements: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>>,
  /** Changes the files before that. */
  prepare: (folder: string) => Promise<unknown> = async () => {},
): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), `postern-${name}-`));
  // Workers of a program that was started as root are somebody else.
  await chmod(folder, 0o755);
  await cp(join(DEPLOY, name), folder, { recursive: true });
  await prepare(folder);
  const { files, written = (host, port) => `${host}:${port}` }: Proxy = DEPLOYMENTS[name];
  const unused = new Set(Object.keys(replacements));
  const table = new Map<string, { to: string; of: string }>();
  for (const [from, to] of Object.entries(replacements)) {
    table.set(from, { to, of: from });
    const [a, b] = [from, to].map((address) => written(...(address.split(':') as [string, string])));
    table.set(a as string, { to: b as string, of: from });
  }
  const escaped = [...table.keys()].map((from) => from.replaceAll('.', '\\.'));
  const pattern = new RegExp(`(?:${escaped.join('|')})(?![0-9])`, 'g');
  for (const file of files) {
    // One pass: a new port such as 44441 begins with an old one, and would be replaced again by a second.
    const text = (await readFile(join(folder, file), 'utf8')).replace(pattern, (from) => {
      const { to, of } = table.get(from) as { to: string; of: string };
      unused.delete(of);
      return to;
    });
    await writeFile(join(folder, file), text);
  }
  if (unused.size > 0) throw new Error(`deploy/${name} no longer holds ${[...unused].join(', ')}`);
  if (name === 'nginx') {
    // What `envsubst` does for an operator.
    const template = await readFile(join(folder, 'proof.conf.template'), 'utf8');
    const text = template.replace(/\$\{(\w+)\}/g, (_whole, variable: string) => env[variable] ?? '');
    await writeFile(join(folder, 'proof.conf'), text, { mode: 0o600 });
  }
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

export interface RunningProxy {
  readonly output: () => Promise<string>;
  stop(): Promise<void>;
}

/** Starts a proxy in a folder that {@link copyDeployment} made. */
export async function startProxy(
  name: Deployment,
  program: Program,
  folder: string,
  port: number,
  env: Readonly<Record<string, string>>,
  /** Absent: it serves in the clear. */
  ready: () => Promise<boolean> = () => servesKeys(port),
): Promise<RunningProxy> {
  const { args, log, inImage = [] }: Proxy = DEPLOYMENTS[name];
  if (program.kind === 'image') return startImage(program.image, folder, [...inImage, ...args], env, ready);
  const child = await startChild(name, program.path, args, {
    cwd: folder,
    env,
    ready,
  });
  return {
    output: async () => child.output + (log === undefined ? '' : await readFile(join(folder, log), 'utf8')),
    stop: async () => {
      await child.stop();
    },
  };
}

/** Traefik answers 404 until it has read its routers; forward-auth's, at a port that is not of publicUrl, is JSON. */
async function servesKeys(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/_postern/jwks.json`);
  await answer.body?.cancel();
  return answer.ok || answer.headers.get('content-type')?.startsWith('application/json') === true;
}

/** @returns what the program says of its configuration; undefined where it has no such question. Rejects where it is wrong. */
export async function validateDeployment(
  name: Deployment,
  program: Program,
  folder: string,
): Promise<string | undefined> {
  const { validate }: Proxy = DEPLOYMENTS[name];
  if (validate === undefined || program.kind === 'image') return undefined;
  const { stdout, stderr } = await run(program.path, [...validate], { cwd: folder, timeout: 20_000 });
  return stdout + stderr;
}

async function startImage(
  image: string,
  folder: string,
  command: string[],
  env: Readonly<Record<string, string>>,
  ready: () => Promise<boolean>,
): Promise<RunningProxy> {
  const container: StartedTestContainer = await new GenericContainer(image)
    .withNetworkMode('host')
    .withCopyDirectoriesToContainer([{ source: folder, target: '/config' }])
    .withWorkingDir('/config')
    .withEnvironment(env)
    .withCommand(command)
    .start();
  let output = '';
  (await container.logs()).on('data', (text) => {
    output += String(text);
  });
  // An engine counts it as started when its process is.
  try {
    await until(`${image} serves`, () => ready().catch(() => false));
  } catch (error) {
    await container.stop();
    throw new Error(`${(error as Error).message}\n${output}`);
  }
  return { output: async () => output, stop: async () => void (await container.stop()) };
}
