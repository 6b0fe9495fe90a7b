import assert from 'node:assert/strict';
import type { Allow, Decision, Limit, Redirect } from '../../../src/forward-auth/decision/decision.ts';
import { allowHeaders, renderRefusal, withCookies } from '../../../src/forward-auth/proxies/render.ts';
import { IDENTITY_HEADER_NAMES } from '../../../src/identity/headers.ts';
import { ANONYMOUS } from '../../../src/identity/identity.ts';

type Refused = Exclude<Decision, Allow | Redirect | Limit>;
const METADATA = 'https://mcp.example.com/.well-known/oauth-protected-resource/servers/one/mcp';
const challenge = (given: object = {}): Refused => ({
  kind: 'challenge',
  reason: 'no_credential',
  description: 'a bearer token is needed',
  scopes: ['mcp:use'],
  metadataUrl: METADATA,
  rule: 'auth.rules[0]',
  ...given,
});
const deny = (given: object = {}): Refused => ({
  kind: 'deny',
  status: 403,
  reason: 'no_rule',
  description: 'no rule allows this request',
  rule: '',
  ...given,
});
const unavailable: Refused = { kind: 'unavailable', reason: 'dependency', description: 'try again shortly' };

function render(decision: Refused) {
  const { status, headers, body } = renderRefusal(decision, 'request-1');
  const pairs = Array.from({ length: headers.length / 2 }, (_, i) => [headers[2 * i], headers[2 * i + 1]] as const);
  return { status, pairs, headers: Object.fromEntries(pairs) as Record<string, string>, body };
}

describe('rendering', () => {
  it('puts every identity header and a length on an allow, also for nobody', () => {
    const headers = allowHeaders(ANONYMOUS, 'assertion');
    const names = headers.filter((_, index) => index % 2 === 0);
    for (const name of [...IDENTITY_HEADER_NAMES, 'Content-Length'])
      assert.equal(names.filter((one) => one === name).length, 1, name);
  });

  it('gives nothing but an allow a 2xx, and every refusal an honest length and its request id', () => {
    const all = [
      challenge(),
      challenge({ reason: 'token_expired', description: 'ä"\\' }),
      deny(),
      deny({ status: 400 }),
      deny({ status: 431 }),
      unavailable,
    ];
    for (const decision of all) {
      const { status, headers, body } = render(decision);
      assert.ok(status >= 400, `${status}`);
      assert.equal(Number(headers['Content-Length']), Buffer.byteLength(body));
      const parsed = JSON.parse(body) as Record<string, string>;
      assert.equal(parsed.request_id, 'request-1');
      assert.equal(parsed.error_description, decision.description);
      assert.equal(parsed.reason, decision.reason);
      assert.deepEqual(
        IDENTITY_HEADER_NAMES.filter((name) => Object.hasOwn(headers, name)),
        [],
      );
    }
  });

  it('challenges once, with an error only where a token was sent', () => {
    const { pairs, headers } = render(challenge());
    assert.equal(pairs.filter(([name]) => name === 'WWW-Authenticate').length, 1);
    assert.equal(headers['WWW-Authenticate'], `Bearer resource_metadata="${METADATA}", scope="mcp:use"`);
    const bad = render(challenge({ reason: 'token_expired', description: 'the token has expired' }));
    assert.match(
      String(bad.headers['WWW-Authenticate']),
      /^Bearer error="invalid_token", error_description="the token has expired", /,
    );
    assert.equal((JSON.parse(bad.body) as { error: string }).error, 'invalid_token');
  });

  it('leaves out what it has not, and lets nothing end a quoted value', () => {
    const bare = render(challenge({ metadataUrl: undefined, scopes: [] }));
    assert.equal(bare.headers['WWW-Authenticate'], 'Bearer');
    const quoted = render(challenge({ reason: 'token_claims', description: 'a", realm="evil\\\r\nSet-Cookie: x=y' }));
    assert.match(String(quoted.headers['WWW-Authenticate']), /error_description="a, realm=evilSet-Cookie: x=y"/);
  });

  it('asks for all scopes in one step-up challenge, and for none elsewhere', () => {
    const { status, headers } = render(
      deny({ reason: 'insufficient_scope', step: { scopes: ['mcp:use', 'mcp:admin'], metadataUrl: METADATA } }),
    );
    assert.equal(status, 403);
    assert.match(
      String(headers['WWW-Authenticate']),
      /^Bearer error="insufficient_scope", .*scope="mcp:use mcp:admin"$/,
    );
    assert.equal(render(deny()).headers['WWW-Authenticate'], undefined);
    assert.equal(render(unavailable).headers['Retry-After'], '5');
  });

  it('renders the same decision for two requests with their own ids', () => {
    const decision = challenge();
    const bodies = ['one', 'three'].map((id) => renderRefusal(decision, id));
    assert.deepEqual(
      bodies.map(({ body }) => (JSON.parse(body) as { request_id: string }).request_id),
      ['one', 'three'],
    );
    for (const { headers, body } of bodies)
      assert.equal(headers[headers.indexOf('Content-Length') + 1], String(body.length));
  });

  it('redirects with the cookies that go with it', () => {
    const location = 'https://mcp.example.com/_postern/sign-in?rd=x';
    const { status, headers } = renderRefusal(
      { kind: 'redirect', reason: 'sign_in', location, rule: '', cookies: ['a=; Max-Age=0', 'b=; Max-Age=0'] },
      'request-1',
    );
    assert.equal(status, 302);
    assert.equal(headers[headers.indexOf('Location') + 1], location);
    assert.equal(headers.filter((value) => value === 'Set-Cookie').length, 2);
  });

  it('says how long to wait, rounded up, and what the limit is', () => {
    const limit = { kind: 'limit', reason: 'rate_limited', by: 'user', limit: 600, window: 60_000, rule: '' } as const;
    const { status, headers, body } = renderRefusal({ ...limit, resetIn: 4_001 }, 'request-1');
    assert.equal(status, 429);
    const value = (name: string) => headers[headers.indexOf(name) + 1];
    assert.equal(value('Retry-After'), '5');
    assert.equal(value('RateLimit-Policy'), '"user";q=600;w=60');
    assert.equal(value('RateLimit'), '"user";r=0;t=5');
    assert.equal((JSON.parse(body) as { error: string }).error, 'rate_limited');
    assert.ok(renderRefusal({ ...limit, resetIn: 0 }, 'r').headers.includes('1'), 'never “at once”');
  });

  it('tells a single-page app where to sign in, and only a known origin may read it with cookies', () => {
    const signInUrl = 'https://mcp.example.com/_postern/sign-in?rd=x';
    const anyone = render(challenge({ signInUrl }));
    assert.equal((JSON.parse(anyone.body) as { sign_in_url: string }).sign_in_url, signInUrl);
    assert.equal(anyone.headers['Access-Control-Allow-Origin'], '*');
    assert.equal(anyone.headers['Access-Control-Allow-Credentials'], undefined);
    const known = render(challenge({ signInUrl, corsOrigin: 'https://app.example.com' }));
    assert.equal(known.headers['Access-Control-Allow-Origin'], 'https://app.example.com');
    assert.equal(known.headers['Access-Control-Allow-Credentials'], 'true');
    assert.equal(known.headers.Vary, 'Origin');
  });

  it('adds to an allow what belongs to this request alone, and leaves the shared headers as they are', () => {
    const headers = allowHeaders(ANONYMOUS, 'assertion');
    const allow: Allow = { kind: 'allow', reason: 'public', identity: ANONYMOUS, rule: '' };
    assert.equal(withCookies(headers, allow), headers);
    const more = withCookies(headers, { ...allow, cookies: ['a=b'], upstreamCookie: '' });
    assert.deepEqual(more.slice(headers.length), ['Cookie', '', 'Set-Cookie', 'a=b']);
  });
});
