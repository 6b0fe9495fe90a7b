import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { main } from '../../../src/cli/main.ts';
import { loadConfig } from '../../../src/platform/config/load.ts';
import type { Config } from '../../../src/platform/config/schema.ts';

interface Section {
  readonly path: string;
  readonly key: object;
  /** The file that holds it. */
  file(section: object): object;
  isOn(config: Config): boolean;
}

const provider = { id: 'corp', issuer: 'https://idp.example.com', clientId: 'postern' };
const SECTIONS: readonly Section[] = [
  {
    path: 'auth.broker',
    key: { accessTokenLifetime: '5m' },
    file: (broker) => ({ auth: { broker, providers: [provider] } }),
    isOn: ({ auth }) => auth.broker.enabled,
  },
  {
    path: 'auth.apiKeys',
    key: { header: 'X-Key' },
    file: (apiKeys) => ({ auth: { apiKeys } }),
    isOn: ({ auth }) => auth.apiKeys.enabled,
  },
  {
    path: 'auth.providers[0].introspection',
    key: { tokens: ['gho_*'] },
    file: (introspection) => ({ auth: { providers: [{ ...provider, introspection }] } }),
    isOn: ({ auth }) => auth.providers[0]?.introspection.enabled === true,
  },
  {
    path: 'redis.tls',
    key: { serverName: 'redis.example.com' },
    file: (tls) => ({ redis: { url: 'redis://redis.example.com:6379', tls } }),
    isOn: ({ redis }) => redis?.tls.enabled === true,
  },
  {
    path: 'audit.chain',
    key: { key: 'a key of many characters' },
    file: (chain) => ({ audit: { stdout: true, chain } }),
    isOn: ({ audit }) => audit.chain.enabled,
  },
  {
    path: 'relay.jwt',
    key: { clockTolerance: '10s' },
    file: (jwt) => ({ relay: { jwt: { secretKey: 'k'.repeat(40), ...jwt } } }),
    isOn: ({ relay }) => relay.jwt.enabled,
  },
  {
    path: 'relay.passthrough',
    key: { headers: ['X-Tenant'] },
    file: (passthrough) => ({ relay: { passthrough } }),
    isOn: ({ relay }) => relay.passthrough.enabled,
  },
];

describe('sections that are on where they are there', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-present-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const load = (content: object, env: Record<string, string> = {}) => {
    const file = join(folder, 'postern.yaml');
    writeFileSync(file, stringify(content));
    return loadConfig(file, env);
  };

  for (const { path, key, file, isOn } of SECTIONS)
    describe(path, () => {
      it('is on with a key in it, and says so', () => {
        const { config, warnings } = load(file(key));
        assert.ok(isOn(config));
        const said = warnings.filter((warning) => warning.startsWith(`${path}: is on since its section is there`));
        assert.equal(said.length, 1, warnings.join('\n'));
      });

      it('is on while it is empty, without a warning', () => {
        const { config, warnings, notes } = load(file({}));
        assert.ok(isOn(config));
        if (path === 'relay.jwt') return;
        assert.deepEqual(warnings, []);
        assert.deepEqual(notes, [`${path}: is on since its section is there`]);
        assert.ok(isOn(load(file(null as never)).config), 'with nothing after its name');
      });

      for (const enabled of [true, false])
        it(`is still read with enabled: ${enabled}, with a warning`, () => {
          const { config, warnings } = load(file({ ...key, enabled }));
          assert.equal(isOn(config), enabled);
          const said = warnings.filter((warning) => warning.startsWith(`${path}.enabled: `));
          assert.equal(said.length, 1, warnings.join('\n'));
          assert.match(said[0] as string, /next (?:release|one) refuses/);
        });

      if (!path.includes('['))
        it('is turned on and off by environment, with no warning', () => {
          const name = `POSTERN_${path
            .replace(/([a-z])([A-Z])/g, '$1_$2')
            .replaceAll('.', '_')
            .toUpperCase()}_ENABLED`;
          const off = load(file(key), { [name]: 'false' });
          assert.equal(isOn(off.config), false);
          assert.deepEqual(
            off.warnings.filter((warning) => warning.includes('section')),
            [],
          );
          const on = load(file(key), { [name]: 'true' });
          assert.equal(isOn(on.config), true);
          assert.deepEqual(
            on.warnings.filter((warning) => warning.includes('section')),
            [],
          );
        });
    });

  it('are off while the file has none, whatever variables of their keys are set', () => {
    const env = {
      JWT_AUDIENCE: 'https://mcp.example.com',
      JWT_SECRET_KEY: 'k'.repeat(40),
      POSTERN_AUTH_BROKER_ACCESS_TOKEN_LIFETIME: '5m',
      DEFAULT_PASSTHROUGH_HEADERS: '["X-Tenant"]',
      POSTERN_AUTH_API_KEYS_HEADER: 'X-Key',
    };
    const { config, notes } = load({ log: { level: 'info' } }, env);
    for (const { path, isOn } of SECTIONS) assert.equal(isOn(config), false, path);
    assert.deepEqual(notes, []);
  });

  it('are on in a list that a variable holds as JSON', () => {
    const env = { POSTERN_AUTH_PROVIDERS: JSON.stringify([{ ...provider, introspection: {} }]) };
    assert.equal(load({ log: {} }, env).config.auth.providers[0]?.introspection.enabled, true);
  });

  it('are named by postern check', async () => {
    const file = join(folder, 'postern.yaml');
    writeFileSync(file, stringify({ auth: { apiKeys: {}, broker: { maxRecords: 200 }, providers: [provider] } }));
    const [out, err]: [string[], string[]] = [[], []];
    await main(['check', '--config', file], {
      env: {},
      print: (text) => void out.push(text),
      printError: (text) => void err.push(text),
    });
    assert.ok(out.includes('note: auth.apiKeys: is on since its section is there'), out.join('\n'));
    assert.match(err.join('\n'), /^warning: auth\.broker: is on since its section is there; before this release/m);
  });
});
