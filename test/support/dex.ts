import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startChild } from './child.ts';
import { freePorts } from './free-port.ts';
import { whileHeld } from './held-file.ts';

const run = promisify(execFile);
const SOURCE = fileURLToPath(new URL('dex', import.meta.url));
const CACHE = fileURLToPath(new URL('../../.cache/programs', import.meta.url));
/** Milliseconds for a first build; Go keeps what it built. */
const BUILD = 280_000;

export const DEX_CLIENT = { id: 'postern', secret: 'secret of the client in the tests with Dex' } as const;

export interface Dex {
  readonly issuer: string;
  stop(): Promise<void>;
}

interface BuiltDex {
  readonly program: string;
  readonly web: string;
}

/**
 * The real Dex, built by Go from the newest release that the module proxy has, with a small program that configures it.
 *
 * @returns why it cannot be had here, in its place
 */
export async function buildDex(): Promise<BuiltDex | { readonly missing: string }> {
  try {
    await run('go', ['version'], { timeout: 10_000 });
  } catch {
    return { missing: 'Dex: there is no Go to build it with' };
  }
  try {
    await mkdir(CACHE, { recursive: true });
    const program = join(CACHE, 'dex');
    await whileHeld('go-build', () => run('go', ['build', '-o', program, '.'], { cwd: SOURCE, timeout: BUILD }));
    const { stdout } = await run('go', ['list', '-m', '-f', '{{.Dir}}', 'github.com/dexidp/dex'], { cwd: SOURCE });
    return { program, web: join(stdout.trim(), 'web') };
  } catch (error) {
    return { missing: `Dex: Go cannot build it: ${String((error as Error).message).slice(0, 300)}` };
  }
}

/** With one client and, signed in by a click that nobody needs to make, Kilgore Trout of the group "authors". */
export async function startDex({ program, web }: BuiltDex, redirectUri: string): Promise<Dex> {
  const [port] = (await freePorts(1)) as [number];
  const issuer = `http://127.0.0.1:${port}/dex`;
  const child = await startChild('dex', program, [`127.0.0.1:${port}`, web, redirectUri], {
    env: { DEX_CLIENT_SECRET: DEX_CLIENT.secret },
    ready: `${issuer}/.well-known/openid-configuration`,
    readyOk: true,
  });
  return {
    issuer,
    stop: async () => {
      await child.stop();
    },
  };
}
