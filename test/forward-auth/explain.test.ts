import assert from 'node:assert/strict';
import { explainRequest } from '../../src/forward-auth/explain.ts';
import { parseConfig } from '../../src/platform/config/load.ts';

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
  const ask = (question: Partial<Parameters<typeof explainRequest>[1]>) =>
    explainRequest(config, { url, method: 'GET', headers: {}, ...question });
  const alice = { user: 'alice', groups: ['engineering'], scopes: ['mcp:use'] };
  const tool = (name: string) => ({
    'mcp-protocol-version': '2026-07-28',
    'mcp-method': 'tools/call',
    'mcp-name': name,
  });

  const cases: Array<[name: string, question: Parameters<typeof ask>[0], rule: RegExp, decision: RegExp]> = [
    ['an allow', alice, /^rule: auth\.rules\[1\]$/m, /^decision: allow \(200, authorized\)\nidentity: alice$/m],
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
    const text = explainRequest(withClient, { url: '/app/x?y=1', method: 'GET', headers }).join('\n');
    const location = 'https://mcp.example.com/_postern/sign-in?rd=https%3A%2F%2Fmcp.example.com%2Fapp%2Fx%3Fy%3D1';
    assert.match(text, /^decision: redirect \(302, sign_in\)$/m);
    assert.ok(text.includes(`answer to traefik: 302, Location: ${location}`), text);
    assert.ok(text.includes(`X-Postern-Location: ${location}, X-Postern-Status: 302`), text);
  });
});
