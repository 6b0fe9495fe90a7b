import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What a file must not lead to: it starts programs, browsers or containers. */
const SLOW = /^(?:node:child_process|node:worker_threads|testcontainers|playwright-core|typescript)$/;
/** Starting one of these for each case is most of a case's time. */
const SERVERS = /\/src\/(?:relay|forward-auth)\/server\.ts$/;
/** Their work is the time that they take. */
const LONG = /^test\/(?:growth|hostile|chaos|relay\/hostile|relay\/gate|relay\/trust\/presets|forward-auth\/login)\//;
const HOME = fileURLToPath(new URL('..', import.meta.url));

const reaches = new Map<string, boolean>();

/** Whether a file leads to one of {@link SLOW}, by its imports. Those of types count too, which errs on the fast side. */
function isSlow(file: string): boolean {
  const known = reaches.get(file);
  if (known !== undefined) return known;
  reaches.set(file, false);
  const imports = [...readFileSync(file, 'utf8').matchAll(/(?:from|import\()\s*'([^']+)'/g)].map(
    ([, name]) => name ?? '',
  );
  const slow = imports.some((name) => {
    if (!name.startsWith('.')) return SLOW.test(name);
    const path = join(dirname(file), name);
    if (SERVERS.test(path)) return true;
    return path.includes('/test/') && existsSync(path) && isSlow(path);
  });
  reaches.set(file, slow);
  return slow;
}

const files = readdirSync(join(HOME, 'test'), { recursive: true, encoding: 'utf8' })
  .map((file) => join('test', file))
  .filter((file) => file.endsWith('.test.ts') && !LONG.test(file) && !isSlow(join(HOME, file)));
console.log(`${files.length} files that start neither programs nor servers`);
const mocha = join(HOME, 'node_modules/mocha/bin/mocha.js');
const options = ['--no-config', '--node-option', 'import=tsx', '--timeout', '60000', '--reporter', 'dot'];
const parallel = ['--parallel', '--jobs', '2'];
const child = spawn(
  process.execPath,
  [mocha, ...options, ...parallel, ...files.map((file) => relative('.', join(HOME, file)))],
  {
    stdio: 'inherit',
  },
);
child.on('exit', (code) => process.exit(code ?? 1));
