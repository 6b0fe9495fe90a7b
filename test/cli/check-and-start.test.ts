import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GUIDE_VARIABLES } from '../../src/platform/config/environment.ts';
import { type ConfigKey, configKeys } from '../../src/platform/config/keys.ts';

// Imported as the commands import the processes: mocha itself would load each module a second time.
const load = async () => ({
  ...(await import('../../src/cli/main.ts')),
  ...(await import('../../src/forward-auth/server.ts')),
  ...(await import('../../src/relay/server.ts')),
  ...(await import('../../src/platform/config/load.ts')),
  ...(await import('../../src/platform/errors.ts')),
  ...(await import('../../src/platform/log.ts')),
});

type Env = Readonly<Record<string, string>>;

const ADDRESSES = [
  'POSTERN_AUTH_LISTEN',
  'POSTERN_AUTH_INTERNAL_LISTEN',
  'POSTERN_RELAY_LISTEN',
  'POSTERN_RELAY_INTERNAL_LISTEN',
];
const FREE: Env = Object.fromEntries(ADDRESSES.map((name) => [name, '127.0.0.1:0']));
const fetcher: typeof fetch = () => Promise.reject(new TypeError('nobody is there'));

/** What `check` refuses, and what it warns of: files and keys are read by the code of the start, where they may be others. */
async function checked(env: Env): Promise<{ code: number; problems: string[]; warnings: string[] }> {
  const { main } = await load();
  const out: string[] = [];
  const warnings: string[] = [];
  const print = (text: string) => void out.push(text);
  const code = await main(['check'], { env, print, printError: (text) => void warnings.push(text) });
  // Where a key stands is said by check alone.
  const problems = out.map((line) => line.replace(/^(\S+) \(\S+:\d+\): /, '$1: '));
  return { code, problems: code === 0 ? [] : problems, warnings };
}

/** What the two starts say, each as its command does it. */
async function started(env: Env): Promise<string[]> {
  const { startForwardAuth, startRelay, loadConfig, ConfigurationError, createLogger } = await load();
  const log = createLogger('test', 'silent');
  const problemsOf = async (start: typeof startForwardAuth | typeof startRelay): Promise<readonly string[]> => {
    try {
      const { config } = loadConfig(undefined, env);
      const running = await start({ ...config, drain: 0 }, { log, fetch: fetcher, env });
      await running.close();
      return [];
    } catch (error) {
      if (!(error instanceof ConfigurationError)) throw error;
      return error.problems;
    }
  };
  // Side by side: each waits two seconds for a Redis that is not there.
  const problems = (await Promise.all([problemsOf(startForwardAuth), problemsOf(startRelay)])).flat();
  return [...new Set(problems)];
}

/** @returns what both say, by the words of the start */
async function sameForBoth(env: Env): Promise<{ code: number; problems: string[] }> {
  const found = await checked(env);
  const start = await started(env);
  // What a value cannot be is refused by both with one message.
  for (const problem of found.problems) assert.ok(start.includes(problem), `only check: ${problem}`);
  for (const problem of start) {
    const key = problem.slice(0, problem.indexOf(':'));
    const warned = found.warnings.some((warning) => warning.includes(key));
    assert.ok(found.problems.includes(problem) || warned, `only at the start: ${problem}`);
  }
  return { code: found.code, problems: start };
}

describe('check and start', function () {
  this.timeout(180_000);
  let folder: string;
  const file = (name: string, content: string) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-check-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const settable = configKeys().filter(({ env }) => env !== undefined);
  const ofGuide = Object.entries(GUIDE_VARIABLES).map(([name, path]) => ({
    name,
    key: settable.find((key) => key.path === path) as ConfigKey,
  }));
  const variables = [...settable.map((key) => ({ name: key.env as string, key })), ...ofGuide];

  /** One environment for each part of the configuration, so that what is together there is tried together. */
  const byPart = (value: (key: ConfigKey) => string | undefined): Env[] => {
    const parts = new Map<string, Record<string, string>>();
    for (const { name, key } of variables) {
      const text = value(key);
      if (text === undefined || (text === key.default && ADDRESSES.includes(name))) continue;
      const part = `${name.startsWith('POSTERN_')} ${key.path.split('.').slice(0, 2).join('.')}`;
      parts.set(part, { ...parts.get(part), [name]: text });
    }
    return [...parts.values()];
  };

  it(`take every documented default the same, of ${variables.length} variables`, async () => {
    let right = 0;
    for (const env of byPart(({ default: value }) =>
      value === undefined || typeof value === 'string' ? value : JSON.stringify(value),
    ))
      if ((await sameForBoth({ ...FREE, ...env })).code === 0) right += 1;
    assert.ok(right > 10, `${right}`);
  });

  it('take the last word that a key allows the same', async () => {
    for (const env of byPart(({ allowed, type }) => {
      const word = allowed?.at(-1);
      return word === undefined ? undefined : type === 'list' ? JSON.stringify([word]) : String(word);
    }))
      await sameForBoth({ ...FREE, ...env });
  });

  it('say the same of what fits no key', async () => {
    for (const env of byPart(({ type }) => (type === 'string' ? '\u0001 ~?' : '~')))
      await sameForBoth({ ...FREE, ...env });
  });

  const redis = (url: string): Env => ({ POSTERN_REDIS_URL: url });
  const yaml = (text: string) => (): Env => ({ POSTERN_CONFIG: file('postern.yaml', text) });
  const rule = (text: string) => yaml(`auth: { rules: [${text}] }`);
  const provider = (text: string) => yaml(`auth: { providers: [{ id: a, issuer: "http://127.0.0.1:1"${text} }] }`);
  const servers = (text: string) => yaml(`relay: { servers: { a: ${text} } }`);
  const right: Array<[string, Env | (() => Env)]> = [
    ['redis', redis('redis://127.0.0.1:1')],
    ['redis database', redis('redis://127.0.0.1:1/3')],
    ['redis IPv6', redis('redis://[::1]:1/')],
    ['rediss', redis('rediss://127.0.0.1:1/0')],
    ['cluster', { POSTERN_REDIS_CLUSTER_NODES: '127.0.0.1:1,[::1]:1' }],
    ['provider', provider('')],
    ['issuer with a slash', yaml('auth: { providers: [{ id: a, issuer: "http://127.0.0.1:1/realms/x/" }] }')],
    ['publicUrl with a slash', { POSTERN_PUBLIC_URL: 'http://127.0.0.1:8080/' }],
    ['server with a slash', servers('{ url: "http://127.0.0.1:1/mcp/" }')],
    ['websocket server', servers('{ url: "ws://127.0.0.1:1/", transport: websocket }')],
    ['program that is not there', servers('{ command: /no/such/program }')],
    ['rule for everything', rule('{ match: { path: "/**" }, public: true }')],
    ['rule with encoded delimiters', rule('{ match: { path: "/p/**" }, public: true, encodedDelimiters: true }')],
    ['0s', { POSTERN_AUTH_SESSIONS_OUTAGE_TIMEOUT: '0s' }],
    ['audit folder', () => ({ POSTERN_AUDIT_FILE_PATH: join(folder, '{process}.log') })],
    ['listen by name', { POSTERN_AUTH_LISTEN: 'localhost:0' }],
    ['policy', yaml('relay: { policy: { rules: [{ who: anyone-signed-in, tools: ["get_*"] }] } }')],
  ];
  for (const [name, given] of right)
    it(`are right for both: ${name}`, async () => {
      const env = { ...FREE, ...(typeof given === 'function' ? given() : given) };
      assert.deepEqual(await sameForBoth(env), { code: 0, problems: [] });
    });

  const jwks = '{"keys":[{"kty":"oct","k":"AAAA"}]}';
  const wrong: Array<[string, Env | (() => Env), RegExp]> = [
    ['redis with a query', redis('redis://127.0.0.1:1?family=6'), /^redis\.url: must be redis:/],
    ['redis with a path', redis('redis://127.0.0.1:1/zero'), /^redis\.url: /],
    ['redis with a user', redis('redis://u:p@127.0.0.1:1'), /^redis\.url: .*redis\.username/],
    ['redis without a host', redis('redis:///1'), /^redis\.url: /],
    ['redis with a fragment', redis('redis://127.0.0.1:1#x'), /^redis\.url: /],
    ['redis with a wrong port', redis('redis://127.0.0.1:99999'), /^redis\.url: /],
    ['redis with a wrong address', redis('redis://10.0.0.999'), /^redis\.url: /],
    ['rediss with options', redis('rediss://127.0.0.1:1/0?rejectUnauthorized=false'), /^redis\.url: .*redis\.tls/],
    [
      'rediss without its authority',
      { ...redis('rediss://127.0.0.1:1'), POSTERN_REDIS_TLS_CA_PATH: '/no/ca.pem' },
      /^redis\.tls\.caPath: .*\/no\/ca\.pem.*ENOENT/,
    ],
    [
      'rediss with no certificate',
      () => ({ ...redis('rediss://127.0.0.1:1'), POSTERN_REDIS_TLS_CA_PATH: file('ca.pem', 'x') }),
      /^redis\.tls\.caPath: /,
    ],
    ['cluster node without port', { POSTERN_REDIS_CLUSTER_NODES: '127.0.0.1' }, /^redis\.cluster\.nodes\[0\]: /],
    ['cluster node with a wrong port', { POSTERN_REDIS_CLUSTER_NODES: 'a:70000' }, /^redis\.cluster\.nodes\[0\]: /],
    ...[
      '8080',
      ':8080',
      '*:8080',
      '127.0.0.1',
      '127.0.0.1:65536',
      '10.0.0.999:80',
      '[1::2::3]:80',
      '::1:80',
      'a b:80',
      'http://a:80',
    ].map(
      (address) =>
        [
          `listen ${address}`,
          { POSTERN_AUTH_LISTEN: address },
          /^(POSTERN_AUTH_LISTEN \()?auth\.listen\)?: must be HOST:PORT/,
        ] as [string, Env, RegExp],
    ),
    ...['10', '10 s', '-1s', '1.5.2s', '1w', 'soon', '1e3s', 'Infinitys'].map(
      (span) =>
        [
          `span ${span}`,
          { POSTERN_AUTH_SESSIONS_IDLE_TIMEOUT: span },
          /^auth\.sessions\.idleTimeout: must be a duration/,
        ] as [string, Env, RegExp],
    ),
    ...['10', '10MB', '-1KiB', '1 KiB'].map(
      (size) =>
        [`size ${size}`, { POSTERN_RELAY_LIMITS_MAX_BODY: size }, /^relay\.limits\.maxBody: must be a size/] as [
          string,
          Env,
          RegExp,
        ],
    ),
    ...['mcp.example.com', 'ftp://a', 'http://u:p@a/', 'http://', 'https://a/#x'].map(
      (url) =>
        [`publicUrl ${url}`, { POSTERN_PUBLIC_URL: url }, /^publicUrl: must be an http or https URL/] as [
          string,
          Env,
          RegExp,
        ],
    ),
    [
      'proxies',
      { POSTERN_RELAY_TRUST_ENABLED: 'true', POSTERN_RELAY_TRUST_PROXIES: '10.0.0.0/33' },
      /^relay\.trust\.proxies\[0\]: /,
    ],
    ['trusted proxies', { POSTERN_AUTH_TRUSTED_PROXIES: 'traefik' }, /^auth\.trustedProxies\[0\]: /],
    ['session keys', { POSTERN_AUTH_SESSIONS_KEYS: 'short' }, /^auth\.sessions\.keys: key 1 must be 32 bytes/],
    ['session key', { POSTERN_RELAY_SESSION_KEY: 'short' }, /^relay\.sessionKey: key 1 must be 32 bytes/],
    ['session key file', { POSTERN_RELAY_SESSION_KEY_PATH: '/no/keys' }, /^relay\.sessionKeyPath: .*ENOENT/],
    [
      'empty key file',
      () => ({ POSTERN_AUTH_SESSIONS_KEYS_PATH: file('keys', '\n') }),
      /^auth\.sessions\.keysPath: holds no key/,
    ],
    ['assertion keys', { POSTERN_AUTH_ASSERTION_KEYS: 'x' }, /^auth\.assertion\.keys: must be a JWK Set/],
    ['symmetric assertion keys', { POSTERN_AUTH_ASSERTION_KEYS: jwks }, /^auth\.assertion\.keys: must be a JWK Set/],
    ['assertion key file', { POSTERN_AUTH_ASSERTION_KEYS_PATH: '/no/jwks' }, /^auth\.assertion\.keysPath: .*ENOENT/],
    [
      'certificate',
      { POSTERN_AUTH_TLS_CERT_PATH: '/no/c.pem', POSTERN_AUTH_TLS_KEY_PATH: '/no/k.pem' },
      /^auth\.tls\.certPath: \/no\/c\.pem.*ENOENT/,
    ],
    [
      'certificate of the relay',
      () => ({ POSTERN_RELAY_TLS_CERT_PATH: file('c.pem', 'x'), POSTERN_RELAY_TLS_KEY_PATH: file('k.pem', 'x') }),
      /^relay\.tls\.certPath: /,
    ],
    ['audit folder', { POSTERN_AUDIT_FILE_PATH: '/no/folder/{process}.log' }, /^audit\.file\.path: \/no\/folder\//],
    [
      'audit file that is a folder',
      () => {
        mkdirSync(join(folder, 'relay'), { recursive: true });
        return { POSTERN_AUDIT_FILE_PATH: join(folder, '{process}') };
      },
      /^audit\.file\.path: .*EISDIR/,
    ],
    [
      'secret file',
      provider(', clientId: a, clientSecretPath: /no/secret'),
      /^auth\.providers\[0\]\.clientSecretPath: /,
    ],
    [
      'JWT key',
      { MCP_CLIENT_AUTH_ENABLED: 'true', JWT_ALGORITHM: 'RS256', JWT_PUBLIC_KEY_PATH: '/no/key.pem' },
      /^relay\.jwt\.publicKeyPath: /,
    ],
    [
      'JSON Schema',
      yaml('relay: { policy: { rules: [{ who: anyone-signed-in, tools: [a], arguments: { type: nonsense } }] } }'),
      /^relay\.policy\.rules\[0\]\.arguments: is not a JSON Schema/,
    ],
    [
      'shadowed rule',
      yaml('relay: { policy: { rules: [{ who: anyone-signed-in }, { who: anyone-signed-in, tools: [a] }] } }'),
      /^relay\.policy\.rules\[1\]: can never match/,
    ],
    [
      'secret by variable',
      servers('{ url: "http://127.0.0.1:1", credential: { bearer: { env: NO_SUCH } } }'),
      /^relay\.servers\.a\.credential\.bearer\.env: the variable NO_SUCH is not set/,
    ],
    [
      'secret by file',
      servers('{ url: "http://127.0.0.1:1", credential: { bearer: { path: /no/token } } }'),
      /^relay\.servers\.a\.credential\.bearer\.path: .*ENOENT/,
    ],
    [
      'upstream authority',
      servers('{ url: "https://127.0.0.1:1", tls: { caPath: /no/ca } }'),
      /^relay\.servers\.a\.tls\.caPath: \/no\/ca.*ENOENT/,
    ],
    [
      'trace authority',
      { POSTERN_TRACING_ENDPOINT: 'https://127.0.0.1:1', POSTERN_TRACING_CA_PATH: '/no/ca' },
      /^tracing\.caPath: \/no\/ca.*ENOENT/,
    ],
    [
      'path pattern',
      rule('{ match: { path: "mcp/**" }, public: true }'),
      /^auth\.rules\[0\]\.match\.path: must start with/,
    ],
    [
      'webhook secret',
      { POSTERN_WATCH_WEBHOOK_URL: 'https://a', POSTERN_WATCH_WEBHOOK_SECRET: 'x' },
      /^watch\.webhook\.secret: /,
    ],
    ['watch key', { POSTERN_WATCH_KEY: 'x' }, /^watch\.key: /],
    [
      'resource template',
      servers('{ url: "http://127.0.0.1:1/{user}", headers: { "X Y": "{nobody}" } }'),
      /^relay\.servers\.a\./,
    ],
    ['proxy of the environment', { HTTPS_PROXY: 'socks5://a:1' }, /HTTPS_PROXY/],
  ];
  for (const [name, given, message] of wrong)
    it(`are wrong for both: ${name}`, async () => {
      const { problems } = await sameForBoth({ ...FREE, ...(typeof given === 'function' ? given() : given) });
      assert.match(problems.join('\n'), new RegExp(message.source, 'm'));
    });
});
