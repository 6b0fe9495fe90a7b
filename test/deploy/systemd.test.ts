import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { type Child, startChild } from '../support/child.ts';
import { freePorts } from '../support/free-port.ts';
import { POSTERN_COMMAND } from '../support/postern-process.ts';
import { runPostern } from '../support/run-postern.ts';

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL('../../deploy/systemd/', import.meta.url));
const UNITS = ['postern-forward-auth', 'postern-relay'] as const;
/** Of 100, as `systemd-analyze security` counts; what is not locked counts. */
const MOST_EXPOSED = 15;

/** Values of a key in a unit, in their order. */
function valuesOf(unit: string, key: string): string[] {
  return [...readFileSync(`${FOLDER}${unit}.service`, 'utf8').matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(
    ([, value]) => value as string,
  );
}

interface JWKS {
  readonly keys: readonly { readonly kid: string }[];
}

describe('the units of deploy/systemd', function () {
  this.timeout(60_000);
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-systemd-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const unit of UNITS) {
    it(`are units without a fault, and locked: ${unit}`, async function () {
      const known = await run('systemd-analyze', ['--version']).then(
        () => true,
        () => false,
      );
      if (!known && process.env.CI === 'true') throw new Error('needed in CI: systemd-analyze');
      if (!known) this.skip();
      // Verify wants the program to be there; everything else stays as it is.
      const text = readFileSync(`${FOLDER}${unit}.service`, 'utf8').replaceAll('/usr/bin/node', process.execPath);
      const file = join(folder, `${unit}.service`);
      writeFileSync(file, text);
      const { stdout, stderr } = await run('systemd-analyze', ['verify', file]);
      assert.equal(stdout + stderr, '');
      const security = ['security', '--offline=yes', `--threshold=${MOST_EXPOSED}`];
      await run('systemd-analyze', [...security, file]);
      writeFileSync(file, text.replaceAll(/^(?:Protect|Private|Restrict|DynamicUser|SystemCall).*\n/gm, ''));
      await assert.rejects(run('systemd-analyze', [...security, file]), 'a unit that is open would be found');
    });

    it(`get every secret as a credential, and none in the environment: ${unit}`, () => {
      const credentials = valuesOf(unit, 'LoadCredential').map((value) => value.split(':')[0] as string);
      const files = valuesOf(unit, 'Environment').filter((value) => value.startsWith('POSTERN_'));
      assert.deepEqual(
        files.map((value) => /^POSTERN_\w+_FILE=%d\/([\w-]+)$/.exec(value)?.[1]),
        credentials,
      );
      const page = readFileSync(`${FOLDER}README.md`, 'utf8');
      for (const value of valuesOf(unit, 'LoadCredential'))
        assert.ok(page.includes(`| \`${value.split('/').at(-1)}\``), `${value} is not on the page`);
    });
  }

  describe('run by their own commands and environment', () => {
    let children: Child[];
    let config: string;
    let authPort: number;
    let printed: ReadonlyMap<string, string>;
    const ports: Record<string, number> = {};

    before(async () => {
      const [auth, authInternal, relay, relayInternal] = (await freePorts(4)) as [number, number, number, number];
      authPort = auth;
      Object.assign(ports, { 'postern-forward-auth': authInternal, 'postern-relay': relayInternal });
      config = join(folder, 'postern.yaml');
      const at = (port: number) => `127.0.0.1:${port}`;
      const settings = {
        publicUrl: 'http://127.0.0.1:8080',
        auth: { listen: at(auth), internalListen: at(authInternal) },
        relay: {
          listen: at(relay),
          internalListen: at(relayInternal),
          servers: { one: { url: 'http://127.0.0.1:9/mcp' } },
        },
      };
      writeFileSync(config, stringify(settings));
      const { stdout } = await runPostern(['secrets']);
      printed = new Map(
        [...stdout.matchAll(/^(POSTERN_\w+)='?(.*?)'?$/gm)].map(([, name, value]) => [name as string, value as string]),
      );
      const start = (unit: string) => {
        const env: Record<string, string> = {};
        for (const line of valuesOf(unit, 'Environment')) {
          const [name = '', value = ''] = line.split('=');
          env[name] = value.replace('%d', folder);
          const secret = printed.get(name.replace(/_FILE$/, ''));
          if (secret !== undefined) writeFileSync(env[name] as string, secret);
        }
        const [command = ''] = valuesOf(unit, 'ExecStart');
        const args = command
          .split(' ')
          .slice(2)
          .map((word) => word.replace('/etc/postern/postern.yaml', config));
        assert.ok(command.startsWith('/usr/bin/node /opt/postern/bin/postern.js '), command);
        const options = { env, ready: `http://127.0.0.1:${ports[unit]}/readyz`, readyOk: true };
        return startChild(unit, process.execPath, [...POSTERN_COMMAND, ...args], options);
      };
      children = await Promise.all(UNITS.map(start));
    });
    after(async () => {
      for (const child of children ?? []) await child.stop();
    });

    it('sign with the key that was handed over', async () => {
      const published = (await (await fetch(`http://127.0.0.1:${authPort}/_postern/jwks.json`)).json()) as JWKS;
      const given = JSON.parse(printed.get('POSTERN_AUTH_ASSERTION_KEYS') ?? '') as JWKS;
      assert.deepEqual(
        published.keys.map(({ kid }) => kid),
        given.keys.map(({ kid }) => kid),
      );
    });

    it('serve, read their configuration again when told, and end when told', async () => {
      for (const [index, unit] of UNITS.entries()) {
        const child = children[index] as Child;
        assert.match(valuesOf(unit, 'ExecReload')[0] ?? '', /kill -HUP \$MAINPID/);
        child.signal('SIGHUP');
        assert.equal((await fetch(`http://127.0.0.1:${ports[unit]}/readyz`)).status, 200);
        assert.equal(await child.stop('SIGTERM'), 0, child.output);
      }
    });
  });
});
