import { execFile } from 'node:child_process';
import { access, constants, mkdir, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { whileHeld } from './held-file.ts';

const CACHE = fileURLToPath(new URL('../../.cache/', import.meta.url));
const run = promisify(execFile);

/** Puts a program into a folder. @param env with the project's own cache of modules */
type Build = (folder: string, env: NodeJS.ProcessEnv) => Promise<unknown>;

/**
 * A program that is published as a Go module only: from `POSTERN_TEST_<NAME>`, from `PATH`, or built once into a folder of the
 * project, which takes about a minute and a half on two cores. A skipped suite where it cannot be had, in CI a failure.
 *
 * @param module package and version, such as `example.com/tool@v1.2.3`
 * @returns its path
 */
export function goProgramOrSkip(context: Mocha.Context, name: string, module: string): Promise<string> {
  return builtProgramOrSkip(context, name, module, (GOBIN, env) =>
    run('go', ['install', '-ldflags=-s -w', module], { cwd: CACHE, env: { ...env, GOBIN }, timeout: 280_000 }),
  );
}

/** As {@link goProgramOrSkip}, for what `go install` cannot build. @param module names the folder that it is built into */
export async function builtProgramOrSkip(
  context: Mocha.Context,
  name: string,
  module: string,
  build: Build,
): Promise<string> {
  const given = process.env[`POSTERN_TEST_${name.toUpperCase().replaceAll('-', '_')}`];
  const folder = join(CACHE, 'programs', `go-${module.replace(/[^\w.-]+/g, '_')}`);
  const places = [...(process.env.PATH ?? '').split(delimiter), folder].filter((place) => place !== '');
  for (const path of given === undefined ? places.map((place) => join(place, name)) : [given])
    if (await executable(path)) return path;
  const problem = given === undefined ? await buildOnce(module, folder, name, build) : `${given} cannot be executed`;
  if (problem === undefined) return join(folder, name);
  if (process.env.CI === 'true') throw new Error(`needed in CI: ${name}: ${problem}`);
  process.stderr.write(`  skipped: ${name}: ${problem}\n`);
  return context.skip();
}

/**
 * A folder is complete only once Go has moved the program there, so who waited for another's build looks again.
 *
 * @returns why it could not be built; undefined where it was
 */
function buildOnce(module: string, folder: string, name: string, build: Build): Promise<string | undefined> {
  return whileHeld(`go-build-${module.replace(/[^\w.-]+/g, '_')}`, async () => {
    if (await executable(join(folder, name))) return undefined;
    const env = {
      ...process.env,
      GOMODCACHE: join(CACHE, 'go', 'mod'),
      GOFLAGS: '-modcacherw',
      GOTOOLCHAIN: 'local',
      CGO_ENABLED: '0',
    };
    try {
      await mkdir(folder, { recursive: true });
      await build(folder, env);
      return undefined;
    } catch (error) {
      await rm(join(folder, name), { force: true });
      return `Go cannot build ${module} (${(error as Error).message.split('\n')[0]})`;
    }
  });
}

function executable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
