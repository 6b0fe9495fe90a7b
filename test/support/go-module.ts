import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const CACHE = fileURLToPath(new URL('../../.cache/go/', import.meta.url));
const run = promisify(execFile);

/**
 * What a project publishes as a Go module, such as the schemas of its Kubernetes kinds, in a folder of ours that Go fills.
 *
 * @param module path and version, such as `istio.io/api@v1.31.4`
 * @returns why not, as text
 */
export async function fetchGoModule(module: string): Promise<{ folder: string } | string> {
  await mkdir(CACHE, { recursive: true });
  const env = { ...process.env, GOMODCACHE: join(CACHE, 'mod'), GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' };
  try {
    const { stdout } = await run('go', ['mod', 'download', '-json', module], { cwd: CACHE, env, timeout: 120_000 });
    return { folder: (JSON.parse(stdout) as { Dir: string }).Dir };
  } catch (error) {
    return `Go cannot fetch ${module} (${(error as Error).message.split('\n')[0]})`;
  }
}

/** A skipped suite where the module cannot be had; in CI a failure. @returns its folder */
export async function goModuleOrSkip(context: Mocha.Context, module: string): Promise<string> {
  const fetched = await fetchGoModule(module);
  if (typeof fetched === 'object') return fetched.folder;
  if (process.env.CI === 'true') throw new Error(`needed in CI: ${fetched}`);
  process.stderr.write(`  skipped: ${fetched}\n`);
  return context.skip();
}
