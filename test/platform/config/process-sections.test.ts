import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from '../../../src/platform/config/load.ts';
import type { ProcessName } from '../../../src/platform/config/process-sections.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';

/** Each lacks a secret that one process alone has a use for. */
const LACKING: Array<[owner: ProcessName, yaml: string, key: RegExp]> = [
  ['relay', 'relay: { listen: "0.0.0.0:4444", trust: { enabled: true } }', /^relay\.trust: /],
  ['relay', 'relay: { jwt: { enabled: true, algorithm: HS256 } }', /^relay\.jwt\.secretKey: needed/],
  ['relay', 'relay: { admin: { pages: true } }', /^relay\.admin: needs user and password/],
  ['relay', 'relay: { admin: { user: operator } }', /^relay\.admin\.password: /],
  [
    'relay',
    'relay: { admin: { forwardAuth: { url: "http://127.0.0.1:9464" } } }',
    /^relay\.admin\.forwardAuth\.token: /,
  ],
];

describe('a secret of one process', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-secrets-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const problems = (yaml: string, process?: ProcessName, env: Record<string, string> = {}) => {
    const file = join(folder, 'postern.yaml');
    writeFileSync(file, `${yaml}\n`);
    try {
      loadConfig(file, env, undefined, process);
      return [];
    } catch (error) {
      assert.ok(error instanceof ConfigurationError);
      return error.problems;
    }
  };

  for (const [owner, yaml, key] of LACKING)
    it(`is demanded of it and of check alone: ${key.source}`, () => {
      const other = owner === 'relay' ? 'forward-auth' : 'relay';
      assert.match(problems(yaml, owner).join('\n'), new RegExp(key.source, 'm'));
      assert.match(problems(yaml).join('\n'), new RegExp(key.source, 'm'));
      assert.deepEqual(problems(yaml, other), []);
    });

  for (const [process, name] of [
    ['forward-auth', 'POSTERN_RELAY_TRUST_SECRET'],
    ['forward-auth', 'POSTERN_RELAY_SESSION_KEY'],
    ['relay', 'POSTERN_AUTH_OPERATOR_TOKEN'],
    ['relay', 'POSTERN_AUTH_SESSIONS_KEYS'],
  ] as const)
    it(`may be in a file that the other cannot read: ${name}`, () => {
      const env = { [`${name}_FILE`]: join(folder, 'absent') };
      assert.deepEqual(problems('{}', process, env), []);
      const owner = process === 'relay' ? 'forward-auth' : 'relay';
      for (const reader of [owner, undefined] as const)
        assert.match(problems('{}', reader, env).join('\n'), /absent cannot be read \(ENOENT\): there is no such file/);
    });

  it('does not hide what else is wrong, and is not named beside it', () => {
    const yaml = 'relay: { jwt: { enabled: true, algorithm: HS256 } }\nauth: { listen: nowhere }';
    assert.deepEqual(
      problems(yaml, 'forward-auth').map((problem) => problem.split(':')[0]),
      ['auth.listen'],
    );
  });

  it('that is empty is told of with its file', () => {
    const empty = join(folder, 'empty');
    writeFileSync(empty, '\n');
    const env = { POSTERN_RELAY_TRUST_SECRET_FILE: empty };
    assert.match(problems('{}', 'relay', env).join('\n'), /empty is empty: write the secret into it/);
  });
});
