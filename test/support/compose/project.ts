import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { whileHeld } from '../held-file.ts';

const run = promisify(execFile);
const LOADER = fileURLToPath(new URL('loader', import.meta.url));
const CACHE = fileURLToPath(new URL('../../../.cache/programs', import.meta.url));
/** Milliseconds for a first build; Go keeps what it built. */
const BUILD = 280_000;

/** What a service of a compose file says, after includes, extensions and variables are resolved. */
export interface Service {
  readonly image: string;
  readonly command: readonly string[] | null;
  readonly entrypoint: readonly string[] | null;
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly working_dir?: string;
  readonly network_mode?: string;
  readonly tmpfs?: readonly string[];
  readonly volumes?: ReadonlyArray<{ readonly type: string; readonly source: string; readonly target: string }>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[]; readonly start_period?: string };
}

export interface Project {
  readonly name: string;
  readonly services: Readonly<Record<string, Service>>;
}

/** A compose file as Docker's own loader reads it: checked against the schema, and complete. Rejects with what is wrong. */
export type LoadProject = (file: string, env: Readonly<Record<string, string>>) => Promise<Project>;

/** The loader, built by Go; a skipped suite where it cannot be had, in CI a failure. */
export async function composeLoaderOrSkip(context: Mocha.Context): Promise<LoadProject> {
  const program = join(CACHE, 'compose');
  try {
    await mkdir(CACHE, { recursive: true });
    await whileHeld('go-build', () => run('go', ['build', '-o', program, '.'], { cwd: LOADER, timeout: BUILD }));
  } catch (error) {
    const missing = `compose: Go cannot build the loader (${(error as Error).message.split('\n')[0]})`;
    if (process.env.CI === 'true') throw new Error(`needed in CI: ${missing}`);
    process.stderr.write(`  skipped: ${missing}\n`);
    return context.skip();
  }
  return async (file, env) => {
    const { PATH = '', HOME = '' } = process.env;
    const { stdout } = await run(program, [file], { env: { PATH, HOME, ...env }, timeout: 20_000 });
    return JSON.parse(stdout) as Project;
  };
}
