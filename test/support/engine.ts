import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const SCRIPT = fileURLToPath(new URL('../engine/engine.sh', import.meta.url));
const run = promisify(execFile);
/** Milliseconds for a bare machine, on which Compose and all images are made. */
const PREPARE = 1_800_000;

export interface Engine {
  /** Runs `docker` with these words. Rejects with what it wrote where it fails. */
  docker(args: readonly string[], options?: DockerOptions): Promise<{ stdout: string; stderr: string }>;
}

export interface DockerOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly timeout?: number;
}

/**
 * A Docker Engine with Compose and the images that deploy/ names, prepared by `test/engine/engine.sh`. It takes minutes on a
 * bare machine and needs root where no engine answers, so it is for whoever asks by `npm run test:containers`, also in CI.
 */
export async function engineOrSkip(context: Mocha.Context): Promise<Engine> {
  if (process.env.POSTERN_TEST_CONTAINERS !== 'all') {
    process.stderr.write('  skipped: containers are for `npm run test:containers`\n');
    return context.skip();
  }
  context.timeout(PREPARE);
  // Asked for by name, so it must not look green.
  const prepared = await prepareEngine();
  return {
    docker: (args, { cwd, env = {}, timeout = 600_000 } = {}) =>
      run('docker', [...args], {
        ...(cwd === undefined ? {} : { cwd }),
        env: { ...process.env, ...prepared, ...env },
        timeout,
        maxBuffer: 64 * 1024 * 1024,
      }),
  };
}

let preparation: Promise<Readonly<Record<string, string>>> | undefined;

/** @returns the environment in which `docker` works. Rejects with what stands in the way */
export function prepareEngine(): Promise<Readonly<Record<string, string>>> {
  preparation ??= prepare();
  return preparation;
}

async function prepare(): Promise<Readonly<Record<string, string>>> {
  // For whoever repeats a test: the engine of this environment, with the images that it has.
  if (process.env.POSTERN_TEST_ENGINE === 'prepared') return {};
  const { stdout } = await run('bash', [SCRIPT, 'start'], { timeout: PREPARE });
  const lines = stdout.trim().split('\n');
  return Object.fromEntries(lines.map((line) => line.split(/=(.*)/s, 2) as [string, string]));
}
