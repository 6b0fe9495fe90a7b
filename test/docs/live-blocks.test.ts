import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { WebSocket } from 'ws';
import { clientOrSkip } from '../support/client-programs.ts';
import { freePortsInARow } from '../support/free-port.ts';
import { cleanEnvironment, type RunningPostern, startPostern } from '../support/run-postern.ts';
import { blocksOf, HOME, pageAt, pages } from './pages.ts';
import { shellCommands } from './shell.ts';

const run = promisify(execFile);
/** Ports of `postern up` on the pages, by their distance from the base of `--port-base`. */
const PORTS: Readonly<Record<string, number>> = { 8080: 0, 4180: 1, 4444: 3, 4192: 4, 4191: 5, 9464: 6, 9465: 7 };
/** Addresses that nobody reaches in `postern up`, because they need a sign-in that it has not, and the test that asks them. */
const ASKED_BY: Readonly<Record<string, string>> = {
  '/admin/': 'test/relay/admin/api.test.ts',
  '/denials': 'test/e2e/denials.test.ts',
};
const TOOLS = ['add', 'countdown', 'echo'];

describe('blocks of the pages against a running postern up', function () {
  this.timeout(60_000);
  let running: RunningPostern;
  let base: number;
  let token: string;
  let server: string;

  before(async () => {
    base = await freePortsInARow(10);
    running = startPostern(['up', '--port-base', String(base)]);
    await running.until(/^ready [\s\S]*Ctrl-C/m);
    server = `http://127.0.0.1:${base}/servers/example/mcp`;
    const [line] = /^TOKEN=.*$/m.exec(running.stdout()) ?? assert.fail(running.stdout());
    const { stdout } = await run('sh', ['-c', `${line}; printf %s "$TOKEN"`], { env: cleanEnvironment() });
    token = stdout.trim();
  });
  after(async () => {
    if (running?.child.exitCode === null) running.child.kill('SIGTERM');
    await running?.ended;
  });

  const here = (text: string) =>
    text.replaceAll(/127\.0\.0\.1:(\d+)/g, (address, port: string) => {
      const distance = PORTS[port];
      return distance === undefined
        ? assert.fail(`${address} is not an address of postern up`)
        : `127.0.0.1:${base + distance}`;
    });

  const curls = pages().flatMap((page) =>
    blocksOf(page)
      .filter(({ language }) => language === 'sh')
      .flatMap(({ text }) => shellCommands(text))
      .filter(({ words }) => words[0] === 'curl')
      .map((command) => ({ page, ...command })),
  );
  const askedBy = (text: string) => Object.entries(ASKED_BY).find(([path]) => text.includes(path))?.[1];

  it('has commands to run', () => assert.ok(curls.length >= 6));

  for (const { page, text, comment } of curls)
    it(`${page.path}: ${text} answers ${comment}`, async () => {
      const elsewhere = askedBy(text);
      if (elsewhere !== undefined) return assert.ok(existsSync(join(HOME, elsewhere)), elsewhere);
      const [expected] = /^\d{3}/.exec(comment) ?? assert.fail('the comment names no status');
      const script = `${here(text)} -o /dev/null -w '%{http_code}'`;
      const { stdout } = await run('bash', ['-euc', script], { env: cleanEnvironment({ TOKEN: token }) });
      assert.equal(stdout, expected);
    });

  it('answers an upgrade as docs/troubleshooting.md says', async () => {
    const opened = (headers: Record<string, string>) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(server.replace(/^http/, 'ws').replace(/mcp$/, 'ws'), ['mcp'], { headers });
        socket.on('upgrade', ({ statusCode }) => resolve(statusCode ?? 0));
        socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode ?? 0));
        socket.on('open', () => socket.close());
        socket.on('error', () => {});
      });
    assert.equal(await opened({}), 401);
    assert.equal(await opened({ Authorization: `Bearer ${token}` }), 101);
  });

  describe('docs/mcp-clients.md', () => {
    const block = (language: string) =>
      blocksOf(pageAt('docs/mcp-clients.md')).find((one) => one.language === language)?.text ?? assert.fail(language);
    let folder: string;
    before(() => {
      // Inside the project, whose packages the block imports.
      mkdirSync(join(HOME, '.cache'), { recursive: true });
      folder = mkdtempSync(join(HOME, '.cache', 'page-'));
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    it('connects by its TypeScript', async () => {
      const file = join(folder, 'client.ts');
      writeFileSync(file, block('ts'));
      const { connect } = (await import(pathToFileURL(file).href)) as {
        connect(address: string, token: string): Promise<Client>;
      };
      const client = await connect(server, token);
      assert.deepEqual((await client.listTools()).tools.map(({ name }) => name).toSorted(), TOOLS);
      await client.close();
      await assert.rejects(connect(server, 'wrong'));
    });

    it('connects by its Python', async function () {
      this.timeout(360_000);
      const python = await clientOrSkip(this, 'python');
      const main = 'import asyncio, json, sys\nprint(json.dumps(asyncio.run(list_tools(*sys.argv[1:3]))))';
      const file = join(mkdtempSync(join(tmpdir(), 'postern-page-')), 'client.py');
      writeFileSync(file, `${block('python')}\n\n${main}\n`);
      const { stdout } = await run(python, [file, server, token], { env: cleanEnvironment(), timeout: 60_000 });
      assert.deepEqual((JSON.parse(stdout) as string[]).toSorted(), TOOLS);
      rmSync(join(file, '..'), { recursive: true, force: true });
    });

    it('shows JSON that is JSON', () => {
      for (const { language, text } of blocksOf(pageAt('docs/mcp-clients.md')))
        if (language === 'json') assert.ok(Object.keys(JSON.parse(text) as object).length > 0);
    });
  });
});
