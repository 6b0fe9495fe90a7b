import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from '../support/child.ts';
import { copyDeployment, type DeployedProxy, PROXIES, type RunningProxy, startProxy } from '../support/deployment.ts';
import { freePorts } from '../support/free-port.ts';
import { HttpPerson } from '../support/http-person.ts';
import { type LiveUpstream, startLiveUpstream } from '../support/live-upstream.ts';
import { startPostern } from '../support/postern-process.ts';
import { programOrSkip } from '../support/programs.ts';
import { rawRequest } from '../support/raw-request.ts';
import { CLIENT, startSignInProvider } from '../support/sign-in-provider.ts';

const NAVIGATION = ['Accept', 'text/html', 'Sec-Fetch-Mode', 'navigate', 'Sec-Fetch-Dest', 'document'];
/** Milliseconds after which an idle session ends; its cookie is renewed when a twentieth is over. */
const IDLE = 20_000;

for (const name of Object.keys(PROXIES) as DeployedProxy[])
  describe(`people, through the real ${name}`, () => {
    let auth: Child;
    let proxy: RunningProxy;
    let upstream: LiveUpstream;
    let edge: number;
    const ending: Array<() => Promise<unknown>> = [];

    before(async function () {
      this.timeout(300_000);
      const program = await programOrSkip(this, PROXIES[name].program);
      const [first, http, internal, grpc] = (await freePorts(4)) as [number, number, number, number];
      edge = first;
      const provider = await startSignInProvider([`http://127.0.0.1:${edge}`]);
      ending.unshift(() => provider.stop());
      upstream = await startLiveUpstream();
      ending.unshift(() => upstream.stop());
      const env = { POSTERN_RELAY_TRUST_SECRET: 'the secret that the proxy adds' };
      const copy = await copyDeployment(
        name,
        {
          '127.0.0.1:8080': `127.0.0.1:${edge}`,
          '127.0.0.1:4180': `127.0.0.1:${http}`,
          '127.0.0.1:9464': `127.0.0.1:${internal}`,
          '127.0.0.1:4444': `127.0.0.1:${upstream.port}`,
          ...(name === 'envoy-grpc' ? { '127.0.0.1:4181': `127.0.0.1:${grpc}` } : {}),
        },
        env,
      );
      ending.unshift(() => copy.remove());
      auth = await startPostern('auth', `${copy.folder}/postern.yaml`, internal, {
        ...env,
        POSTERN_LOG_LEVEL: 'debug',
        POSTERN_AUTH_PROVIDERS: JSON.stringify([
          { id: 'corp', issuer: provider.issuer, clientId: CLIENT.id, clientSecret: CLIENT.secret },
        ]),
        POSTERN_AUTH_RULES: JSON.stringify([
          { match: { path: '/public/**' }, public: true },
          { match: { path: '/limited/**' }, public: true },
          { match: { path: '/app/**' }, allow: { groups: ['engineering'] } },
          { match: { path: '/secret/**' }, allow: { groups: ['secret-admins'] } },
        ]),
        POSTERN_AUTH_SESSIONS_IDLE_TIMEOUT: `${IDLE}ms`,
        POSTERN_AUTH_RATE_LIMITS: JSON.stringify([{ by: 'address', limit: 2, per: '1m', path: '/limited/**' }]),
      });
      ending.unshift(() => auth.stop());
      proxy = await startProxy(name, program, copy.folder, edge, env);
      ending.unshift(() => proxy.stop());
    });
    after(async function () {
      this.timeout(60_000);
      for (const end of ending) await end();
    });

    it('are sent to sign in, programs are not', async () => {
      const page = await rawRequest(edge, '/app/x?y=z', { headers: NAVIGATION });
      assert.equal(page.status, 302, page.body);
      const location = String(page.headers.location);
      assert.ok(location.startsWith(`http://127.0.0.1:${edge}/_postern/sign-in?`), location);
      assert.ok(decodeURIComponent(location).includes('/app/x?y=z'), 'the way back is in it');
      assert.equal((await rawRequest(edge, '/app/x?y=z')).status, 401);
      assert.equal(upstream.count(), 0);
    });

    it('sign in, come back to where they were, and keep their session’s cookie to themselves', async () => {
      const person = new HttpPerson();
      const back = await person.signIn(`http://127.0.0.1:${edge}/app/x?y=z`, 'alice');
      assert.equal(back.pathname + back.search, '/app/x?y=z');
      assert.equal(upstream.last()['x-authenticated-user'], 'alice');
      assert.equal(upstream.last()['x-authenticated-method'], 'session');
      const cookie = person.cookie('127.0.0.1');
      assert.match(cookie, /__Host-postern=/);
      const allowed = await rawRequest(edge, '/app/x', { headers: ['Cookie', `${cookie}; own=1`] });
      assert.equal(allowed.status, 200);
      assert.equal(upstream.last().cookie, 'own=1', 'the application gets its own cookies only');

      await sleep(IDLE / 20 + 100);
      const renewed = await rawRequest(edge, '/app/x', { headers: ['Cookie', cookie] });
      assert.equal(renewed.status, 200);
      assert.match(String(renewed.headers['set-cookie']), /^__Host-postern=/);
    });

    it('who are refused get a page, in their language, and programs what they can read', async () => {
      const person = new HttpPerson();
      await person.signIn(`http://127.0.0.1:${edge}/app/x`, 'alice');
      const headers = [...NAVIGATION, 'Cookie', person.cookie('127.0.0.1')];
      const page = await rawRequest(edge, '/secret/x', { headers: [...headers, 'Accept-Language', 'de'] });
      assert.equal(page.status, 403);
      assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
      assert.match(String(page.headers['content-security-policy']), /default-src 'none';.*frame-ancestors 'none'/);
      assert.equal(page.headers['x-frame-options'], 'DENY');
      assert.equal(page.headers['referrer-policy'], 'no-referrer');
      assert.equal(page.headers['content-language'], 'de');
      assert.match(page.body, /^<!doctype html>/);
      assert.match(
        page.body.replaceAll('&#252;', 'ü').replaceAll('&#246;', 'ö'),
        /Sie dürfen diese Seite nicht öffnen/,
      );
      assert.match(page.body, /Alice/);
      const over = await rawRequest(edge, '/nowhere', { headers });
      assert.equal(over.status, 403);
      assert.match(over.body, /^<!doctype html>.*open to you/s);
      const program = await rawRequest(edge, '/secret/x', { headers: ['Cookie', person.cookie('127.0.0.1')] });
      assert.equal(program.status, 403);
      assert.match(String(program.headers['content-type']), /^application\/json/);
      assert.equal((JSON.parse(program.body) as { reason: string }).reason, 'not_allowed');
      const root = await rawRequest(edge, '/', { headers });
      assert.equal(root.status, 302);
      assert.equal(root.headers.location, `http://127.0.0.1:${edge}/_postern/home`);
      const home = await rawRequest(edge, '/_postern/home', { headers });
      assert.equal(home.status, 200);
      assert.match(home.body, /<h1>Welcome<\/h1>/);
    });

    it('over the limit get 429 and when to come again, whatever addresses they claim', async () => {
      const ask = (forged: string) =>
        rawRequest(edge, '/limited/x', { headers: ['X-Forwarded-For', forged, 'X-Original-For', forged] });
      for (let i = 1; i <= 2; i++) assert.equal((await ask(`192.0.2.${i}`)).status, 200);
      const answer = await ask('192.0.2.3');
      assert.equal(answer.status, 429);
      assert.match(String(answer.headers['retry-after']), /^\d+$/);
      assert.match(String(answer.headers.ratelimit), /^"address";r=0;t=\d+$/);
      assert.equal((JSON.parse(answer.body) as { reason: string }).reason, 'rate_limited');
    });

    it('leave no cookie in a log', async () => {
      const person = new HttpPerson();
      await person.signIn(`http://127.0.0.1:${edge}/app/x`, 'alice');
      const value = /__Host-postern=([^;]+)/.exec(person.cookie('127.0.0.1'))?.[1] as string;
      const logs = auth.output + (await proxy.output());
      assert.ok(value.length > 10 && logs.length > 500, 'there was something to find');
      assert.ok(!logs.includes(value));
      assert.doesNotMatch(logs, /[?&](?:code|state)=[\w-]{8,}/);
    });
  });
