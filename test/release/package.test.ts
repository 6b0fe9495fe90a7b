import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PROVIDERS, PROXIES } from '../../src/cli/init/choices.ts';
import { proxyFiles } from '../../src/cli/init/deployed.ts';
import { startChild } from '../support/child.ts';
import { freePortsInARow } from '../support/free-port.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const HOME = fileURLToPath(new URL('../../', import.meta.url));
const EXPECTED = [
  ...['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md'],
  ...['bin', 'deploy', 'dist', 'docs', 'package.json'],
];

/** What `npm pack --json` says; a list up to npm 11, an object by name since. */
async function pack(...args: string[]): Promise<{ filename: string; size: number; files: string[] }> {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', ...args], { cwd: HOME });
  const packed = Object.values(
    JSON.parse(stdout) as Record<string, { filename: string; size: number; files: { path: string }[] }>,
  )[0];
  if (packed === undefined) throw new Error(stdout);
  return { filename: packed.filename, size: packed.size, files: packed.files.map(({ path }) => path) };
}

/** The parent of each process that runs and is not a zombie. */
async function running(): Promise<ReadonlyMap<number, number>> {
  const { stdout } = await run('ps', ['-e', '-o', 'pid=,ppid=,stat=']);
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  return new Map(
    rows.flatMap(([pid, parent, state = 'Z']) => (state[0] === 'Z' ? [] : [[Number(pid), Number(parent)]])),
  );
}

function descendants(ancestor: number, parents: ReadonlyMap<number, number>): number[] {
  const children = [...parents].filter(([, parent]) => parent === ancestor).map(([pid]) => pid);
  return children.flatMap((pid) => [pid, ...descendants(pid, parents)]);
}

describe('the package', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-package-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('holds what its users need and nothing else', async () => {
    const { files } = await pack('--dry-run');
    const top = new Set(files.map((file) => file.split('/')[0] as string));
    assert.deepEqual([...top].sort(), [...EXPECTED].sort());
    const compiled = readdirSync(join(HOME, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
      .map((file) => `dist/${file.replace(/\.ts$/, '.js')}`);
    assert.deepEqual(
      compiled.filter((file) => !files.includes(file)),
      [],
      'built by `npm run build`',
    );
    const written = Object.entries(PROXIES).flatMap(([proxy, { start }]) => [
      ...proxyFiles(proxy).map((file) => `deploy/${proxy}/${file}`),
      ...(start === undefined ? [] : [`deploy/${proxy}/compose.yaml`, `deploy/${proxy}/postern.yaml`]),
    ]);
    const known = Object.values(PROVIDERS).map(({ folder }) => `deploy/${folder ?? 'keycloak'}/postern.yaml`);
    assert.deepEqual(
      [...written, ...known, 'deploy/example/postern.compose.yaml'].filter((file) => !files.includes(file)),
      [],
      'what `postern init` writes from',
    );
    const unwanted =
      /(?:^|\/)(?:node_modules|\.env|\.cache|test)(?:\/|$)|\.(?:pem|key|p12|tsbuildinfo|tgz)$|^grafana\/source\//;
    assert.deepEqual(
      files.filter((file) => unwanted.test(file)),
      [],
    );
  });

  it('is small: pictures and pages are in the repository, to which its README leads', async () => {
    const { size, files } = await pack('--dry-run');
    assert.ok(size < 900_000, `${size} bytes`);
    assert.deepEqual(
      files.filter((file) => /\.(?:png|patch)$/.test(file)),
      [],
    );
    const { repository } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as { repository?: object };
    assert.ok(repository, 'the registry resolves relative links against it');
    const links = [...readFileSync(join(HOME, 'README.md'), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)];
    assert.ok(links.length > 5);
    for (const [, link = ''] of links) assert.ok(existsSync(join(HOME, link)), link);
  });

  it('can be published', () => {
    const meta = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as Record<string, unknown>;
    assert.equal(meta.private, undefined);
    assert.deepEqual(meta.publishConfig, { access: 'public' });
    const home = String(meta.homepage);
    const readme = readFileSync(join(HOME, 'README.md'), 'utf8');
    assert.ok(readme.includes(`git clone ${home}.git`), 'the clone line and package.json name the same repository');
    const image = `${home.replace('https://github.com', 'ghcr.io')}:${meta.version}`;
    assert.ok(readme.includes(`docker run --rm -it --network host ${image} up`), `the README runs ${image}`);
  });

  it('keeps what is built where `npm ci --omit=dev` leaves no compiler, and says so where nothing is', async () => {
    const { scripts } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as { scripts: object };
    // npm runs these and `prepare` at `npm ci`.
    assert.deepEqual(
      Object.keys(scripts).filter((name) => /^(?:pre|post)?install$|^(?:pre|post)prepare$/.test(name)),
      [],
    );
    const place = join(folder, 'without-compiler');
    for (const name of ['package.json', 'prepare.js']) cpSync(join(HOME, name), join(place, name));
    const prepare = () => run('npm', ['run', 'prepare'], { cwd: place });
    await assert.rejects(prepare, /Nothing is built: run `npm ci`, which builds, and then `npm ci --omit=dev`/);
    mkdirSync(join(place, 'dist/cli'), { recursive: true });
    writeFileSync(join(place, 'dist/cli/main.js'), 'built');
    await prepare();
    assert.equal(readFileSync(join(place, 'dist/cli/main.js'), 'utf8'), 'built');
  });

  it('ends all processes of `npm start` by SIGTERM to npm', async () => {
    const base = await freePortsInARow(10);
    const child = await startChild('npm start', 'npm', ['start', '--', '--port-base', String(base)], {
      cwd: HOME,
      ready: async () => {
        const answer = await fetch(`http://127.0.0.1:${base}/servers/example/mcp`, { method: 'POST', body: '{}' });
        return answer.status === 401;
      },
    });
    const family = descendants(child.pid, await running());
    assert.ok(family.length >= 3, 'forward-auth, the relay and who started them');
    await child.stop();
    await until('all have ended', async () => {
      const left = await running();
      return family.every((pid) => !left.has(pid));
    });
  });

  describe('installed into an empty folder', () => {
    let command: string;
    before(async function () {
      this.timeout(240_000);
      const { filename } = await pack('--pack-destination', folder);
      const args = ['install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, filename)];
      try {
        await run('npm', args, { cwd: folder, timeout: 200_000 });
      } catch (error) {
        process.stderr.write(
          `  skipped: its dependencies cannot be fetched (${(error as Error).message.split('\n')[0]})\n`,
        );
        this.skip();
      }
      command = join(folder, 'node_modules/.bin/postern');
    });

    it('says its version, and makes secrets', async () => {
      const { version } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as { version: string };
      assert.equal((await run(command, ['--version'], { cwd: folder })).stdout.trim(), version);
      assert.match((await run(command, ['secrets'], { cwd: folder })).stdout, /^POSTERN_RELAY_TRUST_SECRET=\S{43}$/m);
    });

    it('writes a folder, which check takes', async () => {
      const dir = join(folder, 'made');
      const args = ['--dir', dir, '--proxy', 'caddy', '--provider', 'entra', '--issuer', 'https://idp.example.com'];
      const more = [
        '--client-id',
        'postern',
        '--server',
        'a=https://a.example.com/mcp',
        '--groups',
        '22222222-2222-2222-2222-222222222222',
      ];
      await run(command, ['init', ...args, ...more], { cwd: folder });
      assert.match((await run(command, ['check'], { cwd: dir })).stdout, /^postern\.yaml: the configuration /m);
    });

    it('needs nothing that only builds or tests need', () => {
      for (const name of ['typescript', 'mocha', 'tsx', 'testcontainers'])
        assert.ok(!existsSync(join(folder, 'node_modules', name)), name);
    });

    it('starts everything at once, and lets nobody in without a token', async () => {
      const base = await freePortsInARow(10);
      const ask = () => fetch(`http://127.0.0.1:${base}/servers/example/mcp`, { method: 'POST', body: '{}' });
      // The edge listens first, and says 503 until the two processes are there.
      const ready = async () => (await ask()).status !== 503;
      const child = await startChild('postern up', command, ['up', '--port-base', String(base)], {
        cwd: folder,
        ready,
      });
      try {
        const answer = await ask();
        assert.equal(answer.status, 401);
        assert.match(answer.headers.get('www-authenticate') ?? '', /resource_metadata=/);
      } finally {
        assert.equal(await child.stop(), 0, child.output);
      }
    });
  });
});
