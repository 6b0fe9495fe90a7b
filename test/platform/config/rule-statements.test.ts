import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Rules } from '../../../src/forward-auth/decision/rules.ts';
import { ANONYMOUS, type Identity } from '../../../src/identity/identity.ts';
import { type LoadedConfig, loadConfig } from '../../../src/platform/config/load.ts';
import type { Config } from '../../../src/platform/config/schema.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';
import { compilePolicy } from '../../../src/relay/policy/compile.ts';

const SOMEBODY: Identity = { ...ANONYMOUS, subject: 'mallory', method: 'bearer', issuer: 'https://idp.example' };
const MEMBERS = [[], ['admins'], ['staff'], ['readers']].map((groups) => ({ ...SOMEBODY, groups }));
const PATHS = [
  '/',
  '/d',
  '/docs',
  '/docs/a',
  '/docs/private',
  '/docs/private/b',
  '/secret',
  '/secret/x',
  '/secret/x/y',
  '/open',
];

const SECRET_LAST = `publicUrl: https://mcp.example.com
auth:
  providers:
    - id: corp
      issuer: https://idp.example
  rules:
    - public: true
      match:
        path: /docs
    - match: { path: /open }
      allow: anyone-signed-in
    - allow:
        groups: [staff]
      match:
        path: /docs/private/**
    - match:
        path: /secret/**
      allow:
        groups:
          - admins
`;
/** What narrows stands after what it narrows, at each depth. */
const NARROWED_LAST = `publicUrl: https://mcp.example.com
auth:
  rules:
    - match:
        path: /docs
      allow:
        groups: [staff]
        providers:
          - corp
      scopes:
        default:
          - read
  providers:
    - id: corp
      issuer: https://idp.example
      clientId: postern
      allowedDomains:
        - example.com
        - example.org
relay:
  listen: 0.0.0.0:4444
  servers:
    github:
      url: http://127.0.0.1:1/mcp
    files:
      url: http://127.0.0.1:2/mcp
  trust:
    proxies: [10.0.0.0/8]
    secret: a-secret-of-the-proxy-that-is-long-enough
    assertion:
      jwksUrl: http://127.0.0.1:3/jwks
      audience: this-relay
  rateLimits:
    - by: user
      limit: 5
      per: 1m
    - by: server
      limit: 50
      per: 1m
  policy:
    default: allow
    readOnly:
      - github
      - files
    rules:
      - servers: [github]
        effect: deny
      - servers: [files]
        effect: deny
        who:
          groups: [readers]
        tools:
          - write
`;
const POLICY = `relay:
  servers: { github: { url: http://127.0.0.1:1/mcp }, files: { url: http://127.0.0.1:2/mcp } }
  policy:
    rules:
      - tools: [delete_*]
        effect: deny
      - servers: [github]
        who: { groups: [staff] }
      - servers: [files]
        who:
          groups:
            - readers
`;

describe('a rule states who may', () => {
  let folder: string;
  let file: string;
  const load = (text: string, running?: LoadedConfig, env = {}) => {
    writeFileSync(file, text);
    return loadConfig(file, env, running?.document);
  };
  const problems = (...given: Parameters<typeof load>): readonly string[] => {
    try {
      load(...given);
    } catch (error) {
      assert.ok(error instanceof ConfigurationError, String(error));
      return error.problems;
    }
    return [];
  };

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-rules-'));
    file = join(folder, 'postern.yaml');
  });
  after(() => rmSync(folder, { recursive: true }));

  it('by `allow: anyone-signed-in`, which lets in everybody but the anonymous', () => {
    const { config, warnings } = load(
      'auth: { rules: [{ match: { path: /a }, allow: anyone-signed-in }] }\nrelay: { policy: { rules: [{ who: anyone-signed-in }] } }\n',
    );
    assert.deepEqual(warnings, []);
    assert.equal(
      new Rules(config.auth).match({ path: '/a', host: 'x', method: 'GET' } as never)?.admits(SOMEBODY),
      true,
    );
    assert.equal(mayCall(config, SOMEBODY, 'github'), true);
    assert.equal(mayCall(config, ANONYMOUS, 'github'), false);
  });

  it('or is read for one release, with a warning that names the rule and the fix', () => {
    const { warnings } = load(`auth:
  rules:
    - match: { path: /a }
    - { match: { path: /b }, allow: {} }
    - { match: { path: /c }, public: true }
    - { match: { path: /d }, public: false }
relay:
  servers: {}
  policy: { rules: [{ effect: deny }, { tools: [a] }, { who: {}, tools: [b] }] }
`);
    assert.deepEqual(
      warnings.map((warning) => warning.split(':')[0]),
      ['auth.rules[0]', 'auth.rules[1]', 'auth.rules[3]', 'relay.policy.rules[1]', 'relay.policy.rules[2]'],
    );
    assert.match(warnings[0] ?? '', /write `allow: anyone-signed-in`/);
    assert.match(warnings[3] ?? '', /write `who: anyone-signed-in`/);
  });

  it('or is refused where the file ends with it, and wherever it stands in a file that replaces another', () => {
    for (const text of [
      'auth:\n  rules:\n    - match:\n        path: /secret/**\n',
      'auth:\n  rules:\n    - match: { path: /a }\n',
    ])
      assert.match(problems(text)[0] ?? '', /^auth\.rules\[0\]: does not state who may, and the file ends there/);
    assert.match(
      problems('relay:\n  servers: { a: { url: http://a } }\n  policy:\n    rules:\n      - servers: [a]\n')[0] ?? '',
      /^relay\.policy\.rules\[0\]: does not state who may/,
    );
    const running = load(SECRET_LAST);
    for (const rule of ['{ match: { path: /a } }', '{ match: { path: /a }, allow: {} }'])
      assert.match(problems(`auth: { rules: [${rule}], limits: {} }\n...\n`, running)[0] ?? '', /auth\.rules\[0\]/);
  });

  it('or is taken with a warning from the environment, whatever the file ends with', () => {
    const env = { POSTERN_AUTH_RULES: '[{"match":{"path":"/a"}}]' };
    assert.equal(load('auth:\n  rules:\n    - match:\n        path: /secret/**\n', undefined, env).warnings.length, 1);
  });

  it('says what may stand there', () => {
    for (const [allow, message] of [
      ['anybody', /^auth\.rules\[0\]\.allow: must be `anyone-signed-in` or a map of users, groups, providers$/],
      ['[staff]', /^auth\.rules\[0\]\.allow: must be `anyone-signed-in`/],
      ['{ group: [staff] }', /^auth\.rules\[0\]\.allow\.group: unknown key; did you mean `groups`\?$/],
      ['{ groups: [] }', /^auth\.rules\[0\]\.allow\.groups: /],
    ] as const)
      assert.match(problems(`auth: { rules: [{ match: { path: /a }, allow: ${allow} }] }\n`).join('\n'), message);
  });
});

describe('a configuration file that is cut short', () => {
  let folder: string;
  let file: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'postern-cut-'));
    file = join(folder, 'postern.yaml');
  });
  after(() => rmSync(folder, { recursive: true }));
  const load = (text: string, running?: LoadedConfig): LoadedConfig | undefined => {
    writeFileSync(file, text);
    try {
      return loadConfig(file, {}, running?.document);
    } catch (error) {
      assert.ok(error instanceof ConfigurationError, String(error));
      return undefined;
    }
  };
  const whole = (text: string) => load(text) ?? assert.fail('the whole file was refused');

  for (const [name, text] of [
    ['at the start', SECRET_LAST],
    ['with line breaks of another system', SECRET_LAST.replaceAll('\n', '\r\n')],
    ['with comments', SECRET_LAST.replaceAll(/$/gm, ' # why')],
    ['with its policy last', SECRET_LAST + POLICY],
    ['with its policy first', `${POLICY}${SECRET_LAST}`],
  ] as const)
    it(`at any byte allows nothing that the whole denies: ${name}`, () => {
      const { config } = whole(text);
      let read = 0;
      for (let length = 0; length < text.length; length += 1) {
        const cut = load(text.slice(0, length));
        if (cut === undefined) continue;
        read += 1;
        assertNoWider(
          cut.config,
          config,
          `cut after ${length} bytes: …${text.slice(Math.max(0, length - 40), length)}`,
        );
      }
      assert.ok(read > 0, 'no cut was read at all');
    });

  for (const [name, text] of [
    ['between marks', `---\n${SECRET_LAST}      scopes: { default: [a] }\n...\n`],
    ['as one map', JSON.stringify({ auth: { rules: [{ match: { path: '/a', methods: ['GET'] }, public: true }] } })],
  ] as const)
    it(`is not read at all, at the start: ${name}`, () => {
      whole(text);
      const end = text.trimEnd().length;
      for (let length = 1; length < end; length += 1)
        if (load(text.slice(0, length)) !== undefined) assert.fail(`was read: ${text.slice(0, length)}`);
    });

  for (const [name, text] of [
    ['by indentation', `${SECRET_LAST}      scopes:\n        default: [a]\n${POLICY}`],
    ['ended by a mark', `${SECRET_LAST}...\n`],
  ] as const)
    it(`does not replace the file that runs: ${name}`, () => {
      const running = whole(text);
      const end = text.trimEnd().length;
      for (let length = 0; length < end; length += 1)
        if (load(text.slice(0, length), running) !== undefined) assert.fail(`was read: ${text.slice(0, length)}`);
    });

  for (const [name, text] of [
    ['with its policy last', SECRET_LAST + POLICY],
    ['with its policy first', `${POLICY}${SECRET_LAST}`],
    ['with what narrows last', NARROWED_LAST],
  ] as const)
    it(`and is another one, loses nothing of the file that runs: ${name}`, () => {
      const running = whole(text);
      const edited = `# another one\n${text.replaceAll('https://idp.example', 'https://new-idp.example')}`;
      const { config } = load(edited, running) ?? assert.fail('the whole file was refused');
      let read = 0;
      for (let length = 0; length < edited.length; length += 1) {
        const cut = load(edited.slice(0, length), running);
        if (cut === undefined) continue;
        read += 1;
        const where = `cut after ${length} bytes: …${edited.slice(Math.max(0, length - 40), length)}`;
        assertNoWider(cut.config, config, where);
        assertNothingLost(cut.config, config, where);
      }
      // Where what narrows comes last, each cut lacks some of it.
      assert.equal(read > 0, text !== NARROWED_LAST);
    });

  it('where it is meant, replaces the file that runs once it says so', () => {
    const running = whole(SECRET_LAST + POLICY);
    assert.equal(load(SECRET_LAST, running), undefined);
    assert.ok(load(`${SECRET_LAST}...\n`, running));
    assert.ok(load('{}\n', running), 'no keys, in so many words');
    const other = SECRET_LAST.replace('/open', '/o');
    assert.equal(load(other, running), undefined, 'another file that lacks a section');
    assert.ok(load(`${other}...\n`, running));
    assert.ok(load(other.slice(0, other.indexOf('    - allow:')), whole(SECRET_LAST)), 'fewer rules allow less');
    assert.ok(load(`${SECRET_LAST}${POLICY}\n\n`, running), 'the same file');
  });

  it('to nothing, or to comments, does not replace one that holds something', () => {
    const running = whole(SECRET_LAST);
    for (const text of ['', '\n', '# postern\n']) assert.equal(load(text, running), undefined, text);
    assert.ok(load('', whole('# nothing yet\n')));
  });

  it('says how a file ends', () => {
    const said = (text: string) => {
      writeFileSync(file, text);
      assert.throws(() => loadConfig(file, {}), ConfigurationError);
      try {
        loadConfig(file, {});
      } catch (error) {
        return (error as ConfigurationError).problems.join();
      }
      return '';
    };
    assert.match(said('---\ndrain: 1s\n'), /starts with `---` but does not end with `\.\.\.`/);
    for (const text of [
      'auth:\n  trustedProxies:\n    - 10.0.0.0/1',
      'auth:\n  rules:\n    - public: true\n      match:\n        path: /docs',
      'auth:\n  rules:\n    - public: true\n      match:\n        path: |-\n          /docs',
    ])
      assert.match(said(text), /ends within a line/, text);
    assert.equal(load('drain: 1', whole('log: { level: info }\n')), undefined);
    for (const text of [
      'drain: 1s',
      'drain: "1s"',
      'log: { level: info }',
      'relay:\n  authRequired: true',
      'drain: 1s # one',
      'drain: 1s\n...',
    ])
      assert.ok(load(text), text);
  });
});

function assertNoWider(cut: Config, whole: Config, where: string): void {
  const [mine, theirs] = [new Rules(cut.auth), new Rules(whole.auth)];
  for (const path of PATHS) {
    const request = { path, host: 'mcp.example.com', method: 'GET' } as const;
    const [now, before] = [mine.match(request), theirs.match(request)];
    if (now?.public === true) assert.equal(before?.public, true, `${path} is public, ${where}`);
    for (const identity of MEMBERS)
      if (now?.admits(identity) === true)
        assert.ok(
          before?.public === true || before?.admits(identity) === true,
          `${path} for ${identity.groups}, ${where}`,
        );
  }
  for (const server of Object.keys(cut.relay.servers))
    for (const identity of [...MEMBERS, ANONYMOUS])
      if (cut.relay.policy !== undefined && mayCall(cut, identity, server))
        assert.ok(mayCall(whole, identity, server), `${server} for ${identity.groups}, ${where}`);
}

/** Whatever narrows in the whole does so in what was read of it. */
function assertNothingLost(cut: Config, whole: Config, where: string): void {
  assert.deepEqual(cut.relay.trust, whole.relay.trust, where);
  assert.deepEqual(cut.relay.rateLimits, whole.relay.rateLimits, where);
  assert.equal(cut.relay.policy === undefined, whole.relay.policy === undefined, `no policy, ${where}`);
  assert.deepEqual(cut.relay.policy?.readOnly, whole.relay.policy?.readOnly, where);
  if (whole.relay.policy?.default === 'allow') assert.deepEqual(cut.relay.policy, whole.relay.policy, where);
  for (const [at, provider] of cut.auth.providers.entries())
    assert.equal(provider.allowedDomains.length > 0, (whole.auth.providers[at]?.allowedDomains.length ?? 0) > 0, where);
  for (const [at, { allow, scopes }] of cut.auth.rules.entries())
    assert.deepEqual([allow, scopes], [whole.auth.rules[at]?.allow, whole.auth.rules[at]?.scopes], where);
}

function mayCall({ relay: { policy } }: Config, identity: Identity, server: string): boolean {
  if (policy === undefined) return true;
  const compiled = compilePolicy(policy, ['github', 'files'], () => false);
  return compiled.judge({ identity, server, method: 'tools/call', params: { name: 'read' } }).kind === 'allowed';
}
