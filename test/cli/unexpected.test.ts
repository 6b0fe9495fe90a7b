import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { EXIT_UNEXPECTED } from '../../src/cli/command.ts';
import { verifyChain } from '../../src/platform/audit/verify.ts';
import { freePorts } from '../support/free-port.ts';
import { POSTERN_COMMAND } from '../support/postern-process.ts';
import { cleanEnvironment } from '../support/run-postern.ts';
import { until } from '../support/until.ts';

/** At SIGUSR2 something fails that nobody catches. */
const PLANTED = {
  'an exception': 'throw new Error("planted Bearer abcdefghijklmnopqrstuvwxyz0123456789")',
  'a promise without an owner': 'void Promise.reject(new Error("planted"))',
  'a rejection that is no error': 'void Promise.reject("planted")',
  'an event "error" without a listener': 'new (require("node:events"))().emit("error", new Error("planted"))',
} as const;

const REQUEST = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"work"}}';

describe('a process that fails, or whose log nobody reads', function () {
  this.timeout(90_000);
  let folder: string;
  const running: ChildProcess[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(`${tmpdir()}/postern-unexpected-`);
  });
  afterEach(async () => {
    for (const child of running.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  /** @param fault runs at SIGUSR2 */
  async function start(command: 'auth' | 'relay', audit: object, fault = '', server = 'http://127.0.0.1:9/mcp') {
    const [listen, internalListen] = (await freePorts(2)).map((port) => `127.0.0.1:${port}`) as [string, string];
    const own = { listen, internalListen };
    const config = {
      publicUrl: 'https://mcp.example.com',
      drain: '200ms',
      audit,
      auth: { ...own, rules: [{ match: { path: '/**' }, public: true }] },
      relay: { ...own, servers: { one: { url: server, era: 'both' } } },
    };
    await writeFile(`${folder}/postern.yaml`, stringify(config));
    await writeFile(`${folder}/fault.cjs`, `process.on('SIGUSR2', () => { setImmediate(() => { ${fault} }); });`);
    const child = spawn(
      process.execPath,
      ['--require', `${folder}/fault.cjs`, ...POSTERN_COMMAND, command, '--config', `${folder}/postern.yaml`],
      {
        env: cleanEnvironment(),
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    running.push(child);
    let log = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        log += text;
      });
    const ended = once(child, 'exit').then(([code, signal]) => (signal ?? code) as number | string);
    const ask = async () => {
      const headers = {
        'X-Authenticated-User': 'alice',
        'Content-Type': 'application/json',
        'X-Forwarded-Uri': '/x',
        'X-Forwarded-Method': 'GET',
        'X-Forwarded-Host': 'mcp.example.com',
        'X-Forwarded-Proto': 'https',
      };
      const answer =
        command === 'relay'
          ? await fetch(`http://${listen}/servers/one/mcp`, { method: 'POST', headers, body: REQUEST })
          : await fetch(`http://${listen}/verify/traefik`, { headers });
      await answer.body?.cancel();
      return answer.status;
    };
    const isUp = () =>
      fetch(`http://${internalListen}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      );
    while (!(await isUp())) {
      assert.equal(child.exitCode, null, log);
      await sleep(100);
    }
    return { child, ended, ask, log: () => log };
  }

  it('a tool call that is under way when the relay fails is in the audit log', async () => {
    let asked = 0;
    const silent = createServer(() => {
      asked += 1;
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const path = `${folder}/relay.jsonl`;
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/mcp`;
    const audit = { file: { path: `${folder}/{process}.jsonl` }, chain: { enabled: true } };
    const { child, ended, ask } = await start('relay', audit, PLANTED['an exception'], url);
    const lost = ask().catch(() => 0);
    await until('the server has the call', () => asked === 1);
    child.kill('SIGUSR2');
    assert.equal(await ended, EXIT_UNEXPECTED);
    await lost;
    silent.closeAllConnections();
    silent.close();
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    const [first] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      [first?.event, first?.outcome, first?.user, first?.object],
      ['tool_call', 'admitted', 'alice', 'work'],
    );
    assert.deepEqual((await verifyChain([path], undefined)).problems, []);
  });

  for (const command of ['auth', 'relay'] as const) {
    for (const [what, fault] of Object.entries(PLANTED))
      it(`postern ${command}: ${what} is logged without secrets, the audit log is written, and the exit code says so`, async () => {
        const path = `${folder}/${command === 'auth' ? 'forward-auth' : 'relay'}.jsonl`;
        const { child, ended, ask, log } = await start(
          command,
          { file: { path: `${folder}/{process}.jsonl` }, chain: { enabled: true } },
          fault,
        );
        await Promise.all(Array.from({ length: 20 }, ask));
        child.kill('SIGUSR2');
        assert.equal(await ended, EXIT_UNEXPECTED);
        assert.match(log(), /"level":"fatal".*the process failed unexpectedly/);
        assert.doesNotMatch(log(), /abcdefghijklmnopqrstuvwxyz0123456789/);
        const lines = (await readFile(path, 'utf8')).trim().split('\n');
        assert.ok(lines.length >= 20, `${lines.length} lines`);
      });

    it(`postern ${command}: a reader of the log that goes away ends nothing, nor does it keep SIGTERM from ending`, async () => {
      const { child, ended, ask } = await start(command, { stdout: true });
      child.stdout?.destroy();
      for (let request = 0; request < 10; request++) assert.ok((await ask()) > 0);
      assert.equal(child.exitCode, null);
      child.kill('SIGTERM');
      assert.equal(await ended, 0);
    });

    it(`postern ${command}: a reader of the log that does not read keeps nobody waiting, nor SIGTERM from ending`, async () => {
      const { child, ended, ask } = await start(command, { stdout: true });
      child.stdout?.removeAllListeners('data').pause();
      const many = async () => {
        for (let request = 0; request < 15; request++) await ask();
      };
      await Promise.all(Array.from({ length: 20 }, many));
      assert.ok((await ask()) > 0);
      child.kill('SIGTERM');
      assert.equal(await ended, 0);
    });
  }
});
