import { fileURLToPath } from 'node:url';
import { type Child, startChild } from './child.ts';

const ENTRY = fileURLToPath(new URL('./postern-entry.ts', import.meta.url));
const BUILT = fileURLToPath(new URL('../../bin/postern.js', import.meta.url));

/** Arguments that run the `postern` command in a Node process of its own: from its sources, or as it was built. */
export const POSTERN_COMMAND: readonly string[] =
  process.env.POSTERN_TEST_BUILT === '1' ? [BUILT] : ['--import', 'tsx', ENTRY];

/** Starts one of the two processes as an operator does, and waits until it is ready. */
export function startPostern(
  command: 'auth' | 'relay',
  configFile: string,
  internalPort: number,
  env: Readonly<Record<string, string>> = {},
  host = '127.0.0.1',
): Promise<Child> {
  return startChild(`postern ${command}`, process.execPath, [...POSTERN_COMMAND, command, '--config', configFile], {
    env,
    ready: `http://${host}:${internalPort}/readyz`,
    readyOk: true,
    // As from a keyboard: at SIGTERM it takes requests a while longer, for proxies to notice.
    stopSignal: 'SIGINT',
  });
}
