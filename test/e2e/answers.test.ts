import assert from 'node:assert/strict';
import { type Decision, deny } from '../../src/forward-auth/decision/decision.ts';
import { ANONYMOUS, type Identity } from '../../src/identity/identity.ts';
import { PRESET_HEADERS } from '../../src/identity/presets.ts';
import { copyDeployment, type DeployedProxy, PROXIES, type RunningProxy, startProxy } from '../support/deployment.ts';
import { freePorts } from '../support/free-port.ts';
import { type LiveUpstream, startLiveUpstream } from '../support/live-upstream.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';
import { startScriptedAuthorizer } from '../support/scripted-authorizer.ts';

const ALICE: Identity = { ...ANONYMOUS, subject: 'alice', method: 'session' };
const allow = (more: object = {}): Decision => ({
  ...({ kind: 'allow', reason: 'authorized', identity: ALICE, rule: '' } as const),
  ...more,
});
/** In the order in which Traefik writes attributes. */
const COOKIE = '__Host-postern=renewed; Path=/; HttpOnly; Secure; SameSite=Lax';
const SECOND = 'second=1; Path=/';
const SIGN_IN = 'https://mcp.example.com/_postern/sign-in?rd=https%3A%2F%2Fmcp.example.com%2Fapp%2F&x=1';
const SCRIPT = new Map<string, Decision>([
  ['/plain', allow()],
  ['/emitted', allow({ emit: Object.keys(PRESET_HEADERS) })],
  ['/renewed', allow({ cookies: [COOKIE, SECOND] })],
  ['/cookie-left', allow({ upstreamCookie: 'own=1; other=2' })],
  ['/cookie-none', allow({ upstreamCookie: '' })],
  [
    '/redirect',
    {
      ...({ kind: 'redirect', reason: 'sign_in', rule: '', location: SIGN_IN } as const),
      cookies: ['a=; Path=/; Max-Age=0', 'b=; Path=/; Max-Age=0'],
    },
  ],
  [
    '/limit',
    {
      ...({ kind: 'limit', reason: 'rate_limited', by: 'user', rule: '' } as const),
      ...{ limit: 600, window: 60_000, resetIn: 4_001 },
    },
  ],
  ['/unavailable', { kind: 'unavailable', reason: 'dependency', description: 'Redis does not answer' }],
  [
    '/step-up',
    {
      ...deny(403, 'insufficient_scope', 'this needs the scopes: mcp:admin'),
      step: { scopes: ['mcp:admin'], metadataUrl: 'https://mcp.example.com/.well-known/x' },
    },
  ],
  ['/bad', deny(400, 'credential_duplicated', 'Authorization came more than once')],
  ['/large', deny(431, 'credential_too_large', 'the token is too large')],
]);

for (const name of Object.keys(PROXIES) as DeployedProxy[])
  describe(`what becomes of each answer in the real ${name}`, () => {
    let proxy: RunningProxy;
    let upstream: LiveUpstream;
    let edge: number;
    const ending: Array<() => Promise<void>> = [];

    before(async function () {
      this.timeout(300_000);
      const program = await programOrSkip(this, PROXIES[name].program);
      const ports = (await freePorts(3)) as [number, number, number];
      edge = ports[0];
      const authorizer = await startScriptedAuthorizer(SCRIPT, { http: ports[1], grpc: ports[2] });
      ending.unshift(() => authorizer.stop());
      upstream = await startLiveUpstream();
      ending.unshift(() => upstream.stop());
      const env = { POSTERN_RELAY_TRUST_SECRET: 'a secret of two' };
      const copy = await copyDeployment(
        name,
        {
          '127.0.0.1:8080': `127.0.0.1:${edge}`,
          '127.0.0.1:4180': `127.0.0.1:${ports[1]}`,
          '127.0.0.1:4444': `127.0.0.1:${upstream.port}`,
          ...(name === 'envoy-grpc' ? { '127.0.0.1:4181': `127.0.0.1:${ports[2]}` } : {}),
        },
        env,
      );
      ending.unshift(() => copy.remove());
      proxy = await startProxy(name, program, copy.folder, edge, env);
      ending.unshift(() => proxy.stop());
    });
    after(async function () {
      this.timeout(60_000);
      for (const end of ending) await end();
    });

    const ask = (path: string, headers: string[] = []) => rawRequest(edge, path, { headers });
    async function refused(path: string): Promise<RawAnswer> {
      const before = upstream.count();
      const answer = await ask(path);
      assert.equal(upstream.count(), before, 'it did not reach the upstream');
      return answer;
    }
    const reason = ({ body }: RawAnswer) => (JSON.parse(body) as { reason: string }).reason;

    it('a sign-in redirect: 302 with its address and all its cookies', async () => {
      const answer = await refused('/redirect');
      assert.equal(answer.status, 302);
      assert.equal(answer.headers.location, SIGN_IN);
      assert.equal(answer.headers['set-cookie']?.length, 2);
    });

    it('a rate limit: 429 with Retry-After and the RateLimit fields', async () => {
      const answer = await refused('/limit');
      assert.equal(answer.status, 429);
      assert.equal(answer.headers['retry-after'], '5');
      assert.equal(answer.headers['ratelimit-policy'], '"user";q=600;w=60');
      assert.equal(answer.headers.ratelimit, '"user";r=0;t=5');
      assert.equal(reason(answer), 'rate_limited');
    });

    it('an outage: 503', async () => {
      const answer = await refused('/unavailable');
      assert.equal(answer.status, 503);
      // Envoy takes a 5xx over HTTP for a failed check, and answers by itself.
      if (name === 'envoy') return;
      assert.equal(answer.headers['retry-after'], '5');
      assert.equal(reason(answer), 'dependency');
    });

    it('a missing scope: 403 with the challenge that names it', async () => {
      const answer = await refused('/step-up');
      assert.equal(answer.status, 403);
      assert.match(String(answer.headers['www-authenticate']), /^Bearer error="insufficient_scope", .*"mcp:admin"$/);
      assert.equal(reason(answer), 'insufficient_scope');
    });

    it('a bad request: 400 and 431', async () => {
      for (const [path, status] of [
        ['/bad', 400],
        ['/large', 431],
      ] as const) {
        const answer = await refused(path);
        assert.equal(answer.status, status);
        assert.ok(reason(answer).startsWith('credential_'));
      }
    });

    it('an allow: the renewed cookie goes to the browser, and the identity to the upstream only', async () => {
      const answer = await ask('/renewed', ['Cookie', '__Host-postern=old']);
      assert.equal(answer.status, 200);
      // Traefik hands on those that its configuration names.
      assert.deepEqual(answer.headers['set-cookie'], name === 'traefik' ? [COOKIE] : [COOKIE, SECOND]);
      assert.equal(answer.headers['x-authenticated-user'], undefined);
      assert.equal(upstream.last()['x-authenticated-user'], 'alice');
      assert.equal(upstream.last()['x-postern-proxy-secret'], 'a secret of two');
      assert.equal((await ask('/plain')).headers['set-cookie'], undefined);
    });

    it('an allow: the headers of other products come from the rule that emits them, and from no client', async () => {
      const names = Object.values(PRESET_HEADERS).flatMap((pairs) => pairs.map(([header]) => header));
      const forged = [...new Set(names)].flatMap((header) => [header, 'mallory']);
      assert.equal((await ask('/emitted', forged)).status, 200);
      for (const header of names.filter((one) => /user$/i.test(one)))
        assert.equal(upstream.last()[header.toLowerCase()], 'alice', header);
      for (const path of ['/plain', '/emitted']) {
        await ask(path, forged);
        assert.doesNotMatch(JSON.stringify(upstream.last()), /mallory|http\.reverse_proxy/);
      }
    });

    it('an allow: upstream goes what is left of the cookies', async () => {
      const mine = ['Cookie', '__Host-postern=secret; own=1; other=2'];
      await ask('/cookie-left', mine);
      assert.equal(upstream.last().cookie, 'own=1; other=2');
      await ask('/cookie-none', mine);
      assert.equal(upstream.last().cookie ?? '', '');
      await ask('/plain', ['Cookie', 'own=1']);
      // Traefik deletes every header that forward-auth may set, before it has answered.
      assert.equal(upstream.last().cookie ?? '', name === 'traefik' ? '' : 'own=1');
    });
  });
