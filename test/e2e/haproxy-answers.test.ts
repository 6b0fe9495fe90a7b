import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get as httpGet, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import { type Decision, deny } from '../../src/forward-auth/decision/decision.ts';
import { ANONYMOUS } from '../../src/identity/identity.ts';
import { freePorts } from '../support/free-port.ts';
import { endAll, haproxyOrSkip, HAPROXY_SECRET as SECRET, startHaproxy } from '../support/haproxy.ts';
import { type LiveUpstream, startLiveUpstream } from '../support/live-upstream.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';
import { startScriptedAuthorizer } from '../support/scripted-authorizer.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x', arguments: {} } });
const MCP = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];
const COOKIE = '__Host-postern=renewed; Path=/; HttpOnly; Secure; SameSite=Lax';
const SIGN_IN = 'https://mcp.example.com/_postern/sign-in?rd=https%3A%2F%2Fmcp.example.com%2Fapp%2F&x=1';

const allow = (more: object = {}): Decision => ({
  ...({ kind: 'allow', reason: 'authorized', rule: '' } as const),
  identity: { ...ANONYMOUS, subject: 'alice', method: 'session' },
  ...more,
});
const SCRIPT = new Map<string, Decision>([
  ['/plain', allow()],
  ['/events', allow()],
  ['/ws', allow({ cookies: [COOKIE] })],
  ['/renewed', allow({ cookies: [COOKIE, 'second=1; Path=/'] })],
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
  ['/bad', deny(400, 'credential_duplicated', 'Authorization came more than once')],
  ['/large', deny(431, 'credential_too_large', 'the token is too large')],
]);

describe('what becomes of each answer in the real HAProxy', () => {
  const end: Array<() => unknown> = [];
  let upstream: LiveUpstream;
  let edge: number;
  let oddEdge: number;
  let odd: RequestListener;

  before(async function () {
    this.timeout(60_000);
    const path = await haproxyOrSkip(this);
    const [first, http, grpc, second] = (await freePorts(4)) as [number, number, number, number];
    edge = first;
    oddEdge = second;
    const authorizer = await startScriptedAuthorizer(SCRIPT, { http, grpc });
    end.unshift(() => authorizer.stop());
    upstream = await startLiveUpstream();
    end.unshift(() => upstream.stop());
    await startHaproxy(path, { edge, auth: http, upstream: upstream.port }, end);
    const strange = createServer({ maxHeaderSize: 131_072 }, (request, response) =>
      request.url?.startsWith('/verify/') ? odd(request, response) : response.end(),
    );
    strange.listen(0, '127.0.0.1');
    await once(strange, 'listening');
    end.unshift(() => {
      strange.closeAllConnections();
      strange.close();
    });
    const auth = (strange.address() as AddressInfo).port;
    await startHaproxy(path, { edge: oddEdge, auth, upstream: upstream.port }, end);
  });
  after(() => endAll(end));

  const ask = (path: string, headers: string[] = []) => rawRequest(edge, path, { headers });
  async function refused(path: string, port = edge): Promise<RawAnswer> {
    const before = upstream.count();
    const answer = await rawRequest(port, path);
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

  it('429, 503, 400 and 431 whole', async () => {
    const limited = await refused('/limit');
    assert.equal(limited.status, 429);
    assert.equal(limited.headers['retry-after'], '5');
    assert.equal(limited.headers['ratelimit-policy'], '"user";q=600;w=60');
    assert.equal(reason(limited), 'rate_limited');
    const away = await refused('/unavailable');
    assert.equal(away.status, 503);
    assert.equal(away.headers['retry-after'], '5');
    assert.equal(reason(away), 'dependency');
    for (const [path, status] of [
      ['/bad', 400],
      ['/large', 431],
    ] as const) {
      const answer = await refused(path);
      assert.equal(answer.status, status);
      assert.ok(reason(answer).startsWith('credential_'));
    }
  });

  it('an allow: the renewed cookies go to the browser, and the identity to the upstream only', async () => {
    const answer = await ask('/renewed', ['Cookie', '__Host-postern=old']);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.headers['set-cookie'], [COOKIE, 'second=1; Path=/']);
    assert.equal(answer.headers['x-authenticated-user'], undefined);
    assert.equal(upstream.last()['x-authenticated-user'], 'alice');
    assert.equal(upstream.last()['x-authenticated-assertion'], 'assertion');
    assert.equal(upstream.last()['x-postern-proxy-secret'], SECRET);
    assert.equal(upstream.last()['x-forwarded-for'], '127.0.0.1');
  });

  it('what the answer does not name does not arrive either', async () => {
    for (const header of [
      ...['X-Authenticated-Role', 'X-Auth-Request-User', 'X-Forwarded-User', 'X-Forwarded-Prefix', 'X-WEBAUTH-USER'],
      ...['Remote-User', 'X-Postern-Proxy-Secret', 'Forwarded'],
    ]) {
      assert.equal((await ask('/plain', [header, 'mallory'])).status, 200);
      assert.doesNotMatch(JSON.stringify(upstream.last()), /mallory/, header);
    }
  });

  it('a cookie renewed for one request is not set again for the next on the same connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const next = async (path: string) => {
      const request = httpGet({ port: edge, host: '127.0.0.1', path, agent });
      const [answer] = (await once(request, 'response')) as [IncomingMessage];
      answer.resume();
      await once(answer, 'end');
      return { cookies: answer.headers['set-cookie'], reused: request.reusedSocket };
    };
    assert.equal((await next('/renewed')).cookies?.length, 2);
    assert.deepEqual(await next('/plain'), { cookies: undefined, reused: true });
    agent.destroy();
  });

  it('an allow: upstream goes what is left of the cookies', async () => {
    const mine = ['Cookie', '__Host-postern=secret; own=1; other=2'];
    await ask('/cookie-left', mine);
    assert.equal(upstream.last().cookie, 'own=1; other=2');
    await ask('/cookie-none', mine);
    assert.equal(upstream.last().cookie, undefined);
    await ask('/plain', ['Cookie', 'own=1']);
    assert.equal(upstream.last().cookie, 'own=1');
  });

  it('an event stream arrives event by event', async () => {
    const stop = new AbortController();
    const answer = await fetch(`http://127.0.0.1:${edge}/events`, { signal: stop.signal });
    assert.equal(answer.status, 200);
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    const next = async () => Buffer.from((await reader.read()).value ?? []).toString();
    assert.match(await next(), /opened/);
    // Each is sent only after the one before has arrived: a proxy that keeps any back would never end this.
    for (const event of ['one', 'two']) {
      upstream.send(event);
      assert.match(await next(), new RegExp(event));
    }
    stop.abort();
  });

  it('a WebSocket opens after an allow, with a renewed cookie, and not after a refusal', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${edge}/ws`, { headers: { 'X-Authenticated-User': 'mallory' } });
    const upgraded = once(socket, 'upgrade') as Promise<[IncomingMessage]>;
    await once(socket, 'open');
    assert.deepEqual((await upgraded)[0].headers['set-cookie'], [COOKIE]);
    socket.send('hello');
    const [data] = (await once(socket, 'message')) as [Buffer];
    assert.equal(data.toString(), 'hello');
    assert.equal(upstream.last()['x-authenticated-user'], 'alice');
    socket.terminate();
    const before = upstream.count();
    const refusedSocket = new WebSocket(`ws://127.0.0.1:${edge}/nowhere`);
    refusedSocket.on('error', () => {});
    const [, response] = (await once(refusedSocket, 'unexpected-response')) as [unknown, { statusCode: number }];
    assert.equal(response.statusCode, 403);
    assert.equal(upstream.count(), before);
    refusedSocket.terminate();
  });

  it('the question: GET without a body, the client’s own headers, and nothing of its connection', async () => {
    let asked: IncomingMessage | undefined;
    let length = 0;
    odd = (request, response) => {
      asked = request;
      request.on('data', (data: Buffer) => {
        length += data.length;
      });
      request.on('end', () => response.writeHead(403).end());
    };
    await rawRequest(oddEdge, '/a/b?c=d', {
      method: 'POST',
      headers: [...MCP, 'Cookie', 'a=1', 'Mcp-Method', 'tools/call', 'TE', 'trailers', 'X-Forwarded-For', '6.6.6.6'],
      body: CALL,
    });
    assert.equal(asked?.method, 'GET');
    assert.equal(asked.url, '/verify/traefik');
    assert.equal(length, 0);
    const { headers } = asked;
    assert.deepEqual(
      ['method', 'uri', 'proto', 'host', 'for'].map((part) => headers[`x-forwarded-${part}`]),
      ['POST', '/a/b?c=d', 'http', `127.0.0.1:${oddEdge}`, '127.0.0.1'],
    );
    assert.deepEqual([headers.cookie, headers['mcp-method']], ['a=1', 'tools/call']);
    assert.deepEqual([headers.te, headers.upgrade, headers['content-length']], [undefined, undefined, undefined]);
  });

  it('several challenges and cookies of one refusal', async () => {
    odd = (_request, response) =>
      response
        .writeHead(401, [
          ...['WWW-Authenticate', 'Bearer a="1"', 'WWW-Authenticate', 'Basic realm="x, y"'],
          ...['Set-Cookie', 'a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'Set-Cookie', 'b=2'],
        ])
        .end('why');
    const answer = await fetch(`http://127.0.0.1:${oddEdge}/x`);
    assert.equal(answer.status, 401);
    assert.equal(answer.headers.get('www-authenticate'), 'Bearer a="1", Basic realm="x, y"');
    assert.equal(answer.headers.getSetCookie().length, 2);
    assert.equal(await answer.text(), 'why');
  });

  it('an identity fits beside as many headers as forward-auth takes', async () => {
    let asked = 0;
    odd = (_request, response) => {
      asked += 1;
      response.setHeader('X-Authenticated-Assertion', 'e'.repeat(8_000)).end();
    };
    const { status } = await rawRequest(oddEdge, '/x', { headers: ['X-Large', 'x'.repeat(32_000)] });
    // So much is too much for the upstream of this test, which shows that HAProxy passed it on.
    assert.deepEqual([asked, status], [1, 431]);
    assert.equal((await rawRequest(oddEdge, '/x', { headers: ['X-Large', 'x'.repeat(4_000)] })).status, 200);
    assert.equal(upstream.last()['x-authenticated-assertion'], 'e'.repeat(8_000));
  });

  for (const [what, answer] of [
    ['201', (_request, response) => response.writeHead(201, { 'X-Authenticated-User': 'alice' }).end()],
    ['204', (_request, response) => response.writeHead(204).end()],
    ['a connection that ends', (request) => request.socket.destroy()],
    ['silence', () => {}],
    ['what is no HTTP', (request) => request.socket.end('200 OK\r\n\r\n')],
    [
      'an identity that does not fit',
      (_request, response) =>
        response.setHeader('X-Authenticated-Groups', 'g'.repeat(30_000)) &&
        response.setHeader('X-Authenticated-Name', 'n'.repeat(30_000)).end(),
    ],
  ] as ReadonlyArray<readonly [string, RequestListener]>)
    it(`fails closed after ${what}`, async () => {
      odd = answer;
      const headers = what.includes('fit') ? ['X-Large', 'x'.repeat(48_000)] : [];
      const before = upstream.count();
      const { status } = await rawRequest(oddEdge, '/x', { headers });
      assert.equal(status, 503);
      assert.equal(upstream.count(), before);
    });
});
