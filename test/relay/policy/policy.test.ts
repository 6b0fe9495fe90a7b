import assert from 'node:assert/strict';
import { ANONYMOUS, type Identity } from '../../../src/identity/identity.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { ConfigurationError } from '../../../src/platform/errors.ts';
import { compilePolicy } from '../../../src/relay/policy/compile.ts';
import type { PolicyDecision } from '../../../src/relay/policy/policy-decision.ts';
import { visible } from '../../../src/relay/policy/visible.ts';

const ALICE: Identity = {
  ...ANONYMOUS,
  subject: 'alice',
  groups: ['engineers'],
  method: 'session',
  issuer: 'https://idp',
};
const BOB: Identity = { ...ALICE, subject: 'bob', groups: [], scopes: ['mcp:use'], method: 'bearer' };
const SERVERS = { github: { url: 'http://127.0.0.1:9/mcp' }, files: { url: 'http://127.0.0.1:9/mcp' } };

function policy(settings: object, readOnlyTools: readonly string[] = []) {
  const { relay } = parseConfig({ relay: { servers: SERVERS, policy: settings } });
  assert.ok(relay.policy);
  return compilePolicy(relay.policy, Object.keys(relay.servers), (_server, tool) => readOnlyTools.includes(tool));
}

function problems(settings: object): readonly string[] {
  try {
    policy(settings);
  } catch (error) {
    assert.ok(error instanceof ConfigurationError);
    return error.problems;
  }
  return [];
}

function call(
  settings: object | ReturnType<typeof policy>,
  identity: Identity,
  tool: unknown,
  args?: unknown,
  { server = 'github', text }: { server?: string; text?: string } = {},
): PolicyDecision {
  const judged = 'judge' in settings ? settings : policy(settings);
  return judged.judge({
    identity,
    server,
    method: 'tools/call',
    params: { name: tool, ...(args === undefined ? {} : { arguments: args }) },
    ...(text === undefined ? {} : { text: () => text }),
  });
}

const kind = (decision: PolicyDecision) => (decision.kind === 'denied' ? decision.reason : 'allowed');

describe('who may use what', () => {
  const rules = [
    { effect: 'deny', tools: ['delete_*'] },
    { who: { groups: ['engineers'] }, servers: ['git*'], tools: ['*_issue', 'search'] },
    { who: { scopes: ['mcp:admin'] }, servers: ['github'], tools: ['merge'] },
    { who: { anonymous: true }, servers: ['files'], resources: ['file:///public/*'] },
  ];

  it('is the first rule that matches, and what no rule matches is denied', () => {
    const judged = policy({ rules });
    assert.equal(kind(call(judged, ALICE, 'get_issue')), 'allowed');
    assert.equal(kind(call(judged, ALICE, 'delete_issue')), 'rule');
    assert.equal(kind(call(judged, BOB, 'get_issue')), 'no_rule');
    assert.equal(kind(call(judged, ALICE, 'get_issue', undefined, { server: 'files' })), 'no_rule');
    assert.equal(kind(call({ default: 'allow', rules }, BOB, 'get_issue')), 'allowed');
  });

  it('names what is missing: the permission, and the scopes where scopes would help', () => {
    const denied = call({ rules }, BOB, 'merge');
    assert.deepEqual(denied, {
      kind: 'denied',
      reason: 'no_rule',
      rule: 'relay.policy.default',
      permission: 'tools/call "merge" of server "github"',
      scopes: ['mcp:admin'],
    });
    assert.equal(kind(call({ rules }, { ...BOB, scopes: ['mcp:admin'] }, 'merge')), 'allowed');
  });

  it('reaches the anonymous by a rule that names them only', () => {
    const read = (settings: object, uri: string) =>
      kind(policy(settings).judge({ identity: ANONYMOUS, server: 'files', method: 'resources/read', params: { uri } }));
    assert.equal(read({ rules }, 'file:///public/a'), 'allowed');
    assert.equal(read({ rules }, 'file:///private/a'), 'no_rule');
    assert.equal(read({ rules: [{ servers: ['files'] }] }, 'file:///public/a'), 'no_rule');
  });

  it('lets everybody begin a session who may use anything there, and nobody else', () => {
    const judged = policy({ rules });
    const begin = (identity: Identity, server: string, method = 'initialize') =>
      kind(judged.judge({ identity, server, method, params: {} }));
    assert.equal(begin(ALICE, 'github'), 'allowed');
    assert.equal(begin(ALICE, 'github', 'prompts/list'), 'allowed');
    assert.equal(begin(ALICE, 'github', 'tasks/list'), 'no_rule');
    assert.equal(begin(ALICE, 'files'), 'no_rule');
    assert.equal(begin(ANONYMOUS, 'github'), 'no_rule');
  });

  it('leaves names alone that are too long to be compared, one by one and together', () => {
    const judged = policy({ default: 'allow', rules: [{ effect: 'deny', resources: ['file:///etc/*'] }] });
    const listen = (count: number, length: number) =>
      kind(
        judged.judge({
          identity: ALICE,
          server: 'files',
          method: 'subscriptions/listen',
          params: { notifications: { resourceSubscriptions: Array(count).fill('x'.repeat(length)) } },
        }),
      );
    assert.equal(listen(1_000, 200), 'allowed');
    assert.equal(listen(1, 8_193), 'unclear');
    assert.equal(listen(40, 8_000), 'unclear');
    const uris = ['file:///a', `file:///${'a'.repeat(8_192)}`, ...Array(200).fill(`file:///${'b'.repeat(8_000)}`)];
    const listed = (key: string, name: string) => {
      const message = { result: { [key]: uris.map((uri) => ({ [name]: uri })) } };
      const { result } = visible(message, ALICE, 'files', judged.shows.bind(judged));
      return ((result as Record<string, unknown[]>)[key] ?? []).length;
    };
    for (const [key, name] of [
      ['tools', 'name'],
      ['resources', 'uri'],
      ['resourceTemplates', 'uriTemplate'],
    ] as const)
      assert.equal(listed(key, name), 1 + Math.floor((1_048_576 - 9) / 8_008), key);
  });

  it('judges each resource of a subscription and what is completed', () => {
    const judged = policy({ rules: [{ resources: ['file:///data/*'], prompts: ['greet'] }] });
    const judge = (method: string, params: Record<string, unknown>) =>
      kind(judged.judge({ identity: ALICE, server: 'files', method, params }));
    const listen = (...uris: unknown[]) =>
      judge('subscriptions/listen', { notifications: { resourceSubscriptions: uris } });
    assert.equal(listen('file:///data/a'), 'allowed');
    assert.equal(listen('file:///data/a', 'file:///etc/passwd'), 'no_rule');
    assert.equal(listen('file:///data/a', 7), 'unclear');
    assert.equal(judge('completion/complete', { ref: { type: 'ref/prompt', name: 'greet' } }), 'allowed');
    assert.equal(judge('completion/complete', { ref: { type: 'ref/prompt', name: 'other' } }), 'no_rule');
    assert.equal(judge('completion/complete', { ref: { type: 'ref/else' } }), 'unclear');
  });
});

describe('tricks with names', () => {
  const denies = { default: 'allow', rules: [{ effect: 'deny', tools: ['delete_repo'] }] };
  for (const name of [
    'Delete_Repo',
    ' delete_repo',
    'delete_repo\n',
    'ｄｅｌｅｔｅ_repo',
    'delete\u200b_repo',
    'de\u00adlete_repo',
  ])
    it(`do not pass a deny rule: ${JSON.stringify(name)}`, () => assert.equal(kind(call(denies, ALICE, name)), 'rule'));

  for (const name of ['Search', 'search ', 'sеarch', 'search\u0000', ['search'], { toString: 'search' }, null])
    it(`do not pass as what is allowed: ${JSON.stringify(name)}`, () =>
      assert.notEqual(kind(call({ rules: [{ tools: ['search'] }] }, ALICE, name)), 'allowed'));

  for (const method of ['Tools/Call', 'tools/call ', 'tools//call', 'TOOLS/CALL', 'tools/c\u0430ll', 'tools-call'])
    it(`nor by another spelling of a method: ${JSON.stringify(method)}`, () => {
      const judged = policy({ rules: [{ effect: 'deny', tools: ['delete_repo'] }, { methods: ['tools/*'] }] });
      const decision = judged.judge({ identity: ALICE, server: 'github', method, params: { name: 'delete_repo' } });
      assert.notEqual(kind(decision), 'allowed');
    });

  for (const uri of [
    'file:///data/../etc/passwd',
    'file:///data/%2e%2e/etc/passwd',
    'file:///data/..%2fetc/passwd',
    'file:///data\\..\\etc',
    'file:///data/%252e%252e/etc',
    'file:///data/.',
    'file:///data/a\n',
  ])
    it(`nor by a path out of what is allowed: ${JSON.stringify(uri)}`, () => {
      const read = (settings: object) =>
        kind(policy(settings).judge({ identity: ALICE, server: 'files', method: 'resources/read', params: { uri } }));
      assert.equal(read({ rules: [{ resources: ['file:///data/*'] }] }), 'no_rule');
    });

  for (const uri of [
    'file:///etc/passwd',
    'FILE:///etc/passwd',
    'file:///data/../etc/passwd',
    'file:///%65tc/passwd',
    'file:///./etc/passwd',
    'file:////etc/passwd',
    'file:///etc//passwd',
    'file:/etc/passwd',
    'file:///data/.//..//etc/passwd',
    'file:///data/%2e%2e/etc/100%',
    `file:${'/'.repeat(8_000)}etc/passwd`,
  ])
    it(`nor into what is denied: ${uri}`, () => {
      const settings = { default: 'allow', rules: [{ effect: 'deny', resources: ['file:///etc/*'] }] };
      const judged = policy(settings).judge({
        identity: ALICE,
        server: 'files',
        method: 'resources/read',
        params: { uri },
      });
      assert.equal(kind(judged), 'rule');
    });
});

describe('conditions on arguments', () => {
  it('say when two items of a list are the same, whatever the order of their keys', () => {
    const rules = [{ tools: ['read'], arguments: { properties: { all: { type: 'array', uniqueItems: true } } } }];
    const ask = (all: unknown) => kind(call({ rules }, ALICE, 'read', { all }));
    assert.equal(ask([{ a: 1 }, { a: 2 }, { b: 1 }, 1, '1', [1], [[1]]]), 'allowed');
    assert.equal(
      ask([
        { a: 1, b: [2] },
        { b: [2], a: 1 },
      ]),
      'no_rule',
    );
    assert.equal(ask([1, 1.0]), 'no_rule');
  });

  const schema = { properties: { path: { type: 'string', pattern: '^/data/[a-z]+$' } }, required: ['path'] };
  const rules = [{ tools: ['read'], arguments: schema }];
  const ask = (args: unknown, text = JSON.stringify({ params: { arguments: args } })) =>
    kind(call({ rules }, ALICE, 'read', args, { text }));

  it('hold for the call that fits', () => {
    assert.equal(ask({ path: '/data/a' }), 'allowed');
    assert.equal(ask({ path: '/etc/passwd' }), 'no_rule');
    assert.equal(ask({}), 'no_rule');
    assert.equal(ask(undefined, '{}'), 'no_rule');
    assert.equal(
      ask([]),
      'allowed',
      'a schema without `type` says nothing of lists; docs tell to write `type: object`',
    );
  });

  it('are not deceived by a key that comes twice, at any depth, or that another reader spells otherwise', () => {
    const twice = (args: string) => `{"params":{"name":"read","arguments":${args}}}`;
    assert.equal(ask({ path: '/data/a' }, twice('{"path":"/etc/passwd","path":"/data/a"}')), 'unclear');
    assert.equal(ask({ path: '/data/a' }, twice('{"path":"/data/a","\\u0070ath":"/etc/passwd"}')), 'unclear');
    assert.equal(ask({ path: '/data/a', o: { a: 2 } }, twice('{"path":"/data/a","o":{"a":1,"A":2}}')), 'unclear');
    assert.equal(ask({ path: '/data/a', Path: '/etc/passwd' }), 'unclear');
    assert.equal(ask({ path: '/data/a', list: [{ PATH: '/etc' }] }), 'unclear');
    assert.equal(ask({ path: '/data/a', text: '"path": "path":' }), 'allowed', 'a value is no key');
  });

  it('in a deny rule refuse what fits', () => {
    const settings = {
      default: 'allow',
      rules: [
        { effect: 'deny', tools: ['push'], arguments: { properties: { force: { const: true } }, required: ['force'] } },
      ],
    };
    assert.equal(kind(call(settings, ALICE, 'push', { force: true })), 'rule');
    assert.equal(kind(call(settings, ALICE, 'push', { force: false })), 'allowed');
    assert.equal(kind(call(settings, ALICE, 'push', { Force: true })), 'unclear');
  });
});

describe('read-only', () => {
  it('lets only tools through that the server lists so; unknown is not', () => {
    const judged = policy({ readOnly: ['github'], rules: [{}] }, ['search']);
    assert.equal(kind(call(judged, ALICE, 'search')), 'allowed');
    assert.equal(kind(call(judged, ALICE, 'merge')), 'read_only');
    assert.equal(kind(call(judged, ALICE, 'Search')), 'read_only');
    assert.equal(kind(call(judged, ALICE, 'merge', undefined, { server: 'files' })), 'allowed');
  });

  it('as a condition of a rule', () => {
    const judged = policy({ rules: [{ who: { users: ['bob'] } }, { readOnly: true }] }, ['search']);
    assert.equal(kind(call(judged, ALICE, 'search')), 'allowed');
    assert.equal(kind(call(judged, ALICE, 'merge')), 'no_rule');
    assert.equal(kind(call(judged, BOB, 'merge')), 'allowed');
  });
});

describe('dry run', () => {
  it('of a rule: says what it would refuse and goes on', () => {
    const judged = call({ rules: [{ effect: 'deny', tools: ['merge'], dryRun: true }, {}] }, ALICE, 'merge');
    assert.equal(judged.kind, 'allowed');
    assert.ok(judged.kind === 'allowed' && judged.wouldDeny?.rule === 'relay.policy.rules[0]');
  });

  it('of a policy: refuses nothing', () => {
    const judged = call({ dryRun: true, rules: [] }, ALICE, 'merge');
    assert.ok(judged.kind === 'allowed' && judged.wouldDeny?.reason === 'no_rule');
  });
});

describe('a policy that cannot mean what it says', () => {
  const cases: Array<[title: string, settings: object, expected: RegExp]> = [
    [
      'a broken schema',
      { rules: [{ arguments: { type: 'strnig' } }] },
      /^relay\.policy\.rules\[0\]\.arguments: is not a JSON Schema/,
    ],
    ['an unknown keyword', { rules: [{ arguments: { propertes: {} } }] }, /rules\[0\]\.arguments: .*propertes/],
    ['a format that is not checked', { rules: [{ arguments: { format: 'uri' } }] }, /rules\[0\]\.arguments: .*format/],
    [
      'no such server',
      { rules: [{ servers: ['gitlab'] }] },
      /rules\[0\]\.servers: "gitlab" is none of relay\.servers: github, files/,
    ],
    [
      'a shadowed rule',
      { rules: [{ effect: 'deny', tools: ['d*'] }, { tools: ['delete'] }] },
      /rules\[1\]: can never match, because relay\.policy\.rules\[0\] \(deny\)/,
    ],
    [
      'a rule after one for everybody',
      { rules: [{}, { who: { users: ['a'] }, effect: 'deny' }] },
      /rules\[1\]: can never match/,
    ],
    ['a dry run of an allow rule', { rules: [{ dryRun: true }] }, /rules\[0\]\.dryRun/],
    ['anonymous with groups', { rules: [{ who: { anonymous: true, groups: ['a'] } }] }, /rules\[0\]\.who/],
    [
      'a method without what is named',
      { rules: [{ methods: ['prompts/*'], tools: ['a'] }] },
      /rules\[0\]\.methods: .*tools\/call/,
    ],
    ['read-only of a prompt', { rules: [{ readOnly: true, prompts: ['a'] }] }, /rules\[0\]\.readOnly/],
  ];
  for (const [title, settings, expected] of cases)
    it(`is refused: ${title}`, () => {
      const found = problems(settings);
      assert.equal(found.length, 1, found.join('\n'));
      assert.match(found[0] as string, expected);
    });

  it('and one that only looks like it is taken', () => {
    const rules = [
      { effect: 'deny', tools: ['delete_*'], dryRun: true },
      { effect: 'deny', tools: ['delete_*'], who: { users: ['a'] } },
      { effect: 'deny', tools: ['delete_*'], arguments: { required: ['x'] } },
      { tools: ['delete_mine'] },
      { methods: ['tools/*'] },
      { readOnly: true },
      { who: { scopes: ['a', 'b'] }, tools: ['x'] },
      { who: { scopes: ['a'] }, tools: ['x'] },
    ];
    assert.deepEqual(problems({ rules: [rules[0], rules[1], rules[2], rules[3]] }), []);
    assert.deepEqual(problems({ rules: [rules[5], rules[6], rules[7]] }), []);
    assert.match(problems({ rules: [rules[7], rules[6]] })[0] as string, /rules\[1\]/);
  });
});

describe('what is shown', () => {
  const object = (name: string, kind: 'tool' | 'resource' = 'tool') => ({ kind, name });

  it('is what may be used, with some arguments or other', () => {
    const judged = policy({
      rules: [
        { effect: 'deny', tools: ['push'], arguments: { required: ['force'] } },
        { tools: ['push', 'pull'] },
        { resources: ['file:///data/*'] },
      ],
    });
    assert.equal(judged.shows(ALICE, 'github', object('push')), true);
    assert.equal(judged.shows(ALICE, 'github', object('merge')), false);
    assert.equal(judged.shows(ALICE, 'github', object('file:///data/{name}', 'resource'), true), true);
    assert.equal(judged.shows(ALICE, 'github', object('file:///{+path}', 'resource'), true), true);
    assert.equal(judged.shows(ALICE, 'github', object('file:///etc/{name}', 'resource'), true), false);
  });
});
