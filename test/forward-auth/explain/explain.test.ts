import assert from 'node:assert/strict';
import { explainRequest, explanationLines } from '../../../src/forward-auth/explain/explain.ts';
import { type Identity, identityOf } from '../../../src/identity/identity.ts';
import { parseConfigDocument } from '../../../src/platform/config/config-document.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';

describe('explain', () => {
  const config = parseConfig({
    publicUrl: 'https://mcp.example.com',
    auth: {
      providers: [{ id: 'corp', issuer: 'https://idp.example.com' }],
      rules: [
        { match: { path: '/docs/**' }, public: true },
        {
          match: { path: '/servers/github/**' },
          allow: { groups: ['engineering'], providers: ['corp'] },
          scopes: { default: ['mcp:use'], tools: { 'delete_*': ['mcp:admin'] } },
        },
      ],
    },
    relay: { servers: { github: { url: 'http://github-mcp:3000/mcp' } } },
  });
  const url = 'https://mcp.example.com/servers/github/mcp';
  type Question = Partial<Parameters<typeof explainRequest>[1]> &
    Partial<Pick<Identity, 'groups' | 'scopes'>> & { user?: string };
  const person = (subject: string, issuer: string, more: Partial<Identity> = {}) => ({
    identity: identityOf({ issuer, subject }, { method: 'bearer', ...more }),
  });
  const ask = ({ user, groups = [], scopes = [], ...question }: Question) =>
    explanationLines(
      explainRequest(config, {
        ...{ url, method: 'GET', headers: {} },
        ...(user !== undefined && { person: person(user, 'https://idp.example.com', { groups, scopes }) }),
        ...question,
      }),
    );
  const alice = { user: 'alice', groups: ['engineering'], scopes: ['mcp:use'] };
  const tool = (name: string) => ({
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': name,
  });

  const cases: Array<[name: string, question: Parameters<typeof ask>[0], rule: RegExp, decision: RegExp]> = [
    [
      'an allow',
      alice,
      /^rule: auth\.rules\[1\]$/m,
      /^decision: allow \(200, authorized\)\nidentity: https:\/\/idp\.example\.com#alice$/m,
    ],
    [
      'a public page',
      { url: 'https://mcp.example.com/docs/x' },
      /^rule: auth\.rules\[0\] \(public\)$/m,
      /^decision: allow \(200, public\)\nidentity: anonymous$/m,
    ],
    ['nobody signed in', {}, /^scopes needed: mcp:use$/m, /^decision: challenge \(401, no_credential: /m],
    [
      'the wrong group',
      { ...alice, groups: ['sales'] },
      /^rule: auth\.rules\[1\]$/m,
      /^decision: deny \(403, not_allowed: /m,
    ],
    [
      'a tool out of reach',
      { ...alice, method: 'POST', headers: tool('delete_repo') },
      /^operation: tools\/call delete_repo$/m,
      /^decision: deny \(403, insufficient_scope: .*mcp:use mcp:admin\)$/m,
    ],
    [
      'a tool within reach',
      { ...alice, method: 'POST', headers: tool('list_repos') },
      /^scopes needed: mcp:use$/m,
      /^decision: allow/m,
    ],
    [
      'a legacy request',
      { ...alice, method: 'POST' },
      /^scopes needed: mcp:use mcp:admin$/m,
      /^decision: deny \(403, insufficient_scope/m,
    ],
    [
      'no rule',
      { ...alice, url: 'https://mcp.example.com/x' },
      /^rule: none matches$/m,
      /^decision: deny \(403, no_rule: /m,
    ],
    [
      'a path of two meanings',
      { ...alice, url: 'https://mcp.example.com/docs/..%2fservers' },
      /^/,
      /^decision: deny \(400, ambiguous_target: /m,
    ],
    [
      'an encoded slash that no rule takes',
      { ...alice, url: 'https://mcp.example.com/docs/a%2fb' },
      /^rule: none matches$/m,
      /^decision: deny \(400, ambiguous_target: .*encodedDelimiters/m,
    ],
  ];
  for (const [name, question, rule, decision] of cases)
    it(`tells of ${name}`, () => {
      const text = ask(question).join('\n');
      assert.match(text, rule);
      assert.match(text, decision);
    });

  for (const [name, given, why, fix] of [
    [
      'a near miss of the group',
      { groups: ['enginering'] },
      /^why: has groups \[enginering\], needs one of the groups \[engineering\]$/m,
      /^fix: "enginering" is nearly "engineering": /m,
    ],
    [
      'a group in another case',
      { groups: ['x', 'Engineering'] },
      /^why: has groups \[x, Engineering\]/m,
      /^fix: "Engineering" is nearly/m,
    ],
    [
      'the path of a group',
      { groups: ['/engineering'] },
      /^why: has groups \[\/engineering\]/m,
      /^fix: "\/engineering" is nearly/m,
    ],
    [
      'another group',
      { groups: ['sales'] },
      /^why: has groups \[sales\], needs/m,
      /^fix: add the user to one of these groups .*auth\.rules\[1\]/m,
    ],
    ['no group', { groups: [] }, /^why: has groups \[\], needs/m, /^fix: the provider tells of no groups/m],
    [
      'a scope that is missing',
      { scopes: ['mcp:read'] },
      /^why: has scopes \[mcp:read\], needs the scopes \[mcp:use\]$/m,
      /^fix: ask for a token/m,
    ],
    [
      'no rule',
      { url: 'https://mcp.example.com/x' },
      /^why: has none, needs a rule/m,
      /^fix: add such a rule to auth\.rules/m,
    ],
  ] as const)
    it(`says what is missing, and the fix: ${name}`, () => {
      const text = ask({ ...alice, ...given }).join('\n');
      assert.match(text, why);
      assert.match(text, fix);
    });

  it('names the provider that a rule wants', () => {
    const other = parseConfig({
      auth: {
        providers: ['corp', 'guests'].map((id) => ({ id, issuer: `https://${id}.example.com` })),
        rules: [{ match: {}, allow: { providers: ['corp'], users: ['alice@example.com'] } }],
      },
    });
    const text = (provider: string) =>
      explanationLines(
        explainRequest(other, {
          url: '/x',
          method: 'GET',
          headers: {},
          person: person('alice', `https://${provider}.example.com`),
        }),
      ).join('\n');
    assert.match(
      text('guests'),
      /^why: has issuer https:\/\/guests\.example\.com, needs a user of one of the providers \[corp\]$/m,
    );
    assert.match(text('corp'), /^why: has user alice, needs one of the users \[alice@example\.com\]$/m);
  });

  it('says who is meant, that an operator keeps them out, and what a rule for sessions alone makes of a token', () => {
    const carol = { issuer: 'https://idp.example.com', subject: '8c5e', username: 'carol', name: 'Carol Miller' };
    const identity = identityOf(carol, { method: 'session', groups: ['engineering'], scopes: ['mcp:use'] });
    const text = ask({ person: { identity, suspended: true } }).join('\n');
    assert.match(
      text,
      /^user: https:\/\/idp\.example\.com#8c5e \(carol, Carol Miller\) by session, groups \[engineering\], /,
    );
    assert.match(text, /^decision: deny \(403, user_suspended: .*\nwhy: has suspended, needs/m);
    const app = parseConfig({
      auth: {
        providers: [{ id: 'corp', issuer: 'https://idp.example.com', clientId: 'postern' }],
        rules: [{ match: {}, allow: 'anyone-signed-in', sessionOnly: true }],
      },
    });
    const reason = (method: 'session' | 'bearer') =>
      explainRequest(app, { url: '/x', method: 'GET', headers: {}, person: { identity: { ...identity, method } } })
        .reason;
    assert.deepEqual([reason('session'), reason('bearer')], ['authorized', 'no_credential']);
    assert.doesNotMatch(ask({}).join('\n'), /^user:/m);
  });

  it('shows the rule as the file has it, with its line', () => {
    const content = `# rules
auth:
  providers: [{ id: corp, issuer: "https://idp.example.com" }]
  proxy: nginx
  rules:
    - { match: { path: /docs/** }, public: true }
    - match: { path: /app/** }
      allow: { groups: [engineering, sales] } # both
    - match: { path: /late/** }
      public: true
`;
    const document = parseConfigDocument('postern.yaml', content);
    const explained = explainRequest(
      parseConfig(document.content),
      {
        url: '/app/x',
        method: 'GET',
        headers: {},
        person: person('alice', 'https://idp.example.com', { groups: ['enginering'] }),
      },
      document,
    );
    assert.deepEqual(explained.rule, {
      name: 'auth.rules[1]',
      public: false,
      file: 'postern.yaml',
      line: 7,
      text: 'match: { path: /app/** }\nallow: { groups: [engineering, sales] } # both',
    });
    assert.deepEqual(
      explained.answers.map(({ proxy }) => proxy),
      ['nginx'],
    );
    const lines = explanationLines(explained);
    assert.ok(lines.includes('rule: auth.rules[1] at postern.yaml:7'), lines.join('\n'));
    assert.ok(lines.includes('why: has groups [enginering], needs one of the groups [engineering, sales]'));
  });

  it('says what each proxy is answered', () => {
    const allowed = ask(alice).filter((line) => line.startsWith('answer to '));
    assert.deepEqual(
      allowed,
      ['traefik', 'caddy', 'nginx', 'envoy', 'envoy-grpc'].map(
        (name) => `answer to ${name}: 200 with the identity headers`,
      ),
    );
    const nobody = ask({}).join('\n');
    assert.match(nobody, /^answer to traefik: 401, WWW-Authenticate: Bearer resource_metadata=/m);
    assert.match(nobody, /^answer to nginx: 401, .*X-Postern-Status: 401$/m);
    assert.match(ask({ ...alice, groups: ['sales'] }).join('\n'), /^answer to nginx: 403, X-Postern-Status: 403$/m);
  });

  it('shows one proxy alone, and a client’s own forwarded headers change nothing', () => {
    const headers = { 'X-Forwarded-Uri': '/docs/x', 'X-Original-URI': '/docs/x', 'X-Forwarded-Method': 'OPTIONS' };
    const plain = ask({ proxy: 'caddy' }).filter((line) => line.startsWith('answer to '));
    assert.equal(plain.length, 1);
    assert.deepEqual(ask({ headers }), ask({}));
  });

  it('shows where a person would be sent to sign in, and that nginx is told so in a header', () => {
    const withClient = parseConfig({
      publicUrl: 'https://mcp.example.com',
      auth: {
        providers: [{ id: 'corp', issuer: 'https://idp.example.com', clientId: 'postern' }],
        rules: [{ match: { path: '/app/**' } }],
      },
    });
    const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate' };
    const text = explanationLines(explainRequest(withClient, { url: '/app/x?y=1', method: 'GET', headers })).join('\n');
    const location = 'https://mcp.example.com/_postern/sign-in?rd=https%3A%2F%2Fmcp.example.com%2Fapp%2Fx%3Fy%3D1';
    assert.match(text, /^decision: redirect \(302, sign_in\)$/m);
    assert.ok(text.includes(`answer to traefik: 302, Location: ${location}`), text);
    assert.ok(text.includes(`X-Postern-Location: ${location}, X-Postern-Status: 302`), text);
  });
});
