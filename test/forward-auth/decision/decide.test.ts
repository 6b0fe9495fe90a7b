import assert from 'node:assert/strict';
import type { Authentication } from '../../../src/forward-auth/decision/authentication.ts';
import { decide, type Policy } from '../../../src/forward-auth/decision/decide.ts';
import type { Limit } from '../../../src/forward-auth/decision/decision.ts';
import { NO_LIMITS } from '../../../src/forward-auth/decision/limits.ts';
import { SIGN_IN_PATHS } from '../../../src/forward-auth/decision/own-endpoints.ts';
import { Resources } from '../../../src/forward-auth/decision/resources.ts';
import { SignInUrls } from '../../../src/forward-auth/login/sign-in-urls.ts';
import { parseConfig } from '../../../src/platform/config/load.ts';
import { compileRules, imagineIdentity, imagineRequest } from '../support/imagined.ts';

const PAGE = ['Accept', 'text/html,application/xhtml+xml', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document'];
const PREFLIGHT = ['Origin', 'https://client.example', 'Access-Control-Request-Method', 'POST'];
const OWN = {
  publicUrl: 'https://mcp.example.com',
  auth: { providers: [{ id: 'a', issuer: 'https://a', clientId: 'c' }] },
};
const SIGN_IN = 'https://mcp.example.com/_postern/sign-in?rd=x';
const ABSENT: Authentication = { kind: 'absent' };
const ENDED: Authentication = {
  kind: 'rejected',
  status: 401,
  reason: 'session_ended',
  description: 'the session has ended',
  cookies: ['gone=; Max-Age=0'],
};
const ALICE: Authentication = { kind: 'identity', identity: imagineIdentity({ groups: ['staff'] }) };

const HOME = 'https://mcp.example.com/_postern/home';

function policy(more: Partial<Policy> = {}): Policy {
  return {
    rules: compileRules([
      { match: { path: '/public/**' }, public: true },
      { match: { path: '/staff/**' }, allow: { groups: ['staff'] } },
      { match: { path: '/servers/github/**' } },
    ]),
    resources: new Resources('https://mcp.example.com', ['github']),
    signIn: {
      urlFor: () => SIGN_IN,
      urlForForm: () => `${SIGN_IN}&form=1`,
      wrongAddressOf: () => undefined,
      corsOriginOf: () => undefined,
      homeUrlFor: () => HOME,
      isAt: (host) => host === 'mcp.example.com',
    },
    ...more,
  };
}

const limit: Limit = {
  kind: 'limit',
  reason: 'rate_limited',
  by: 'address',
  limit: 1,
  window: 60_000,
  resetIn: 10_000,
  rule: '',
};

describe('decide', () => {
  it('sends a person who only navigates to sign in, and tells everybody else where it is', () => {
    const navigation = decide(imagineRequest('/staff/', { headers: PAGE }), policy(), () => ABSENT);
    assert.deepEqual(navigation, { kind: 'redirect', reason: 'sign_in', location: SIGN_IN, rule: 'auth.rules[1]' });
    const background = [
      imagineRequest('/staff/', { headers: ['Accept', '*/*', 'Sec-Fetch-Mode', 'cors'] }),
      imagineRequest('/staff/', { headers: ['Accept', 'application/json'] }),
      imagineRequest('/staff/', { headers: PAGE, method: 'PUT' }),
      imagineRequest('/staff/', { headers: ['Accept', 'text/html'], method: 'POST' }),
      imagineRequest('/staff/', { headers: [...PAGE, 'Upgrade', 'websocket'] }),
      imagineRequest('/staff/', {
        headers: ['Accept', 'text/html', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'iframe'],
      }),
      imagineRequest('/staff/', { headers: ['Accept', 'text/html', 'X-Requested-With', 'XMLHttpRequest'] }),
      imagineRequest('/staff/', { headers: ['Accept', 'text/html', 'Accept', 'text/html'] }),
    ];
    for (const request of background) {
      const decision = decide(request, policy(), () => ABSENT);
      assert.ok(!(decision instanceof Promise) && decision.kind === 'challenge', JSON.stringify(request));
      assert.equal(decision.signInUrl, SIGN_IN);
    }
  });

  it('sends somebody whose form comes too late to the page that says so, and no program', () => {
    for (const [path, answer] of [
      ['/staff/', ABSENT],
      ['/staff/form?x=1', ENDED],
      ['/servers/github/mcp', ABSENT],
    ] as const) {
      const decision = decide(imagineRequest(path, { headers: PAGE, method: 'POST' }), policy(), () => answer);
      assert.ok(!(decision instanceof Promise) && decision.kind === 'redirect', path);
      assert.equal(decision.location, `${SIGN_IN}&form=1`);
      assert.deepEqual(decision.cookies, answer === ENDED ? ['gone=; Max-Age=0'] : undefined);
    }
    for (const headers of [
      ['Accept', 'text/html', 'Sec-Fetch-Mode', 'cors'],
      ['Accept', 'application/json', 'Sec-Fetch-Mode', 'navigate'],
      ['Accept', 'text/html', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'iframe'],
    ]) {
      const decision = decide(imagineRequest('/staff/', { headers, method: 'POST' }), policy(), () => ABSENT);
      assert.ok(!(decision instanceof Promise) && decision.kind === 'challenge', headers.join());
    }
  });

  it('sends a person who opens an MCP address in a browser to sign in, and never an MCP client', () => {
    const person = decide(imagineRequest('/servers/github/mcp', { headers: PAGE }), policy(), () => ABSENT);
    assert.ok(!(person instanceof Promise) && person.kind === 'redirect');
    const headers = ['Accept', 'application/json, text/event-stream'];
    for (const method of ['GET', 'POST']) {
      const decision = decide(imagineRequest('/servers/github/mcp', { headers, method }), policy(), () => ABSENT);
      assert.ok(!(decision instanceof Promise) && decision.kind === 'challenge');
      assert.equal(decision.signInUrl, undefined);
      assert.equal(decision.description, 'a bearer token is needed');
    }
  });

  it('removes the cookie of an ended session on the way to sign in, and redirects nobody with a bad token', () => {
    const ended = decide(imagineRequest('/staff/', { headers: PAGE }), policy(), () => ENDED);
    assert.ok(!(ended instanceof Promise) && ended.kind === 'redirect');
    assert.deepEqual(ended.cookies, ['gone=; Max-Age=0']);
    const bad: Authentication = { kind: 'rejected', status: 401, reason: 'token_expired', description: 'expired' };
    const token = decide(imagineRequest('/staff/', { headers: PAGE }), policy(), () => bad);
    assert.ok(!(token instanceof Promise) && token.kind === 'challenge');
    assert.equal(token.reason, 'token_expired');
  });

  it('challenges where nobody can sign in', () => {
    const signIn = {
      urlFor: () => undefined,
      urlForForm: () => undefined,
      wrongAddressOf: () => undefined,
      corsOriginOf: () => undefined,
      homeUrlFor: () => HOME,
      isAt: () => false,
    };
    const decision = decide(imagineRequest('/staff/', { headers: PAGE }), policy({ signIn }), () => ABSENT);
    assert.ok(!(decision instanceof Promise) && decision.kind === 'challenge');
  });

  it('lets everybody reach the sign-in endpoints, and nothing that only begins like one', () => {
    for (const path of [...Object.values(SIGN_IN_PATHS), `${SIGN_IN_PATHS.assets}/postern.css`]) {
      const decision = decide(imagineRequest(path, { method: 'POST' }), policy(), () => assert.fail('not asked'));
      assert.ok(!(decision instanceof Promise) && decision.kind === 'allow', path);
      assert.equal(decision.identity.method, 'anonymous');
    }
    for (const path of ['/_postern', '/_postern/', '/_postern/sign-in/x', '/_postern/metrics', '/_posternx/sign-in']) {
      const decision = decide(imagineRequest(path), policy(), () => ALICE);
      assert.ok(!(decision instanceof Promise) && decision.kind === 'deny', path);
    }
  });

  it('counts by address before it looks at a credential, and by user after', () => {
    const flooded = policy({ limits: { ...NO_LIMITS, beforeAuthentication: () => limit } });
    assert.deepEqual(
      decide(imagineRequest('/staff/'), flooded, () => assert.fail('not asked')),
      { ...limit, rule: 'auth.rules[1]' },
    );
    assert.deepEqual(
      decide(imagineRequest('/public/x'), flooded, () => ABSENT),
      { ...limit, rule: 'auth.rules[0]' },
    );
    const busy = policy({ limits: { ...NO_LIMITS, afterAuthentication: () => ({ ...limit, by: 'user' }) } });
    assert.deepEqual(
      decide(imagineRequest('/staff/'), busy, () => ALICE),
      { ...limit, by: 'user', rule: 'auth.rules[1]' },
    );
    const stranger = decide(imagineRequest('/staff/'), busy, () => ABSENT);
    assert.ok(
      !(stranger instanceof Promise) && stranger.kind === 'challenge',
      'who failed to sign in is nobody’s count',
    );
  });

  it('waits only where something has to be waited for, and passes an outage on', async () => {
    const slow = policy({ limits: { ...NO_LIMITS, beforeAuthentication: async () => undefined } });
    const decision = decide(imagineRequest('/staff/'), slow, async () => ALICE);
    assert.ok(decision instanceof Promise);
    assert.equal((await decision).kind, 'allow');
    const away = decide(imagineRequest('/staff/'), policy(), () => Promise.reject(new Error('store away')));
    await assert.rejects(Promise.resolve(away), /store away/);
  });

  it('hands on cookies for the browser, and what of its own goes upstream', () => {
    const renewed: Authentication = { ...ALICE, cookies: ['a=b'] };
    const decision = decide(imagineRequest('/staff/'), policy({ upstreamCookie: () => 'theme=dark' }), () => renewed);
    assert.ok(!(decision instanceof Promise) && decision.kind === 'allow');
    assert.deepEqual(decision.cookies, ['a=b']);
    assert.equal(decision.upstreamCookie, 'theme=dark');
  });

  it('gives the session’s cookie to our own pages alone', () => {
    const stripping = policy({ upstreamCookie: () => 'theme=dark' });
    const cookieAt = (path: string, method = 'GET', headers: readonly string[] = []) => {
      const decision = decide(imagineRequest(path, { method, headers }), stripping, () => assert.fail('not asked'));
      assert.ok(!(decision instanceof Promise) && decision.kind === 'allow', path);
      return decision.upstreamCookie;
    };
    assert.equal(cookieAt(SIGN_IN_PATHS.me), undefined);
    for (const path of ['/.well-known/oauth-protected-resource', '/_postern/jwks.json'])
      assert.equal(cookieAt(path), 'theme=dark', path);
    assert.equal(cookieAt('/mcp', 'OPTIONS', PREFLIGHT), 'theme=dark');
  });

  it('lets nobody past the rules at the path of something of ours, where another application is', () => {
    const everywhere = policy({ rules: compileRules([{ match: { path: '/**' } }]) });
    const paths = [...Object.values(SIGN_IN_PATHS), `${SIGN_IN_PATHS.assets}/x`, '/_postern/jwks.json'];
    for (const path of [...paths, '/.well-known/oauth-protected-resource', '/.well-known/oauth-protected-resource/x'])
      for (const host of ['wiki.example.com', 'mcp.example.com.evil.example', '[2001:db8::1]'])
        for (const method of ['GET', 'POST', 'OPTIONS']) {
          const decision = decide(imagineRequest(path, { host, method }), everywhere, () => ABSENT);
          assert.ok(!(decision instanceof Promise) && decision.kind === 'challenge', `${method} ${host}${path}`);
        }
    const nobody = { ...everywhere, signIn: undefined } as unknown as Policy;
    const decision = decide(imagineRequest(SIGN_IN_PATHS.me, { method: 'POST' }), nobody, () => ABSENT);
    assert.ok(!(decision instanceof Promise) && decision.kind === 'challenge', 'nobody signs in here');
  });

  it('knows its own host at the port of the public URL, however that is written', () => {
    for (const host of ['mcp.example.com', 'mcp.example.com:443']) {
      const request = imagineRequest('/.well-known/oauth-protected-resource', { host });
      const decision = decide(request, policy(), () => assert.fail('not asked'));
      assert.ok(!(decision instanceof Promise) && decision.kind === 'allow', host);
    }
    for (const path of ['/.well-known/oauth-protected-resource', '/register', SIGN_IN_PATHS.me]) {
      const request = imagineRequest(path, { host: 'mcp.example.com:8443' });
      const at8443 = policy({
        authorizationServer: { originEndpoints: true },
        signIn: new SignInUrls(parseConfig(OWN)),
      });
      const decision = decide(request, at8443, () => assert.fail('not asked'));
      assert.ok(!(decision instanceof Promise) && decision.kind === 'deny' && decision.reason === 'no_rule', path);
    }
  });
});
