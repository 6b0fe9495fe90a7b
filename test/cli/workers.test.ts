import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { describe, it } from 'mocha';
import { parse, stringify } from 'yaml';
import { freePorts } from '../support/free-port.ts';
import type { RunningPostern } from '../support/run-postern.ts';
import { until } from '../support/until.ts';
import { checkAnew, workersStage } from './support/workers-stage.ts';

const key = () => randomBytes(32).toString('base64url');
const OPERATOR = 'the operator of the workers';

describe('several workers of one process', function () {
  this.timeout(90_000);
  const stage = workersStage();
  let port: number;
  let internal: string;

  async function start(command: 'auth' | 'relay', part: object = {}, whole: object = {}): Promise<RunningPostern> {
    const [listen, own] = (await freePorts(2)) as [number, number];
    port = listen;
    internal = `http://127.0.0.1:${own}`;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const assertion = { keys: JSON.stringify({ keys: [privateKey.export({ format: 'jwk' })] }) };
    const settings =
      command === 'auth'
        ? { assertion, rules: [{ match: { path: '/**' }, public: true }] }
        : { sessionKey: key(), servers: { one: { url: 'http://127.0.0.1:9/mcp' } } };
    const config = {
      publicUrl: 'https://mcp.example.com',
      drain: '300ms',
      redis: { url: stage.redisUrl, keyPrefix: `${key()}:` },
      [command]: {
        ...{ listen: `127.0.0.1:${listen}`, internalListen: `127.0.0.1:${own}`, operatorToken: OPERATOR, workers: 2 },
        ...settings,
        ...part,
      },
      ...whole,
    };
    await writeFile(`${stage.folder}/postern.yaml`, stringify(config));
    return stage.start([command, '--config', `${stage.folder}/postern.yaml`]);
  }

  const serving = (postern: RunningPostern) => postern.until(/all workers serve/);
  const workersOf = ({ pid }: RunningPostern) =>
    execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(/\s+/)
      .map(Number);
  const children = (postern: RunningPostern) => workersOf(postern).filter((pid) => isNode(pid));
  const isNode = (pid: number) => {
    try {
      return /postern(?:-entry\.ts|\.js)/.test(
        execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }),
      );
    } catch {
      return false;
    }
  };

  const check = () => checkAnew(port, '/page');

  /** To a server that is not there: 502 where the relay lets it through. */
  async function call(more: Record<string, string> = {}): Promise<number> {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add' } });
    const headers = { 'X-Authenticated-User': 'alice', 'Content-Type': 'application/json', ...more };
    const options = { host: '127.0.0.1', port, path: '/servers/one/mcp', method: 'POST', headers, agent: false };
    const [answer] = await once(request(options).end(body), 'response');
    answer.resume();
    return answer.statusCode;
  }

  const metric = async (pattern: RegExp, accept = 'text/plain') => {
    const answer = await fetch(`${internal}/metrics`, { headers: { Accept: accept } });
    return [...(await answer.text()).matchAll(pattern)].map(([, value]) => Number(value));
  };

  it('count one limit together, and their metrics as one', async () => {
    const limits = [{ by: 'address', limit: 5, per: '1h' }];
    await serving(await start('auth', { rateLimits: limits }));
    const statuses: number[] = [];
    for (let i = 0; i < 9; i++) statuses.push(await check());
    assert.deepEqual(statuses.toSorted(), [200, 200, 200, 200, 200, 429, 429, 429, 429]);
    for (const accept of ['text/plain', 'application/openmetrics-text']) {
      const counted = await metric(/^postern_auth_decisions_total\{.*\} (\d+)/gm, accept);
      assert.equal(
        counted.reduce((sum, one) => sum + one, 0),
        9,
        accept,
      );
      assert.deepEqual(await metric(/^postern_build_info\{.*\} (\d+)/gm, accept), [1]);
      assert.deepEqual(await metric(/^postern_store_up (\d+)/gm, accept), [1]);
    }
  });

  it('count one limit of the relay together', async () => {
    const rateLimits = [{ by: 'user', limit: 5, per: '1h' }];
    await serving(await start('relay', { rateLimits }));
    const statuses: number[] = [];
    for (let i = 0; i < 9; i++) statuses.push(await call());
    assert.deepEqual(statuses.toSorted(), [429, 429, 429, 429, 502, 502, 502, 502, 502]);
    const limited = await metric(/^postern_rate_limited_total\{.*\} (\d+)/gm);
    assert.deepEqual(limited, [4]);
  });

  for (const command of ['auth', 'relay'] as const)
    it(`answer operators and probes as one ${command}, and stop together`, async () => {
      const postern = await start(command);
      await serving(postern);
      assert.equal(children(postern).length, 2);
      for (const path of ['/healthz', '/readyz', '/readyz?strict', '/configz', '/metrics'])
        assert.equal((await fetch(internal + path)).status, 200, path);
      assert.equal((await fetch(`${internal}/nothing`)).status, 404);
      const suspensions = (token: string) =>
        fetch(`${internal}/suspensions`, { headers: { Authorization: `Bearer ${token}` } });
      assert.equal((await suspensions('another')).status, 401);
      assert.equal((await suspensions(OPERATOR)).status, 200);
      const pids = children(postern);
      postern.child.kill('SIGTERM');
      assert.equal(await postern.ended, 0);
      for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    });

  it('replace one that was killed or stopped, while the others answer', async () => {
    const postern = await start('auth');
    await serving(postern);
    for (const [at, signal] of (['SIGKILL', 'SIGTERM'] as const).entries()) {
      const before = children(postern);
      process.kill(before[0] as number, signal);
      if (signal === 'SIGKILL') await postern.until(/a worker ended/);
      for (let i = 0; i < 40; i++) assert.equal(await check(), 200);
      await until(`a worker takes the place of one that got ${signal}`, () => {
        const now = children(postern);
        return now.length === 2 && !now.includes(before[0] as number);
      });
      await postern.until(new RegExp(`(?:a worker was replaced[^]*){${at + 1}}`));
      assert.equal((await fetch(`${internal}/readyz`)).status, 200);
      assert.equal(await check(), 200);
    }
  });

  it('let no counter fall where one of them ends, or does not answer', async () => {
    const postern = await start('auth');
    await serving(postern);
    const COUNTS =
      /^((?:postern_auth_decisions_total|postern_auth_decision_duration_seconds_(?:count|sum|bucket)|process_cpu_seconds_total)(?:\{.*\})?) ([\d.e-]+)/gm;
    const counts = async () => {
      const text = await (await fetch(`${internal}/metrics`)).text();
      return new Map([...text.matchAll(COUNTS)].map(([, name = '', value]) => [name, Number(value)]));
    };
    const decided = async () => {
      const found = [...(await counts())].filter(([name]) => name.startsWith('postern_auth_decisions_total'));
      return found.reduce((sum, [, value]) => sum + value, 0);
    };
    const fallen = (before: Map<string, number>, now: Map<string, number>) =>
      [...before].filter(([name, value]) => (now.get(name) ?? -1) < value).map(([name]) => name);
    let total = 0;
    for (const round of [1, 2]) {
      for (let i = 0; i < 20; i++, total++) assert.equal(await check(), 200);
      const before = await counts();
      assert.equal(await decided(), total);
      process.kill(children(postern)[0] as number, 'SIGKILL');
      await postern.until(new RegExp(`(?:a worker ended[^]*){${round}}`));
      assert.deepEqual(fallen(before, await counts()), [], 'while it is away');
      await postern.until(new RegExp(`(?:a worker was replaced[^]*){${round}}`));
      assert.deepEqual(fallen(before, await counts()), [], 'after it was replaced');
      assert.equal(await decided(), total);
    }
    const before = await counts();
    const [silent] = children(postern) as [number];
    process.kill(silent, 'SIGSTOP');
    try {
      assert.deepEqual(fallen(before, await counts()), [], 'while one stands still');
    } finally {
      process.kill(silent, 'SIGCONT');
    }
    for (let i = 0; i < 6; i++, total++) assert.equal(await check(), 200);
    assert.equal(await decided(), total);
  });

  it('run by one configuration where the file changed again before all had read it', async () => {
    const postern = await start('auth');
    await serving(postern);
    const file = `${stage.folder}/postern.yaml`;
    const open = await readFile(file, 'utf8');
    const [late] = children(postern) as [number];
    process.kill(late, 'SIGSTOP');
    try {
      await writeFile(file, open.replace('/**', '/other/**'));
      postern.child.kill('SIGHUP');
      await postern.until(/the configuration was read again/);
      await writeFile(file, `${open}wrong: true\n`);
      postern.child.kill('SIGHUP');
      await postern.until(/the one before goes on/);
    } finally {
      process.kill(late, 'SIGCONT');
    }
    await until('all workers run by the same', async () => {
      const statuses = new Set<number>();
      for (let i = 0; i < 8; i++) statuses.add(await check());
      return statuses.size === 1 && !statuses.has(200);
    });
  });

  it('are without one that cannot use what the others have read', async () => {
    const postern = await start('relay');
    await serving(postern);
    const file = `${stage.folder}/postern.yaml`;
    const secret = `${stage.folder}/secret`;
    const statuses = async (more: Record<string, string> = {}) => {
      const found = new Set<number>();
      for (let i = 0; i < 6; i++) found.add(await call(more));
      return [...found];
    };
    assert.deepEqual(await statuses(), [502]);
    const config = parse(await readFile(file, 'utf8'));
    const [late] = children(postern) as [number];
    process.kill(late, 'SIGSTOP');
    try {
      await writeFile(secret, 'the secret of the proxy');
      await writeFile(file, stringify({ ...config, relay: { ...config.relay, trust: { secretPath: secret } } }));
      postern.child.kill('SIGHUP');
      await postern.until(/the configuration was read again/);
      await rm(secret);
    } finally {
      process.kill(late, 'SIGCONT');
    }
    await postern.until(/what the other workers run by cannot be used here/);
    await postern.until(/a worker ended/);
    assert.deepEqual(await statuses(), [401]);
    await writeFile(secret, 'the secret of the proxy');
    await postern.until(/a worker was replaced/);
    assert.deepEqual(await statuses(), [401]);
    assert.deepEqual(await statuses({ 'X-Postern-Proxy-Secret': 'the secret of the proxy' }), [502]);
  });

  it('end with the error of one that cannot start', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port: busy } = taken.address() as { port: number };
    try {
      const postern = await start('auth', { listen: `127.0.0.1:${busy}` });
      assert.equal(await postern.ended, 1);
      assert.match(postern.stderr() + postern.stdout(), new RegExp(`cannot listen on 127.0.0.1:${busy}: EADDRINUSE`));
    } finally {
      taken.close();
    }
  });

  for (const [what, command, part, whole, problem] of [
    ['without Redis', 'auth', {}, { redis: undefined }, /auth\.workers: several workers need `redis`/],
    ['one a core without Redis', 'relay', { workers: 'auto' }, { redis: undefined }, /relay\.workers: .*`redis`/],
    ['with keys of their own', 'auth', { assertion: {} }, {}, /auth\.workers: .*auth\.assertion\.keysPath/],
    ['with keys of their own', 'relay', { sessionKey: undefined }, {}, /relay\.workers: .*relay\.sessionKeyPath/],
    ['of which there are none', 'auth', { workers: 0 }, {}, /auth\.workers: must be auto or a whole number/],
    ['of which there are one and a half', 'auth', { workers: 1.5 }, {}, /auth\.workers: must be auto/],
    ['of a word', 'relay', { workers: 'many' }, {}, /relay\.workers: must be auto/],
  ] as const)
    it(`are refused ${what} (${command})`, async () => {
      const postern = await start(command, part, whole);
      assert.notEqual(await postern.ended, 0);
      assert.match(postern.stderr(), problem);
    });
});
