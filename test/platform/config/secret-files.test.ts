import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configJsonSchema, type JsonSchema } from '../../../src/platform/config/keys.ts';
import { loadConfig, parseConfig } from '../../../src/platform/config/load.ts';
import { readSecretFiles } from '../../../src/platform/config/secret-files.ts';
import { problemsOf } from './problems-of.ts';

interface Found {
  readonly path: readonly string[];
  readonly twin: JsonSchema | undefined;
}

/** Every secret of the schema; of one that has a place of its own, not the forms of that. */
function* secretsIn(schema: JsonSchema, path: readonly string[] = []): Generator<Found> {
  for (const [name, inner] of Object.entries(schema.properties ?? {}))
    if (inner.secret) yield { path: [...path, name], twin: schema.properties?.[`${name}Path`] };
    else yield* secretsIn(inner, [...path, name]);
  if (schema.items !== undefined) yield* secretsIn(schema.items, [...path, '[]']);
  const { additionalProperties: map } = schema;
  if (typeof map === 'object') yield* secretsIn(map, [...path, '<name>']);
  for (const alternative of schema.anyOf ?? []) yield* secretsIn(alternative, path);
}

/** An input with these keys at the end of a path, and what messages call that place. */
function inputAt(path: readonly string[], keys: object): { input: unknown; at: string } {
  const [name, ...rest] = path;
  if (name === undefined) return { input: keys, at: '' };
  const { input, at } = inputAt(rest, keys);
  if (name === '[]') return { input: [input], at: `[0]${at}` };
  const key = name === '<name>' ? 'some' : name;
  return { input: { [key]: input }, at: `.${key}${at}` };
}

function holderOf(input: unknown, path: readonly string[]): Record<string, unknown> {
  return path.reduce<never>(
    (at, name) => at[(name === '[]' ? 0 : name === '<name>' ? 'some' : name) as never] as never,
    input as never,
  );
}

describe('secrets in files', () => {
  const found = [...secretsIn(configJsonSchema())];
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-secret-files-'));
    file = join(folder, 'good');
    writeFileSync(file, 'the-text\n');
    writeFileSync(join(folder, 'empty'), ' \n');
    mkdirSync(join(folder, 'directory'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('are all that the schema marks, more than twenty', () => {
    const names = found.map(({ path }) => path.join('.'));
    assert.ok(names.length > 20, String(names.length));
    for (const name of ['relay.trust.secret', 'redis.password', 'watch.key', 'auth.operatorToken'])
      assert.ok(names.includes(name), name);
    assert.ok(names.includes('relay.servers.<name>.credential.clientCredentials.clientSecret'));
  });

  for (const { path, twin } of found) {
    const name = path.at(-1) as string;
    const place = path.slice(0, -1);
    describe(path.join('.'), () => {
      it('may be given by a path', () => {
        assert.ok(twin, `there is no ${name}Path`);
        assert.match(String(twin.description), /file/);
      });

      it('is not given in both ways', () => {
        const { input, at } = inputAt(place, { [name]: 'the-text', [`${name}Path`]: file });
        const { problems } = readSecretFiles(input);
        const key = `${at.replace(/^\./, '')}.${name}`;
        assert.deepEqual(problems, [`${key}: give either this or ${key}Path, not both`]);
      });

      it('is read, and a file that cannot be is named with the key', () => {
        if (twin?.secretFile === 'watched') return;
        const read = (path: string) => readSecretFiles(inputAt(place, { [`${name}Path`]: path }).input);
        const good = read(file);
        assert.deepEqual(good.problems, []);
        const expected = twin?.secretFile === 'place' ? { path: file } : 'the-text';
        assert.deepEqual(holderOf(good.input, place), { [name]: expected });
        if (twin?.secretFile === 'place') return;
        assert.deepEqual(good.files, [file]);
        const key = `${inputAt(place, {}).at.replace(/^\./, '')}.${name}Path: ${folder}/`;
        for (const [bad, message] of [
          ['missing', 'missing cannot be read (ENOENT): there is no such file'],
          ['directory', 'directory cannot be read (EISDIR): it is a folder'],
          ['empty', 'empty is empty: write the secret into it'],
        ] as const) {
          const [problem = ''] = read(join(folder, bad)).problems;
          assert.ok(problem.startsWith(`${key}${message}`), problem);
        }
      });
    });
  }

  it('of a map with places may be a text, a map or a path', () => {
    const credential = (bearer: object) =>
      parseConfig({ relay: { servers: { a: { url: 'http://a', credential: bearer } } } }).relay.servers.a?.credential
        ?.bearer;
    assert.deepEqual(credential({ bearer: 'text' }), { value: 'text' });
    assert.deepEqual(credential({ bearer: { env: 'TOKEN' } }), { env: 'TOKEN' });
    assert.deepEqual(credential({ bearerPath: file }), { path: file });
    const wrong = problemsOf({
      relay: { servers: { a: { url: 'http://a', credential: { bearer: { env: 'A', path: 'b' } } } } },
    });
    assert.deepEqual(wrong, ['relay.servers.a.credential.bearer: give exactly one of value, env and path']);
  });

  it('that cannot be read are the one problem, not also absent', () => {
    const missing = join(folder, 'missing');
    assert.deepEqual(problemsOf({ relay: { listen: '0.0.0.0:4444', trust: { secretPath: missing } } }), [
      `relay.trust.secretPath: ${missing} cannot be read (ENOENT): there is no such file: make it, mount it, or name another`,
    ]);
    const webhook = problemsOf({ watch: { webhook: { url: 'http://127.0.0.1:1', secretPath: missing } } });
    assert.equal(webhook.length, 1, webhook.join('\n'));
  });

  it('may be out of reach of the process that has no use for them', () => {
    const missing = join(folder, 'missing');
    const input = { relay: { trust: { secretPath: missing } }, auth: { operatorTokenPath: missing } };
    assert.throws(() => parseConfig(input, [], 'relay'), /relay\.trust\.secretPath/);
    assert.doesNotThrow(() => parseConfig({ relay: input.relay }, [], 'forward-auth'));
    assert.doesNotThrow(() => parseConfig({ auth: input.auth }, [], 'relay'));
  });

  describe('of the environment', () => {
    const load = (yaml: string, env: Record<string, string>) => {
      const path = join(folder, 'postern.yaml');
      writeFileSync(path, `${yaml}\n`);
      return loadConfig(path, env);
    };

    it('win over either form in the file', () => {
      writeFileSync(join(folder, 'other'), 'other-text-of-a-file');
      for (const env of [
        { POSTERN_RELAY_TRUST_SECRET: 'other-text-of-a-file' },
        { POSTERN_RELAY_TRUST_SECRET_FILE: join(folder, 'other') },
      ])
        for (const key of [`secretPath: ${file}`, 'secret: the-text'])
          assert.deepEqual(load(`relay: { trust: { ${key} } }`, env).config.relay.trust.secret, [
            'other-text-of-a-file',
          ]);
    });

    it('are one, too', () => {
      const env = { POSTERN_AUTH_SESSIONS_KEYS: 'x', POSTERN_AUTH_SESSIONS_KEYS_PATH: file };
      assert.throws(
        () => load('{}', env),
        /auth\.sessions\.keys: give either this or auth\.sessions\.keysPath, not both/,
      );
      const both = { POSTERN_REDIS_PASSWORD: 'x', POSTERN_REDIS_PASSWORD_FILE: file };
      assert.throws(() => load('{}', both), /give either POSTERN_REDIS_PASSWORD or POSTERN_REDIS_PASSWORD_FILE/);
    });

    it('are read anew when the configuration is, and their files belong to it', () => {
      const rotating = join(folder, 'rotating');
      writeFileSync(rotating, 'first-secret\n');
      const first = load(`relay: { trust: { secretPath: ${rotating} } }`, {});
      writeFileSync(rotating, 'second-secret\nfirst-secret\n');
      const second = load(`relay: { trust: { secretPath: ${rotating} } }`, {});
      assert.deepEqual(first.config.relay.trust.secret, ['first-secret']);
      assert.deepEqual(second.config.relay.trust.secret, ['second-secret', 'first-secret']);
      assert.ok(second.files.includes(rotating));
    });
  });
});
