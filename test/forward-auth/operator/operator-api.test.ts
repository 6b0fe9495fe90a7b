import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { Registry } from 'prom-client';
import { peopleRoutes } from '../../../src/forward-auth/operator/people.ts';
import { sessionRoutes } from '../../../src/forward-auth/operator/session-routes.ts';
import { drain, listen } from '../../../src/platform/http.ts';
import { createInternalServer } from '../../../src/platform/internal-listener.ts';
import { createLogger } from '../../../src/platform/log.ts';
import { createOperatorApi } from '../../../src/platform/operator-api.ts';
import { Readiness } from '../../../src/platform/readiness.ts';
import { BROWSER, cookieOf, ISSUER, imagineReplicas, signedIn } from '../support/imagined-sessions.ts';

const TOKEN = 'operator-token-of-a-test';
const OWNER = `?${new URLSearchParams({ issuer: ISSUER, subject: 'alice' })}`;

describe('operator API', () => {
  let server: Server;
  afterEach(() => drain(server, 0));

  async function start(token: string | undefined = TOKEN) {
    const imagined = imagineReplicas();
    const log = createLogger('auth', 'silent');
    const api = createOperatorApi({
      token: token === undefined ? undefined : [token],
      routes: [
        ...sessionRoutes(imagined.service),
        ...peopleRoutes({
          sessions: imagined.service,
          granting: async () => [{ issuer: ISSUER, subject: 'carol', username: 'cmiller' }],
          ofApiKeys: async () => ['alice', 'ci'].map((subject) => ({ issuer: 'https://mcp.example.com', subject })),
          isSuspended: ({ subject }) => subject === 'carol',
        }),
      ],
      log,
    });
    server = createInternalServer(new Registry(), new Readiness({}), { operator: api });
    const base = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
    const ask = async (method: string, path: string, authorization: string | undefined = `Bearer ${TOKEN}`) => {
      const headers = authorization === '' ? {} : { Authorization: authorization };
      const response = await fetch(base + path, { method, headers });
      return { status: response.status, headers: response.headers, text: await response.text() };
    };
    return { ...imagined, ask };
  }

  it('lists a person’s sessions without any token', async () => {
    const { ask, service } = await start();
    const one = signedIn({ tokens: { refreshToken: 'refresh-1', idToken: 'id-1' } });
    const identity = { ...one.identity, email: 'alice@example.com', name: 'Alice Archer' };
    const cookie = cookieOf(await service.begin({ ...one, identity }, BROWSER, undefined));
    await service.begin(signedIn({ subject: 'bob' }), BROWSER, undefined);
    const { status, text } = await ask('GET', `/sessions${OWNER}`);
    assert.equal(status, 200);
    const { sessions } = JSON.parse(text) as { sessions: Array<Record<string, string>> };
    assert.deepEqual(sessions.map(Object.keys), [
      ['key', 'user', 'email', 'name', 'provider', 'created', 'ends', 'userAgent', 'address'],
    ]);
    for (const hidden of ['access-1', 'refresh-1', 'id-1', cookie.split('=')[1] as string])
      assert.ok(!text.includes(hidden));
  });

  it('ends one session, then all of a person', async () => {
    const { ask, service, events } = await start();
    for (let i = 0; i < 3; i++) await service.begin(signedIn(), BROWSER, undefined);
    const [first] = await service.ofUser(ISSUER, 'alice');
    assert.equal((await ask('DELETE', `/sessions/${first?.key}`)).status, 200);
    assert.equal((await ask('DELETE', `/sessions/${first?.key}`)).status, 404);
    assert.equal((await ask('DELETE', `/sessions${OWNER}`)).text, '{"ended":2}');
    assert.deepEqual(await service.ofUser(ISSUER, 'alice'), []);
    assert.equal(events.filter((event) => event === 'operator').length, 3);
  });

  it('lists all sessions by pages, and says who is called so', async () => {
    const { ask, service } = await start();
    for (let at = 0; at < 7; at++) await service.begin(signedIn({ subject: `user-${at % 4}` }), BROWSER, undefined);
    const read = async (path: string) => JSON.parse((await ask('GET', path)).text);
    assert.equal((await read('/sessions')).sessions.length, 7);
    assert.equal((await read('/sessions?user=user-1')).sessions.length, 2);
    assert.equal((await read(`/sessions?issuer=${ISSUER}`)).sessions.length, 7);
    assert.equal((await read('/sessions?issuer=https://other.example.com')).sessions.length, 0);
    await service.begin(signedIn({ subject: 'alice' }), BROWSER, undefined);
    const people = async (user: string) =>
      (await read(`/people?${new URLSearchParams({ user })}`)).people.map((one: { user: string }) => one.user);
    assert.deepEqual(await people('alice'), [`${ISSUER}#alice`], 'an API key of the same subject is hers');
    const [first] = (await read('/people?user=alice')).people as object[];
    assert.deepEqual(first, { user: `${ISSUER}#alice`, groups: ['engineering'] });
    const [carol] = (await read('/people?user=carol')).people as object[];
    assert.deepEqual(carol, { user: `${ISSUER}#carol`, username: 'cmiller', suspended: true });
    assert.deepEqual(await people('CMiller'), [`${ISSUER}#carol`]);
    assert.deepEqual(await people('ci'), ['https://mcp.example.com#ci']);
    assert.deepEqual(await people('nobody'), []);
  });

  it('is for the operator’s token only', async () => {
    const { ask, service } = await start();
    await service.begin(signedIn(), BROWSER, undefined);
    for (const bad of [
      '',
      'Bearer',
      'Bearer ',
      `Bearer ${TOKEN}x`,
      `Bearer ${TOKEN.slice(1)}`,
      `Basic ${TOKEN}`,
      TOKEN,
    ]) {
      const { status, headers } = await ask('DELETE', `/sessions${OWNER}`, bad);
      assert.equal(status, 401, bad);
      assert.equal(headers.get('www-authenticate'), 'Bearer');
    }
    assert.equal((await service.ofUser(ISSUER, 'alice')).length, 1);
  });

  it('says how to be enabled, and leaves the listener’s other paths alone', async () => {
    const imagined = imagineReplicas();
    const log = createLogger('auth', 'silent');
    const api = createOperatorApi({ token: undefined, routes: sessionRoutes(imagined.service), log });
    server = createInternalServer(new Registry(), new Readiness({}), { operator: api });
    const base = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
    const response = await fetch(`${base}/sessions`, { headers: { Authorization: 'Bearer undefined' } });
    assert.equal(response.status, 404);
    assert.match(await response.text(), /auth\.operatorToken/);
    assert.equal((await fetch(`${base}/healthz`)).status, 200);
  });

  it('says what is wrong with a request', async () => {
    const { ask } = await start();
    for (const query of ['?issuer=a&subject=', '?subject=alice', '?limit=0', '?limit=1001', '?limit=1e9'])
      assert.equal((await ask('GET', `/sessions${query}`)).status, 400, query);
    for (const query of ['', '?user=alice', '?issuer=a', '?subject=alice', `?user=${encodeURIComponent(`${ISSUER}#`)}`])
      assert.match((await ask('DELETE', `/sessions${query}`)).text, /<issuer>#<subject>/, query);
    assert.match((await ask('GET', '/people')).text, /user=/);
    const post = await ask('POST', '/sessions');
    assert.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, DELETE']);
    assert.equal((await ask('GET', '/sessions/a/b')).status, 404);
    assert.equal((await ask('GET', '/sessionsx')).status, 404);
    assert.equal((await ask('GET', '/healthz')).status, 200);
  });

  it('hands a route the JSON that was sent, and refuses what is none or too much', async () => {
    const log = createLogger('auth', 'silent');
    const echo = async ({ id, body }: { id: string; body: unknown }) => ({ status: 201, body: { id, body } });
    const routes = [{ method: 'POST' as const, path: /^\/api-keys()$/, handle: echo }];
    server = createInternalServer(new Registry(), new Readiness({}), {
      operator: createOperatorApi({ token: [TOKEN], routes, log }),
    });
    const base = `http://127.0.0.1:${await listen(server, { host: '127.0.0.1', port: 0 })}`;
    const post = async (body: string) => {
      const headers = { Authorization: `Bearer ${TOKEN}` };
      const response = await fetch(`${base}/api-keys`, { method: 'POST', headers, body });
      return { status: response.status, text: await response.text() };
    };
    assert.deepEqual(await post('{"a":1}'), { status: 201, text: '{"id":"","body":{"a":1}}' });
    assert.equal((await post('{')).status, 400);
    assert.equal((await post(`"${'a'.repeat(70_000)}"`)).status, 413);
  });

  it('answers 503 while the store is away', async () => {
    const { ask, stores } = await start();
    stores.away = true;
    const { status, headers } = await ask('GET', `/sessions${OWNER}`);
    assert.deepEqual([status, headers.get('retry-after')], [503, '5']);
  });
});
