import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parse } from 'yaml';
import { main } from '../../src/cli/main.ts';
import { importSigningKey } from '../../src/identity/assertion.ts';
import { loadConfig, parseConfig } from '../../src/platform/config/load.ts';
import { POSTERN_COMMAND } from '../support/postern-process.ts';
import { runPostern, startPostern } from '../support/run-postern.ts';

async function run(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(argv, {
    env,
    print: (text) => void out.push(text),
    printError: (text) => void err.push(text),
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('postern', () => {
  it('has these commands', async () => {
    const { code, out } = await run(['--help']);
    assert.equal(code, 0);
    const commands = [...out.matchAll(/^ {2}([a-z][a-z-]*) {2}/gm)].map((match) => match[1]);
    assert.deepEqual(commands, [
      'up',
      'init',
      'auth',
      'relay',
      'health',
      'check',
      'doctor',
      'verify',
      'explain',
      'config',
      'secrets',
      'sessions',
      'suspend',
      'unsuspend',
      'api-keys',
      'clients',
      'grants',
      'audit',
      'pins',
      'migration',
      'completion',
    ]);
  });

  for (const [argv, code] of [
    [['--help'], 0],
    [['config', 'reference'], 0],
    [['config', 'schema'], 0],
    [['check', '--config', '/nowhere/postern.yaml'], 78],
  ] as const)
    it(`outlives whoever reads its output: ${argv.join(' ')}`, async function () {
      this.timeout(60_000);
      const started = startPostern(argv);
      started.child.stdout?.destroy();
      assert.equal(await started.ended, code, started.stderr());
      assert.doesNotMatch(started.stderr(), /EPIPE|node:/);
    });

  it('says that its output cannot be written', async function () {
    this.timeout(60_000);
    if (!existsSync('/dev/full')) this.skip();
    const full = openSync('/dev/full', 'w');
    const child = spawn(process.execPath, [...POSTERN_COMMAND, 'config', 'schema'], {
      stdio: ['ignore', full, 'pipe'],
    });
    closeSync(full);
    const said = text(child.stderr ?? assert.fail());
    const [code] = await once(child, 'exit');
    assert.equal(code, 1);
    assert.equal(await said, 'postern: the output cannot be written (ENOSPC)\n');
  });

  it('prints its version', async () => {
    assert.match((await run(['--version'])).out, /^\d+\.\d+\.\d+/);
  });

  for (const [argv, message] of [
    [['chekc'], /unknown command "chekc"; did you mean check\?/],
    [['constructor'], /unknown command "constructor"; there are: up, init, auth/],
    [['check', '--confg', 'x'], /unknown option --confg; did you mean --config\?/],
    [['check', 'extra'], /wrong number of arguments; usage: postern check/],
    [['config', 'refrence'], /no `refrence`/],
    [['explain', 'not-a-url'], /"not-a-url" is not an http or https URL/],
    [['explain', 'http://a/', '--groups', 'x'], /need --user/],
    [['explain', 'http://a/', '--header', 'nonsense'], /'NAME: VALUE'/],
    [['up', '--port-base', '70000'], /--port-base must be a whole number/],
    [['secrets', '--format', 'xml'], /--format is env or yaml/],
  ] as Array<[string[], RegExp]>)
    it(`ends with 64 and a suggestion: postern ${argv.join(' ')}`, async () => {
      const { code, out, err } = await run(argv);
      assert.equal(code, 64);
      assert.match(err, message);
      assert.equal(out, '');
    });

  it('ends with 64 and the help where no command is given', async () => {
    const { code, err } = await run([]);
    assert.equal(code, 64);
    assert.match(err, /^Usage: postern/);
  });
});

describe('postern check', () => {
  it('is content with a right configuration and passes warnings on', async () => {
    const { code, err } = await run(['check'], { POSTERN_DRAIM: '1s' });
    assert.equal(code, 0);
    assert.match(err, /warning: POSTERN_DRAIM is not a setting.*POSTERN_DRAIN/);
  });

  it('prints each problem with its path and ends with 78', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-test-'));
    const file = join(directory, 'p.yaml');
    writeFileSync(file, 'drian: 1s\nauth: { listen: x }');
    const { code, out, err } = await run(['--config', file, 'check']);
    rmSync(directory, { recursive: true });
    assert.equal(code, 78);
    assert.deepEqual(
      out.split('\n').map((line) => line.split(': ')[0]),
      [`auth.listen (${file}:2)`, `drian (${file}:1)`],
    );
    assert.equal(err, '2 problems found');
  });
});

describe('postern secrets', () => {
  it('prints a part of the configuration that is accepted as it is', async () => {
    const { out } = await run(['secrets', '--format', 'yaml']);
    const config = parseConfig(parse(out));
    assert.equal(Buffer.from(config.relay.sessionKey ?? '', 'base64url').length, 32);
    assert.ok((config.relay.trust.secret?.[0] ?? '').length >= 43);
    assert.equal(Buffer.from(config.auth.sessions.keys ?? '', 'base64url').length, 32);
    assert.equal(Buffer.from(config.watch.key ?? '', 'base64url').length, 32);
    assert.ok((config.auth.operatorToken?.[0] ?? '').length >= 43);
    const { keys } = JSON.parse(config.auth.assertion.keys ?? '');
    assert.equal(keys.length, 1);
    const key = await importSigningKey(keys[0]);
    assert.equal(key.alg, 'ES256');
    assert.equal(key.kid, keys[0].kid);
  });

  it('prints environment lines, others each time', async () => {
    const [first, second] = [(await run(['secrets'])).out, (await run(['secrets'])).out];
    const names = (text: string) => [...text.matchAll(/^(\w+)=/gm)].map((match) => match[1]);
    assert.deepEqual(names(first), [
      'POSTERN_RELAY_TRUST_SECRET',
      'POSTERN_RELAY_SESSION_KEY',
      'POSTERN_AUTH_ASSERTION_KEYS',
      'POSTERN_AUTH_SESSIONS_KEYS',
      'POSTERN_WATCH_KEY',
      'POSTERN_AUTH_OPERATOR_TOKEN',
      'POSTERN_RELAY_OPERATOR_TOKEN',
    ]);
    const lines = new Set([...first.split('\n').slice(1), ...second.split('\n').slice(1)]);
    assert.equal(lines.size, 14);
  });

  describe('for the other side, read back by postern', () => {
    let directory: string;
    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'postern-test-'));
    });
    afterEach(() => rmSync(directory, { recursive: true }));

    const shown = (text: string) =>
      Object.fromEntries(
        text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
    const check = (env: Record<string, string>) => {
      const { config, warnings } = loadConfig(undefined, env);
      assert.deepEqual(warnings, []);
      assert.equal(JSON.parse(config.auth.assertion.keys ?? '').keys[0].alg, 'ES256');
      for (const key of [config.relay.sessionKey, config.auth.sessions.keys, config.watch.key])
        assert.equal(Buffer.from(key ?? '', 'base64url').length, 32);
      for (const [token] of [config.relay.trust.secret, config.auth.operatorToken, config.relay.operatorToken].map(
        (all) => all ?? [],
      ))
        assert.match(token ?? '', /^[\w-]{43}$/);
    };

    it('--env-file: docker takes each line as it is', async () => {
      check(shown((await run(['secrets', '--env-file'])).out));
    });

    /** Those that name a file with keys, as if they held the keys themselves. */
    const byValue = (env: Record<string, string>) =>
      Object.fromEntries(Object.entries(env).map(([name, path]) => [name.replace(/_PATH$/, '_FILE'), path]));

    it('--dir: keys by paths that are read again, so that they rotate without a restart', async () => {
      const { config } = loadConfig(undefined, shown((await run(['secrets', '--dir', join(directory, 'a')])).out));
      assert.deepEqual(
        [config.relay.sessionKeyPath, config.auth.sessions.keysPath, config.auth.assertion.keysPath],
        ['relay-session-key', 'session-keys', 'assertion-keys'].map((name) => join(directory, 'a', name)),
      );
    });

    it('--dir: files for their owner alone, or for a group, and never over another', async () => {
      const at = join(directory, 'a', 'b');
      check(byValue(shown((await run(['secrets', '--dir', at])).out)));
      const modes = (folder: string) =>
        new Set(readdirSync(folder).map((name) => statSync(join(folder, name)).mode & 0o777));
      assert.deepEqual([statSync(at).mode & 0o777, ...modes(at)], [0o700, 0o600]);
      const before = readFileSync(join(at, 'watch-key'), 'utf8');
      rmSync(join(at, 'relay-trust-secret'));
      const again = await run(['secrets', '--dir', at]);
      assert.equal(again.code, 1);
      assert.match(again.err, /relay-session-key is there already.*no file was written/);
      assert.equal(readFileSync(join(at, 'watch-key'), 'utf8'), before);
      assert.ok(!readdirSync(at).includes('relay-trust-secret'));
      const group = join(directory, 'c');
      check(byValue(shown((await run(['secrets', '--dir', group, '--group', String(process.getgid?.())])).out)));
      assert.deepEqual([statSync(group).mode & 0o777, ...modes(group)], [0o750, 0o640]);
    });

    it('--kubernetes: a Secret whose keys the chart mounts', async () => {
      const { out } = await run(['secrets', '--kubernetes', '--name', 'own']);
      const { kind, metadata, stringData } = parse(out);
      const values = parse(
        out
          .split('\n')
          .filter((line) => /^# +\S/.test(line))
          .slice(1)
          .map((line) => line.slice(2))
          .join('\n'),
      );
      assert.deepEqual([kind, metadata.name, values.secrets.existingSecret], ['Secret', 'own', 'own']);
      const env: Record<string, string> = {};
      for (const [variable, key] of Object.entries<string>(values.secrets.files)) {
        writeFileSync(join(directory, key), stringData[key]);
        env[`${variable}_FILE`] = join(directory, key);
      }
      assert.deepEqual(Object.keys(stringData), Object.values(values.secrets.files));
      check(env);
    });

    it('refuses what does not go together', async () => {
      for (const wrong of [
        ['--dir', directory, '--env-file'],
        ['--kubernetes', '--format', 'yaml'],
        ['--group', '1'],
        ['--dir', directory, '--group', 'x'],
        ['--dir', ''],
        ['--kubernetes', '--name', 'A_b'],
      ])
        assert.deepEqual([(await run(['secrets', ...wrong])).code, readdirSync(directory)], [64, []], wrong.join(' '));
    });
  });
});

for (const command of ['auth', 'relay'] as const)
  describe(`postern ${command}`, () => {
    const address = command === 'auth' ? 'POSTERN_AUTH' : 'POSTERN_RELAY';
    const free = { [`${address}_LISTEN`]: '127.0.0.1:0', [`${address}_INTERNAL_LISTEN`]: '127.0.0.1:0' };

    it('ends with 78 and one message on standard error where the configuration is wrong', async () => {
      const { code, stdout, stderr } = await runPostern([command], { ...free, POSTERN_DRAIN: 'soon' });
      assert.equal(code, 78);
      assert.equal(stdout, '');
      assert.match(stderr, /^postern: the configuration is wrong:\n {2}drain: must be a duration/);
    });

    it('ends with 1 and says so where its port is taken', async () => {
      const taken = createServer().listen(0, '127.0.0.1');
      await once(taken, 'listening');
      const { port } = taken.address() as AddressInfo;
      const { code, stderr } = await runPostern([command], { ...free, [`${address}_LISTEN`]: `127.0.0.1:${port}` });
      taken.close();
      assert.equal(code, 1);
      assert.match(
        stderr,
        new RegExp(
          `^postern: (?:auth|relay)\\.\\w+: cannot listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE\\n.*another program`,
        ),
      );
    });

    it('ends with 1 and says what to write where no network here has its address', async () => {
      // TEST-NET-1 (RFC 5737).
      const proof = { POSTERN_RELAY_TRUST_SECRET: 's'.repeat(43) };
      const { code, stderr } = await runPostern([command], { ...free, ...proof, [`${address}_LISTEN`]: '192.0.2.7:0' });
      assert.equal(code, 1);
      assert.match(stderr, /\.listen: cannot listen on 192\.0\.2\.7:0: EADDRNOTAVAIL\n.*has that address: in `listen`/);
    });

    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      it(`logs JSON, and drains and ends with 0 at ${signal}`, async () => {
        const running = startPostern([command], free);
        await running.until(/"message":"listening"/);
        running.child.kill(signal);
        assert.equal(await running.ended, 0);
        for (const line of running.stdout().trim().split('\n')) assert.equal(typeof JSON.parse(line).level, 'string');
        assert.match(running.stdout(), /"message":"stopped"/);
      });
  });
