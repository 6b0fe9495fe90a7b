import { execFile } from 'node:child_process';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { whileHeld } from './held-file.ts';

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../.cache/clients', import.meta.url));

/** MCP clients of others, which tests run for real. They are large, so no install of ours brings them along. */
const CLIENTS = {
  node: { npm: ['node@24.21.0'], program: 'node_modules/.bin/node' },
  'mcp-remote': { npm: ['mcp-remote@0.15.1'], program: 'node_modules/mcp-remote/dist/proxy.js' },
  inspector: {
    npm: ['@modelcontextprotocol/inspector@2.12.0'],
    program: 'node_modules/.bin/mcp-inspector',
  },
  conformance: {
    npm: ['@modelcontextprotocol/conformance@0.2.0-alpha.12'],
    program: 'node_modules/.bin/conformance',
  },
  'conformance-0.1': {
    npm: ['@modelcontextprotocol/conformance@0.1.16'],
    program: 'node_modules/.bin/conformance',
  },
  python: { pip: ['mcp==2.3.0', 'fastmcp==4.2.3'], program: 'bin/python' },
} as const satisfies Readonly<Record<string, ({ npm: string[] } | { pip: string[] }) & { program: string }>>;

export type ClientProgram = keyof typeof CLIENTS;

const installed = new Map<ClientProgram, Promise<string>>();

/**
 * Path of a client's program, installed into `.cache/clients` where it is not there yet. A skipped suite that says why
 * where it cannot be had; in CI a failure.
 */
export async function clientOrSkip(context: Mocha.Context, name: ClientProgram): Promise<string> {
  let installing = installed.get(name);
  if (installing === undefined) {
    // npm and pip are busy enough with one thing at a time.
    installing = whileHeld('clients', () => install(name));
    installed.set(name, installing);
  }
  try {
    return await installing;
  } catch (error) {
    const why = `${name} cannot be installed (${(error as Error).message.split('\n')[0]})`;
    if (process.env.CI === 'true') throw new Error(`needed in CI: ${why}`);
    process.stderr.write(`  skipped: ${why}\n`);
    return context.skip();
  }
}

async function install(name: ClientProgram): Promise<string> {
  const client = CLIENTS[name];
  const packages: readonly string[] = 'npm' in client ? client.npm : client.pip;
  // The versions are in the folder's name, so that another one is another folder.
  const folder = join(CACHE, `${name}-${packages.map((spec) => spec.replace(/^.*[@=]/, '')).join('-')}`);
  const program = join(folder, client.program);
  if (await exists(program)) return program;
  await mkdir(folder, { recursive: true });
  const options = { timeout: 300_000, cwd: folder };
  if ('npm' in client) {
    await run('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', '--no-save', ...packages], options);
  } else {
    await run('python3', ['-m', 'venv', folder], options);
    await run(join(folder, 'bin', 'pip'), ['install', '--quiet', ...packages], options);
  }
  if (!(await exists(program))) throw new Error(`${packages.join(', ')} holds no ${client.program}`);
  return program;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
