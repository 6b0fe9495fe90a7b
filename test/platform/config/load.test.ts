import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { drainTimes } from '../../../src/platform/config/drain-schema.ts';
import { loadConfig, parseConfig } from '../../../src/platform/config/load.ts';
import { presetOf } from '../../../src/platform/config/trust-presets.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';

function problemsOf(run: () => unknown): readonly string[] {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.problems;
  }
  return assert.fail('the configuration was accepted');
}

describe('configuration file', () => {
  let directory: string;
  const write = (text: string) => {
    const file = join(directory, 'postern.yaml');
    writeFileSync(file, text);
    return file;
  };
  const problems = (yaml: string) => problemsOf(() => loadConfig(write(yaml), {}));

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'postern-test-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('gives every key its default where the file is empty', () => {
    const { config, file, warnings } = loadConfig(write(''), {});
    assert.equal(config.publicUrl, 'http://127.0.0.1:8080');
    assert.deepEqual(config.auth.listen, { host: '127.0.0.1', port: 4180 });
    assert.equal(config.drain, 7_000);
    assert.deepEqual(config.auth.rules, []);
    assert.equal(presetOf(config.relay.trust), 'postern');
    assert.equal(file, join(directory, 'postern.yaml'));
    assert.deepEqual(warnings, []);
  });

  it('reads durations as milliseconds, sizes as bytes and addresses in parts', () => {
    const { config } = loadConfig(
      write(
        'drain: 1.5m\nauth: { listen: "[::1]:4180", tokenCache: { entryLifetime: 250ms } }\nrelay: { limits: { maxBody: 1MiB } }',
      ),
      {},
    );
    assert.equal(config.drain, 90_000);
    assert.equal(config.auth.tokenCache.entryLifetime, 250);
    assert.equal(config.relay.limits.maxBody, 1_048_576);
    assert.deepEqual(config.auth.listen, { host: '::1', port: 4180 });
  });

  for (const [name, yaml, expected] of [
    ['a misspelt key', 'publicURL: http://a', /^publicURL: unknown key; did you mean `publicUrl`\?$/],
    [
      'a misspelt nested key',
      'relay: { trust: { secrett: abc } }',
      /^relay\.trust\.secrett: unknown key; did you mean `secret`\?$/,
    ],
    [
      'a misspelt key of a list item',
      'auth: { rules: [{ match: { pth: /a } }] }',
      /^auth\.rules\[0\]\.match\.pth: unknown key; did you mean `path`\?$/,
    ],
    [
      'a misspelt key of a server',
      'relay: { servers: { a: { url: "http://a", timeuot: 1s } } }',
      /^relay\.servers\.a\.timeuot: unknown key; did you mean `timeout`\?$/,
    ],
    ['a key that is like none', 'relay: { zzzzzzzzz: 1 }', /^relay\.zzzzzzzzz: unknown key; possible here: listen, /],
    ['a duration without unit', 'drain: "10"', /^drain: must be a duration such as/],
    ['a number in the place of a duration', 'drain: 10', /^drain: /],
    ['a size in another unit', 'auth: { limits: { maxToken: 16KB } }', /^auth\.limits\.maxToken: must be a size/],
    ['an address without port', 'auth: { listen: 127.0.0.1 }', /^auth\.listen: must be HOST:PORT/],
    ['a port that does not exist', 'auth: { listen: "127.0.0.1:70000" }', /^auth\.listen: must be HOST:PORT/],
    [
      'a range that is none',
      'auth: { trustedProxies: [10.0.0.0/8, nonsense] }',
      /^auth\.trustedProxies\[1\]: "nonsense" is not an address/,
    ],
    ['an octal address', 'auth: { trustedProxies: [010.0.0.0/8] }', /^auth\.trustedProxies\[0\]: /],
    ['a URL with a user', 'publicUrl: http://me@a', /^publicUrl: must be an http or https URL/],
    [
      'a rule that is public and not',
      'auth: { rules: [{ match: {}, public: true, allow: { users: [a] } }] }',
      /^auth\.rules\[0\]\.allow: a public rule/,
    ],
    [
      'two assertion key sources',
      'relay: { trust: { assertion: { jwksUrl: "http://a", jwksPath: a } } }',
      /^relay\.trust\.assertion: give exactly one/,
    ],
    [
      'trust without proof beyond loopback',
      'relay: { listen: "0.0.0.0:4444" }',
      /^relay\.trust: identity headers would be believed without proof on 0\.0\.0\.0/,
    ],
    [
      'a provider given twice',
      'auth: { providers: [{ id: a, issuer: "http://a" }, { id: a, issuer: "http://b" }] }',
      /^auth\.providers\[1\]\.id: "a" is used twice$/,
    ],
    [
      'a JWT mode without its key',
      'relay: { jwt: { enabled: true } }',
      /^relay\.jwt\.secretKey: needed for HS256: set JWT_SECRET_KEY$/,
    ],
    [
      'an unsigned algorithm',
      'auth: { providers: [{ id: a, issuer: "http://a", algorithms: [none] }] }',
      /^auth\.providers\[0\]\.algorithms\[0\]: /,
    ],
    ['a key given twice', 'drain: 1s\ndrain: 2s', /postern\.yaml: .*unique/],
    ['a file that is no map', '- a', /postern\.yaml: must be a map of keys$/],
  ] as const)
    it(`refuses ${name} and names its path`, () => {
      const [first, ...rest] = problems(yaml);
      assert.match(first as string, expected);
      assert.deepEqual(rest, []);
    });

  it('lists every problem at once', () => {
    assert.equal(problems('drain: x\npublicUrl: y\nauth: { listen: z }').length, 3);
  });

  it('never repeats a part of the file that could be a secret', () => {
    for (const yaml of [
      'relay: { trust: { secret: *hunter2hunter2 } }',
      'relay: { trust: { secret: "hunter2hunter2 } }',
    ]) {
      const text = problems(yaml).join('\n');
      assert.doesNotMatch(text, /hunter2/);
      assert.match(text, /postern\.yaml: /);
    }
  });

  it('says which file cannot be read', () => {
    const file = join(directory, 'absent.yaml');
    assert.deepEqual(
      problemsOf(() => loadConfig(file, {})),
      [`${file} cannot be read (ENOENT): there is no such file: make it, mount it, or name another`],
    );
  });

  it('reads how a process ends as one span or as two', () => {
    const times = (yaml: string, env = {}) => drainTimes(loadConfig(write(yaml), env).config.drain);
    assert.deepEqual(times('{}'), { delay: 3_000, total: 7_000 });
    assert.deepEqual(times('drain: 1s'), { delay: 500, total: 1_000 });
    assert.deepEqual(times('drain: {}'), { delay: 3_000, total: 13_000 });
    assert.deepEqual(times('drain: { delay: 0s, timeout: 2s }'), { delay: 0, total: 2_000 });
    assert.deepEqual(times('drain: 1m', { POSTERN_DRAIN_DELAY: '5s' }), { delay: 5_000, total: 15_000 });
    assert.match(
      problems('drain: soon').join(),
      /^drain: must be a duration such as 10s, or a map of delay and timeout$/,
    );
    assert.match(problems('drain: { delays: 1s }').join(), /^drain\.delays: unknown key; did you mean `delay`\?$/);
    assert.match(
      problemsOf(() => loadConfig(write(''), { POSTERN_DRAIN: '1s', POSTERN_DRAIN_DELAY: '1s' })).join(),
      /^POSTERN_DRAIN_DELAY \(drain\.delay\): give either this or `drain` as a whole$/,
    );
  });

  it('takes the file from POSTERN_CONFIG where the command line names none', () => {
    const file = write('drain: 3s');
    assert.equal(loadConfig(undefined, { POSTERN_CONFIG: file }).config.drain, 3000);
  });
});

describe('environment', () => {
  const load = (env: Record<string, string>, file?: string) => loadConfig(file, { POSTERN_CONFIG: undefined, ...env });

  it('wins over the file, key by key', () => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-test-'));
    const file = join(directory, 'c.yaml');
    writeFileSync(file, 'drain: 3s\nrelay: { trust: { secret: from-file, secretHeader: X-A } }');
    const { config } = load({ POSTERN_RELAY_TRUST_SECRET: 'from-env' }, file);
    rmSync(directory, { recursive: true });
    assert.deepEqual(config.relay.trust.secret, ['from-env']);
    assert.equal(config.relay.trust.secretHeader, 'X-A');
    assert.equal(config.drain, 3000);
  });

  it('reads booleans, numbers, lists and maps', () => {
    const { config } = load({
      POSTERN_RELAY_AUTH_REQUIRED: 'off',
      POSTERN_AUTH_TOKEN_CACHE_MAX_ENTRIES: '5',
      POSTERN_AUTH_TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.1',
      POSTERN_RELAY_ALLOWED_ORIGINS: '["https://a.example"]',
      POSTERN_AUTH_SCOPE_HIERARCHY: '{"mcp:admin":["mcp:use"]}',
    });
    assert.equal(config.relay.authRequired, false);
    assert.equal(config.auth.tokenCache.maxEntries, 5);
    assert.deepEqual(config.auth.trustedProxies, ['10.0.0.0/8', '192.0.2.1']);
    assert.deepEqual(config.relay.allowedOrigins, ['https://a.example']);
    assert.deepEqual(config.auth.scopeHierarchy, { 'mcp:admin': ['mcp:use'] });
  });

  it('names the variable and the key of a value that does not fit, and not the value', () => {
    const problems = problemsOf(() =>
      load({
        POSTERN_RELAY_AUTH_REQUIRED: 'maybe',
        POSTERN_AUTH_TOKEN_CACHE_MAX_ENTRIES: 'many',
        POSTERN_AUTH_RULES: '[{',
      }),
    );
    assert.deepEqual(problems.toSorted(), [
      'POSTERN_AUTH_RULES (auth.rules): must be JSON',
      'POSTERN_AUTH_TOKEN_CACHE_MAX_ENTRIES (auth.tokenCache.maxEntries): must be a number',
      'POSTERN_RELAY_AUTH_REQUIRED (relay.authRequired): must be true or false',
    ]);
  });

  it('warns of a name that is no setting, with what was probably meant', () => {
    const { warnings } = load({
      POSTERN_PUBLIC_ULR: 'http://a',
      POSTERN_PORT: 'tcp://10.0.0.1:80',
      POSTERN_DRAIN_FILE: '/x',
    });
    assert.equal(warnings.length, 3);
    assert.match(warnings.join('\n'), /POSTERN_PUBLIC_ULR is not a setting.*did you mean POSTERN_PUBLIC_URL\?/);
  });

  it('does not take an empty variable for a value', () => {
    assert.equal(load({ POSTERN_DRAIN: '', HOST: '', PORT: '' }).config.drain, 7_000);
    assert.deepEqual(load({ HOST: '', PORT: '' }).config.relay.listen, { host: '127.0.0.1', port: 4444 });
  });

  for (const name of ['POSTERN_RELAY_TRUST_SECRET', 'JWT_SECRET_KEY', 'POSTERN_AUTH_OPERATOR_TOKEN'])
    it(`refuses an empty ${name}, which a compose file names and nothing has set`, () => {
      assert.throws(() => load({ [name]: '' }), new RegExp(`${name} \\(.+\\): is empty`));
    });

  for (const text of ['*:4180', ':4180', '4180'])
    it(`says how ${text} is written here`, () => {
      assert.throws(() => load({ POSTERN_AUTH_LISTEN: text }), /auth\.listen.*0\.0\.0\.0:4180 or \[::\]:4180/);
    });

  it('says of a secret whose file is missing on the host what an engine made of it', () => {
    assert.throws(() => load({ POSTERN_RELAY_TRUST_SECRET_FILE: tmpdir() }), /EISDIR\): it is a folder/);
  });

  describe('secrets from files', () => {
    let file: string;
    before(() => {
      file = join(mkdtempSync(join(tmpdir(), 'postern-test-')), 'secret');
      writeFileSync(file, 'from the file\n');
    });
    after(() => rmSync(join(file, '..'), { recursive: true }));

    it('are read without the last line break', () => {
      assert.deepEqual(load({ POSTERN_RELAY_TRUST_SECRET_FILE: file }).config.relay.trust.secret, ['from the file']);
      assert.deepEqual(load({ JWT_SECRET_KEY_FILE: file }).config.relay.jwt.secretKey, ['from the file']);
    });

    it('are refused beside the value itself', () => {
      const [problem] = problemsOf(() =>
        load({ POSTERN_RELAY_TRUST_SECRET_FILE: file, POSTERN_RELAY_TRUST_SECRET: 'and-the-value' }),
      );
      assert.match(problem as string, /^POSTERN_RELAY_TRUST_SECRET \(relay\.trust\.secret\): give either/);
      assert.doesNotMatch(problem as string, /and-the-value/);
    });

    it('are named where they cannot be read', () => {
      chmodSync(file, 0o600);
      const [problem] = problemsOf(() => load({ POSTERN_RELAY_SESSION_KEY_FILE: `${file}-absent` }));
      assert.match(
        problem as string,
        /^POSTERN_RELAY_SESSION_KEY \(relay\.sessionKey\): POSTERN_RELAY_SESSION_KEY_FILE: .* cannot be read \(ENOENT\)/,
      );
    });
  });

  describe('of the proxy-authentication guide', () => {
    it('tells which JWT settings nobody uses where the check of JWTs is off', () => {
      const { warnings } = load({
        ...{ MCP_CLIENT_AUTH_ENABLED: 'false', JWT_SECRET_KEY: 'secret-of-the-test', JWT_AUDIENCE: 'mcp' },
      });
      assert.equal(warnings.length, 1);
      assert.match(
        warnings[0] as string,
        /^JWT_SECRET_KEY, JWT_AUDIENCE: not used, because MCP_CLIENT_AUTH_ENABLED=false/,
      );
      assert.doesNotMatch(warnings.join(), /secret-of-the-test/);
      for (const quiet of [
        { MCP_CLIENT_AUTH_ENABLED: 'false' },
        { MCP_CLIENT_AUTH_ENABLED: 'true', JWT_SECRET_KEY: 'a-secret-of-the-test-with-32-bytes' },
      ])
        assert.deepEqual(load(quiet).warnings, []);
    });

    it('tells the same where the switch is not set, and of settings of the file', () => {
      const unset = load({ JWT_ISSUER: 'corp', TRUST_PROXY_AUTH: 'true' }).warnings;
      assert.match(
        unset.join(),
        /^JWT_ISSUER: not used, because MCP_CLIENT_AUTH_ENABLED \(relay\.jwt\.enabled\) is not set/,
      );
      const directory = mkdtempSync(join(tmpdir(), 'postern-test-'));
      const secret = join(directory, 'jwt-secret');
      writeFileSync(secret, 'secret-of-the-test');
      assert.match(load({ JWT_SECRET_KEY_FILE: secret }).warnings.join(), /^JWT_SECRET_KEY: not used/);
      const file = join(directory, 'unused-jwt.yaml');
      writeFileSync(file, 'relay: { jwt: { enabled: false, audience: mcp, algorithm: RS256 } }');
      assert.match(
        loadConfig(file, { JWT_ALGORITHM: 'ES256' }).warnings.join(),
        /^relay\.jwt\.audience, JWT_ALGORITHM: not used, because MCP_CLIENT_AUTH_ENABLED=false/,
      );
      assert.deepEqual(
        loadConfig(file, { MCP_CLIENT_AUTH_ENABLED: 'true', JWT_PUBLIC_KEY_PATH: '/keys/public.pem' }).warnings,
        [],
      );
    });

    it('answers for names of later versions of the guide', () => {
      const { warnings } = load({ JWT_ISSUER_VERIFICATION: 'false', PLATFORM_ADMIN_EMAIL: 'admin@example.com' });
      assert.deepEqual(
        warnings.map((warning) => warning.split(' ')[0]),
        ['JWT_ISSUER_VERIFICATION', 'PLATFORM_ADMIN_EMAIL'],
      );
      assert.doesNotMatch(warnings.join(), /admin@example/);
    });

    it('sets what it means here', () => {
      const { config, warnings } = load({
        MCP_CLIENT_AUTH_ENABLED: 'true',
        TRUST_PROXY_AUTH: 'false',
        PROXY_USER_HEADER: 'X-Forwarded-User',
        AUTH_REQUIRED: 'false',
        JWT_ALGORITHM: 'RS256',
        JWT_PUBLIC_KEY_PATH: '/keys/public.pem',
        JWT_ISSUER: 'https://issuer.example',
        JWT_AUDIENCE: 'audience',
        JWT_AUDIENCE_VERIFICATION: 'false',
        HOST: '::1',
        PORT: '9000',
      });
      const { relay } = config;
      assert.equal(relay.jwt.enabled, true);
      assert.equal(relay.trust.enabled, false);
      assert.equal(relay.trust.userHeader, 'X-Forwarded-User');
      assert.equal(relay.authRequired, false);
      assert.equal(relay.jwt.algorithm, 'RS256');
      assert.equal(relay.jwt.publicKeyPath, '/keys/public.pem');
      assert.equal(relay.jwt.issuer, 'https://issuer.example');
      assert.equal(relay.jwt.audience, 'audience');
      assert.equal(relay.jwt.audienceVerification, false);
      assert.deepEqual(relay.listen, { host: '::1', port: 9000 });
      assert.deepEqual(warnings, []);
    });

    it('gives way to our own names', () => {
      const { config } = load({
        JWT_ISSUER: 'guide',
        POSTERN_RELAY_JWT_ISSUER: 'ours',
        PORT: '1',
        POSTERN_RELAY_LISTEN: 'localhost:2',
      });
      assert.equal(config.relay.jwt.issuer, 'ours');
      assert.deepEqual(config.relay.listen, { host: 'localhost', port: 2 });
    });

    it('says what has no meaning here', () => {
      const names = {
        DATABASE_URL: 'postgres://u:hunter2@db/x',
        JWT_PRIVATE_KEY_PATH: '/k',
        TRUST_PROXY_AUTH_DANGEROUSLY: 'true',
      };
      const { warnings } = load(names);
      assert.deepEqual(warnings.map((warning) => warning.split(' ')[0]).sort(), Object.keys(names).sort());
      assert.doesNotMatch(warnings.join('\n'), /hunter2/);
    });

    it('cannot open a port to headers without proof', () => {
      assert.match(
        problemsOf(() => load({ HOST: '0.0.0.0', TRUST_PROXY_AUTH: 'true' }))[0] as string,
        /^relay\.trust: /,
      );
    });
  });
});

describe('parseConfig', () => {
  it('keeps prototypes out', () => {
    const input = JSON.parse('{"__proto__": {"publicUrl": "http://evil.example"}}');
    assert.throws(() => parseConfig(input), ConfigurationError);
  });
});
