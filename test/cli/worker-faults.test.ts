import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, it } from 'mocha';
import { stringify } from 'yaml';
import { socketFolder } from '../../src/cli/workers/socket-folder.ts';
import { freePorts } from '../support/free-port.ts';
import type { RunningPostern } from '../support/run-postern.ts';
import { until } from '../support/until.ts';
import { checkAnew, workersStage } from './support/workers-stage.ts';

const FIRST_SIGNAL = 1n;

describe('faults of processes with workers', function () {
  this.timeout(60_000);
  const stage = workersStage();
  let file: string;
  let port: number;
  let internal: number;
  beforeEach(async () => {
    file = `${stage.folder}/postern.yaml`;
    [port, internal] = (await freePorts(2)) as [number, number];
  });

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const assertion = { keys: JSON.stringify({ keys: [privateKey.export({ format: 'jwk' })] }) };
  const RULES = [
    { match: { path: '/open' }, public: true },
    { match: { path: '/page' }, allow: { groups: ['staff'] } },
  ];
  const written = (rules: object = RULES, part: object = {}, whole: object = {}) =>
    stringify({
      publicUrl: 'https://mcp.example.com',
      drain: '300ms',
      redis: { url: stage.redisUrl },
      auth: {
        listen: `127.0.0.1:${port}`,
        internalListen: `127.0.0.1:${internal}`,
        workers: 2,
        assertion,
        ...part,
        rules,
      },
      ...whole,
    });
  const start = async (text: string, env: Record<string, string> = {}, command = 'auth') => {
    await writeFile(file, text);
    return stage.start([command, '--config', file], env);
  };
  const serving = (postern: RunningPostern) => postern.until(/all workers serve/);
  const workersOf = ({ pid }: RunningPostern) =>
    execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number);

  const check = (path: string) => checkAnew(port, path);
  const checks = async (path: string) => [await check(path), await check(path), await check(path), await check(path)];
  const killOne = async (postern: RunningPostern) => {
    const [pid] = workersOf(postern);
    const replaced = postern.stdout().split('a worker was replaced').length;
    process.kill(pid as number, 'SIGKILL');
    await until('it is replaced', () => postern.stdout().split('a worker was replaced').length > replaced, 40_000);
  };

  describe('one that is replaced runs as the others do, where the file', () => {
    const CUT = (whole: string) => whole.slice(0, whole.indexOf('      allow:'));
    for (const [what, change] of [
      ['was cut short before what narrows a rule', CUT],
      ['was edited and cut short', (whole: string) => `# edited\n${CUT(whole)}`],
      ['is broken', () => 'auth: ['],
      ['is empty', () => ''],
      ['has an unknown key', (whole: string) => `wrong: true\n${whole}`],
    ] as const)
      it(what, async () => {
        const postern = await start(written());
        await serving(postern);
        assert.deepEqual(await checks('/page'), [401, 401, 401, 401]);
        await writeFile(file, change(written()));
        await postern.until(/the one before goes on/);
        await killOne(postern);
        assert.deepEqual(await checks('/page'), [401, 401, 401, 401]);
        assert.deepEqual(await checks('/open'), [200, 200, 200, 200]);
        // It goes on to look at the file.
        await writeFile(file, written([...RULES, { match: { path: '/new' }, public: true }]));
        await until('all take the next', async () => (await checks('/new')).every((status) => status === 200));
      });

    it('is gone', async () => {
      const postern = await start(written());
      await serving(postern);
      await rm(file);
      await killOne(postern);
      assert.deepEqual(await checks('/page'), [401, 401, 401, 401]);
    });

    it('was read again and is broken since', async () => {
      const postern = await start(written());
      await serving(postern);
      await writeFile(file, written([{ match: { path: '/page' }, public: true }]));
      await until('all have read it', async () => (await checks('/page')).every((status) => status === 200));
      await writeFile(file, 'auth: [');
      await postern.until(/the one before goes on/);
      await killOne(postern);
      assert.deepEqual(await checks('/page'), [200, 200, 200, 200]);
    });

    it('always ended within a line', async () => {
      const postern = await start(
        `${written().trimEnd()}\n# no line break at the end of what is last\ndrain: 200ms`.replace(
          'drain: 300ms\n',
          '',
        ),
      );
      await serving(postern);
      await killOne(postern);
      assert.deepEqual(await checks('/page'), [401, 401, 401, 401]);
      assert.doesNotMatch(postern.stdout(), /the one before goes on/);
    });
  });

  it('start where the folder for temporary files cannot be written, and leave nothing behind', async () => {
    const postern = await start(written(), { TMPDIR: '/proc/nowhere' });
    await serving(postern);
    assert.deepEqual(await checks('/open'), [200, 200, 200, 200]);
    assert.equal((await fetch(`http://127.0.0.1:${internal}/metrics`)).status, 200);
    const [own] = execFileSync('sh', ['-c', `ls -d /dev/shm/postern-workers-*`], { encoding: 'utf8' }).split('\n');
    assert.ok(own !== undefined && existsSync(own));
    postern.child.kill('SIGTERM');
    await postern.ended;
    assert.equal(existsSync(own), false);
  });

  it('say where no folder can be made', async () => {
    await assert.rejects(socketFolder(['/proc/nowhere', `${stage.folder}/none`]), {
      message: `no folder for the sockets of the workers can be made (/proc/nowhere: ENOENT, ${stage.folder}/none: ENOENT); set TMPDIR to a folder in which the process may write`,
    });
  });

  it('outlive SIGHUP from the first moment of each worker', async () => {
    const postern = await start(written());
    await until('workers are forked', () => {
      try {
        return workersOf(postern).length >= 2;
      } catch {
        return false;
      }
    });
    const timer = setInterval(() => postern.child.kill('SIGHUP'), 20);
    try {
      await serving(postern);
    } finally {
      clearInterval(timer);
    }
    await writeFile(file, written([{ match: { path: '/page' }, public: true }]));
    postern.child.kill('SIGHUP');
    await until('all have read it', async () => (await checks('/page')).every((status) => status === 200));
    assert.equal(postern.child.exitCode, null);
  });

  for (const command of ['auth', 'relay'] as const)
    it(`outlive SIGHUP before the configuration was read (${command})`, async () => {
      execFileSync('mkfifo', [file]);
      const postern = stage.start([command, '--config', file]);
      // It waits for the one who writes: from here on the signal is caught, or ends it.
      await until('the signal is caught', async () => {
        const status = await readFile(`/proc/${postern.pid}/status`, 'utf8');
        return (BigInt(`0x${/^SigCgt:\s*(\w+)/m.exec(status)?.[1]}`) & FIRST_SIGNAL) === FIRST_SIGNAL;
      });
      postern.child.kill('SIGHUP');
      await sleep(50);
      assert.equal(postern.child.signalCode, null);
      postern.child.kill('SIGKILL');
    });

  it('are ready while one of the workers is drained', async () => {
    const postern = await start(written(RULES, {}, { drain: { delay: '1s', timeout: '1s' } }));
    await serving(postern);
    const [pid] = workersOf(postern);
    process.kill(pid as number, 'SIGTERM');
    await postern.until(/draining/);
    let asked = 0;
    for (; !postern.stdout().includes('a worker ended'); asked++) {
      const ready = await fetch(`http://127.0.0.1:${internal}/readyz`);
      assert.equal(ready.status, 200, await ready.text());
      assert.equal(await check('/open'), 200);
    }
    assert.ok(asked > 10, String(asked));
    await postern.until(/a worker was replaced/);
    postern.child.kill('SIGTERM');
    await postern.until(/stopping all workers/);
    await until('all drain', async () => (await fetch(`http://127.0.0.1:${internal}/readyz`)).status === 503);
  });
});
