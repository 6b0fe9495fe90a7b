import { execFile } from 'node:child_process';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { whileHeld } from './held-file.ts';

const CACHE = fileURLToPath(new URL('../../.cache/python/', import.meta.url));
const run = promisify(execFile);

/** Milliseconds for an installation. */
const INSTALL = 240_000;

/**
 * A Python with packages in a folder of ours; a skipped suite where it cannot be had, in CI a failure.
 *
 * @param name of the folder
 * @param packages with their versions
 * @param timeout milliseconds for their installation
 * @returns path of its interpreter
 */
export async function pythonOrSkip(
  context: Mocha.Context,
  name: string,
  packages: readonly string[],
  timeout = INSTALL,
): Promise<string> {
  const folder = join(CACHE, name);
  const python = join(folder, 'bin', 'python');
  const stamp = join(folder, `installed-${packages.join('-').replace(/[^\w.-]/g, '')}`);
  try {
    await whileHeld(`python-${name}`, async () => {
      if (await exists(stamp)) return;
      await mkdir(CACHE, { recursive: true });
      await run('python3', ['-m', 'venv', '--clear', folder], { timeout: 60_000 });
      await run(python, ['-m', 'pip', 'install', '--quiet', ...packages], { timeout });
      await writeFile(stamp, '');
    });
    return python;
  } catch (error) {
    const missing = `pip cannot fetch ${packages.join(', ')} (${(error as Error).message.split('\n')[0]})`;
    if (process.env.CI === 'true') throw new Error(`needed in CI: ${missing}`);
    process.stderr.write(`  skipped: ${missing}\n`);
    return context.skip();
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
