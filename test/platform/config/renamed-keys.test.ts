import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { configKeys, envName } from '../../../src/platform/config/keys.ts';
import { loadConfig, readInput } from '../../../src/platform/config/load.ts';
import { turnOnPresent } from '../../../src/platform/config/present-sections.ts';
import { RENAMED_KEYS } from '../../../src/platform/config/renamed-keys.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';
import { startPostern } from '../../support/run-postern.ts';

/** @returns a document with that value at that path, items of lists and maps having one entry */
function documentWith(path: string, value: unknown): unknown {
  return path.split('.').reduceRight((inner: unknown, part) => {
    if (part.endsWith('[]')) return { [part.slice(0, -2)]: [inner] };
    return { [part === '<name>' ? 'github' : part]: inner };
  }, value);
}

const readable = (path: string) => path.replaceAll('[]', '[0]').replaceAll('<name>', 'github');

describe('an earlier name of a configuration key', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-names-'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));
  const file = (content: unknown) => {
    const path = join(folder, 'postern.yaml');
    writeFileSync(path, stringify(content));
    return path;
  };
  const known = new Map(configKeys().map((key) => [key.path, key]));

  for (const [earlier, today] of Object.entries(RENAMED_KEYS)) {
    const warning = `${readable(earlier)} is the earlier name of ${readable(today)}: rename it, because the next release refuses it`;

    it(`${earlier} is read as ${today}, with a warning`, () => {
      assert.ok(known.has(today), 'the new one exists');
      assert.ok(!known.has(earlier), 'the earlier one is no key of its own');
      const { input, warnings } = readInput(file(documentWith(earlier, 7)), {});
      assert.deepEqual(input, turnOnPresent(withEmptyHolder(earlier, today), 'file').input);
      assert.deepEqual(
        warnings.filter((text) => text.includes('earlier name')),
        [warning],
      );
    });

    const name = known.get(today)?.env;
    if (name !== undefined)
      it(`${envName(earlier)} is read as ${name}, with a warning`, () => {
        const value = known.get(today)?.type === 'number' ? '7' : '7s';
        const { input, warnings } = readInput(file({}), { [envName(earlier)]: value });
        assert.deepEqual(input, documentWith(today, value === '7' ? 7 : value));
        assert.ok(warnings.some((text) => text.startsWith(`${envName(earlier)} is the earlier name of ${name}: `)));
        assert.throws(() => readInput(file({}), { [envName(earlier)]: value, [name]: value }), /give only the second/);
      });
  }

  /** A key that moved leaves the map it was in. */
  function withEmptyHolder(earlier: string, today: string): unknown {
    const expected = documentWith(today, 7) as { relay?: Record<string, unknown> };
    if (earlier === 'relay.limits.connections') (expected.relay as Record<string, unknown>).limits = {};
    return expected;
  }

  it('is refused beside the new one, in a file and across the forms of one', () => {
    const both = { auth: { sessions: { idle: '1h', idleTimeout: '2h' } } };
    assert.throws(
      () => loadConfig(file(both), {}),
      (error: ConfigurationError) =>
        error instanceof ConfigurationError &&
        error.problems.join() ===
          'auth.sessions.idle is the earlier name of auth.sessions.idleTimeout: give only the second',
    );
  });

  it('in the file gives way to the new one in the environment', () => {
    const path = file({ auth: { sessions: { idle: '1h' } } });
    const { config, warnings } = loadConfig(path, { POSTERN_AUTH_SESSIONS_IDLE_TIMEOUT: '2h' });
    assert.equal(config.auth.sessions.idleTimeout, 7_200_000);
    assert.equal(warnings.filter((text) => text.includes('earlier name')).length, 1);
  });

  it('is read in every entry of a map, and in one that the environment gives as JSON', () => {
    const servers = {
      a: { url: 'http://127.0.0.1:1/mcp', max: 3 },
      b: { url: 'http://127.0.0.1:2/mcp', unused: '5m' },
    };
    for (const loaded of [
      loadConfig(file({ relay: { servers } }), {}),
      loadConfig(file({}), { POSTERN_RELAY_SERVERS: JSON.stringify(servers) }),
    ]) {
      assert.equal(loaded.config.relay.servers.a?.maxSessions, 3);
      assert.equal(loaded.config.relay.servers.b?.idleTimeout, 300_000);
      assert.equal(loaded.warnings.filter((text) => text.includes('earlier name')).length, 2);
    }
  });

  it('of a server called like one is left alone', () => {
    const servers = { max: { url: 'http://127.0.0.1:1/mcp' }, unused: { url: 'http://127.0.0.1:2/mcp' } };
    const { config } = loadConfig(file({ relay: { servers } }), {});
    assert.deepEqual(Object.keys(config.relay.servers), ['max', 'unused']);
  });

  for (const [process, earlier] of [
    ['auth', { auth: { limits: { token: '8KiB' }, sessions: { cache: { max: 5 } } } }],
    ['relay', { relay: { limits: { connections: 5 }, callLimits: [{ duration: '5s' }] } }],
  ] as const)
    it(`is logged once at the start of postern ${process}, from the file and the environment`, async () => {
      const env = {
        POSTERN_AUTH_LISTEN: '127.0.0.1:0',
        POSTERN_AUTH_INTERNAL_LISTEN: '127.0.0.1:0',
        POSTERN_RELAY_LISTEN: '127.0.0.1:0',
        POSTERN_RELAY_INTERNAL_LISTEN: '127.0.0.1:0',
        POSTERN_AUDIT_QUEUE: '500',
      };
      const running = startPostern([process, '--config', file(earlier)], env);
      await running.until(/"listening"/);
      running.child.kill('SIGINT');
      assert.equal(await running.ended, 0);
      const said = running.stdout().match(/\S+ is the earlier name of [\w.[\]]+/g);
      assert.deepEqual(
        said?.map((text) => text.replace(/^"msg":"|^.*"/, '')).sort(),
        {
          auth: [
            'POSTERN_AUDIT_QUEUE is the earlier name of POSTERN_AUDIT_MAX_QUEUE',
            'auth.limits.token is the earlier name of auth.limits.maxToken',
            'auth.sessions.cache.max is the earlier name of auth.sessions.cache.maxEntries',
          ],
          relay: [
            'POSTERN_AUDIT_QUEUE is the earlier name of POSTERN_AUDIT_MAX_QUEUE',
            'relay.callLimits[0].duration is the earlier name of relay.callLimits[0].timeout',
            'relay.limits.connections is the earlier name of relay.budgets.identity.maxStreams',
          ],
        }[process],
      );
    });
});
