import assert from 'node:assert/strict';
import type { Allow, Decision, Limit, Redirect } from '../../../src/forward-auth/decision/decision.ts';
import { allowHeaders, renderRefusal } from '../../../src/forward-auth/proxies/render.ts';
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
  subject: '',
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
});
