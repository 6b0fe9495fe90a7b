import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { WebSocket } from 'ws';
import { IDENTITY_HEADER_NAMES } from '../../src/identity/headers.ts';
import { type Chain, startChain } from '../support/chain.ts';
import { type DeployedProxy, PROXIES } from '../support/deployment.ts';
import type { LiveUpstream } from '../support/live-upstream.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x', arguments: {} } });
const MCP = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];
const ECHO = '/servers/echo/mcp';
/** nginx speaks HTTP/2 without TLS and HTTP/1.1 on one port since 1.25.1 only. */
const HTTP2: readonly DeployedProxy[] = ['traefik', 'caddy', 'envoy', 'envoy-grpc'];
/** Named once by more than one family: what a client could try to describe another request with. */
const FORGED = [
  ...['X-Forwarded-Uri', '/public/x', 'X-Forwarded-Method', 'GET', 'X-Forwarded-Host', 'evil.example'],
  ...['X-Original-URI', '/public/x', 'X-Original-Method', 'GET', 'X-Original-Host', 'evil.example'],
  ...['X-Original-Url', '/public/x', 'X-Rewrite-Url', '/public/x', 'X-Envoy-Original-Path', '/public/x'],
];

for (const name of Object.keys(PROXIES) as DeployedProxy[])
  describe(`through the real ${name}, with the files of deploy/${name}`, () => {
    let chain: Chain;
    let front: { port: number; upstream: LiveUpstream };
    let alice: string;

    before(async function () {
      this.timeout(300_000);
      chain = await startChain(name, await programOrSkip(this, PROXIES[name].program));
      alice = await chain.token('alice', 'echo');
      front = await chain.openFront();
    });
    after(async function () {
      this.timeout(60_000);
      await chain?.stop();
    });

    const bearer = (token: string) => ['Authorization', `Bearer ${token}`];
    const post = (path: string, headers: readonly string[] = [], port = chain.ports.edge): Promise<RawAnswer> =>
      rawRequest(port, path, { method: 'POST', headers: [...MCP, ...headers], body: CALL });
    const get = (path: string, headers: readonly string[] = []) => rawRequest(chain.ports.edge, path, { headers });

    async function seenWith(headers: readonly string[]): Promise<Map<string, string[]>> {
      const answer = await post(ECHO, [...bearer(alice), ...headers]);
      assert.equal(answer.status, 200, answer.body);
      const seen = new Map<string, string[]>();
      const raw = chain.echo.seen.at(-1)?.rawHeaders ?? [];
      for (let at = 0; at < raw.length; at += 2) {
        const header = (raw[at] as string).toLowerCase();
        seen.set(header, [...(seen.get(header) ?? []), raw[at + 1] as string]);
      }
      return seen;
    }

    it('the program itself finds the configuration valid', async function () {
      if ((await chain.validate()) === undefined) this.skip();
    });

    it('POST: the official client calls a tool and receives its progress', async () => {
      const token = await chain.token('alice', 'everything');
      const client = new Client({ name: 'e2e', version: '1.0.0' });
      const transport = new StreamableHTTPClientTransport(new URL(chain.endpoint('everything')), {
        requestInit: { headers: { Authorization: `Bearer ${token}` } },
      });
      await client.connect(transport as Transport);
      const progress: number[] = [];
      const result = await client.callTool(
        { name: 'trigger-long-running-operation', arguments: { duration: 0.2, steps: 2 } },
        undefined,
        { onprogress: (event) => progress.push(event.progress) },
      );
      assert.deepEqual(progress, [1, 2]);
      assert.match(JSON.stringify(result.content), /completed/i);
      await client.close();
    });

    it('GET: the upstream gets every identity header, the proof and no token of the client’s cookie', async () => {
      const answer = await rawRequest(front.port, '/app/x?y=z', { headers: ['Cookie', 'own=1'] });
      assert.equal(answer.status, 401, 'first without a token');
      const token = await chain.provider.token('alice', `http://127.0.0.1:${front.port}`);
      const allowed = await rawRequest(front.port, '/app/x?y=z', { headers: bearer(token) });
      assert.equal(allowed.status, 200, allowed.body);
      const seen = front.upstream.last();
      assert.equal(seen['x-authenticated-user'], 'alice');
      assert.equal(seen['x-authenticated-groups'], 'engineering');
      assert.equal(seen['x-postern-proxy-secret'], chain.secret);
      assert.match(String(seen['x-authenticated-assertion']), /^eyJ/);
    });

    it('an event stream arrives event by event', async () => {
      const stop = new AbortController();
      const answer = await fetch(`http://127.0.0.1:${front.port}/public/events`, { signal: stop.signal });
      assert.equal(answer.status, 200);
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      const next = async () => Buffer.from((await reader.read()).value ?? []).toString();
      assert.match(await next(), /opened/);
      // Each is sent only after the one before has arrived: a proxy that keeps any back would never end this.
      for (const event of ['one', 'two']) {
        front.upstream.send(event);
        assert.match(await next(), new RegExp(event));
      }
      stop.abort();
    });

    it('a WebSocket opens with a token, and not without', async () => {
      const token = await chain.provider.token('alice', `http://127.0.0.1:${front.port}`);
      const url = `ws://127.0.0.1:${front.port}/app/ws`;
      const socket = new WebSocket(url, { headers: { Authorization: `Bearer ${token}` } });
      await once(socket, 'open');
      socket.send('hello');
      const [data] = (await once(socket, 'message')) as [Buffer];
      assert.equal(data.toString(), 'hello');
      assert.equal(front.upstream.last()['x-authenticated-user'], 'alice');
      socket.terminate();
      const before = front.upstream.count();
      const refused = new WebSocket(url);
      refused.on('error', () => {});
      const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }];
      assert.equal(response.statusCode, 401);
      assert.equal(front.upstream.count(), before);
      refused.terminate();
    });

    it('HTTP/2 is decided in the same way', async function () {
      if (!HTTP2.includes(name)) this.skip();
      const session = connectHttp2(`http://127.0.0.1:${chain.ports.edge}`);
      const ask = async (headers: Record<string, string>) => {
        const stream = session.request({
          ':method': 'POST',
          ':path': ECHO,
          'content-type': 'application/json',
          ...headers,
        });
        stream.end(CALL);
        const [answer] = (await once(stream, 'response')) as [Record<string, unknown>];
        stream.resume();
        await once(stream, 'close');
        return answer[':status'];
      };
      const accept = 'application/json, text/event-stream';
      assert.equal(await ask({ accept, authorization: `Bearer ${alice}` }), 200);
      assert.equal(await ask({ accept }), 401);
      session.close();
    });

    it('no token: 401 with one challenge, its body and its length', async () => {
      for (const answer of [await post(ECHO), await get(ECHO, ['Accept', 'text/event-stream'])]) {
        assert.equal(answer.status, 401);
        const challenge = String(answer.headers['www-authenticate']);
        assert.match(challenge, /^Bearer resource_metadata="[^"]+"/);
        assert.equal(challenge.match(/Bearer/g)?.length, 1, challenge);
        assert.equal((JSON.parse(answer.body) as { reason: string }).reason, 'no_credential');
        assert.match(String(answer.headers['content-type']), /^application\/json/);
        assert.equal(answer.headers['access-control-allow-origin'], '*');
        for (const header of IDENTITY_HEADER_NAMES) assert.equal(answer.headers[header.toLowerCase()], undefined);
      }
      const url = /resource_metadata="([^"]+)"/.exec(String((await get(ECHO)).headers['www-authenticate']))?.[1] ?? '';
      const metadata = (await (await fetch(url)).json()) as { resource: string };
      assert.equal(metadata.resource, chain.endpoint('echo'));
    });

    it('403: another group, and no rule', async () => {
      const before = chain.echo.seen.length;
      const carol = await post(ECHO, bearer(await chain.token('carol', 'echo')));
      assert.equal(carol.status, 403);
      assert.equal((JSON.parse(carol.body) as { reason: string }).reason, 'not_allowed');
      assert.equal((await post('/nowhere', bearer(alice))).status, 403);
      assert.equal(chain.echo.seen.length, before);
    });

    it('paths that could be read in two ways do not pass', async () => {
      const before = front.upstream.count();
      for (const path of [
        '//admin/x',
        '/public/../admin/x',
        '/public/%2e%2e/admin/x',
        '/public/..%2fadmin/x',
        '/public/..%5cadmin/x',
        '/public/..;/admin/x',
        '/public/%252e%252e/admin/x',
        '/_postern/../admin/x',
        '/_postern/..%2fadmin/x',
        '/.well-known/oauth-protected-resource/../../admin/x',
        '/_postern_check/../admin/x',
      ]) {
        const answer = await rawRequest(front.port, path);
        assert.ok([400, 401, 403, 404].includes(answer.status), `${path}: ${answer.status}`);
      }
      assert.equal(front.upstream.count(), before, 'none reached the upstream');
    });

    it('the check itself, health and metrics cannot be reached', async () => {
      for (const path of [
        '/verify/traefik',
        '/verify/envoy/public/x',
        '/_postern_check',
        '/healthz',
        '/metrics',
        '/readyz',
      ]) {
        const { status } = await get(path);
        assert.ok(status >= 400 && status < 500, `${path}: ${status}`);
      }
    });

    it('identity headers of a client are overwritten: once, twice, and of names that do not exist yet', async () => {
      const each = IDENTITY_HEADER_NAMES.flatMap((header) => [header, 'mallory']);
      for (const headers of [
        each,
        ['X-Authenticated-User', 'mallory', 'X-Authenticated-User', 'root'],
        ['x-authenticated-role', 'mallory'],
        ['Remote-User', 'mallory', 'X-Forwarded-User', 'mallory', 'X-User-Id', 'mallory'],
      ])
        for (const [header, values] of await seenWith(headers))
          assert.ok(!/mallory|root/.test(values.join()), `${header}: ${values}`);
      // nginx knows no families of headers: what its configuration does not name is left to the relay.
      const future = name === 'nginx' ? [] : ['X-Authenticated-Role', 'mallory'];
      const answer = await rawRequest(front.port, '/public/x', { headers: [...each, ...future] });
      assert.equal(answer.status, 200);
      assert.doesNotMatch(JSON.stringify(front.upstream.last()), /mallory/, 'by the proxy alone, without the relay');
    });

    for (const alias of ['X_Authenticated_User', 'X.Authenticated.User'])
      it(`${alias} is refused, or never arrives`, async () => {
        const before = chain.echo.seen.length;
        const answer = await post(ECHO, [...bearer(alice), alias, 'mallory']);
        if (answer.status === 200) assert.doesNotMatch(String(chain.echo.seen.at(-1)?.rawHeaders), /mallory/);
        else {
          assert.equal(answer.status, 400);
          assert.equal(chain.echo.seen.length, before);
        }
      });

    it('Connection cannot have the identity removed', async () => {
      const before = front.upstream.count();
      const token = await chain.provider.token('alice', `http://127.0.0.1:${front.port}`);
      const answer = await rawRequest(front.port, '/app/x', {
        headers: [...bearer(token), 'Connection', 'X-Authenticated-User, X-Authenticated-Assertion'],
      });
      if (answer.status === 200) assert.equal(front.upstream.last()['x-authenticated-user'], 'alice');
      else {
        assert.equal(answer.status, 400);
        assert.equal(front.upstream.count(), before);
      }
    });

    it('a public path is anonymous, with or without a token', async () => {
      for (const headers of [[], bearer('abc.def.ghi')]) {
        assert.equal((await rawRequest(front.port, '/public/x', { headers })).status, 200);
        assert.equal(front.upstream.last()['x-authenticated-user'] ?? '', '');
      }
    });

    it('a client cannot describe another request than its own', async () => {
      assert.equal((await post(ECHO, FORGED)).status, 401);
      const token = await chain.provider.token('alice', `http://127.0.0.1:${chain.ports.edge}`);
      assert.equal((await get('/admin/x', [...FORGED, ...bearer(token)])).status, 403);
      const before = front.upstream.count();
      assert.equal((await rawRequest(front.port, '/app/x', { headers: FORGED })).status, 401);
      assert.equal(front.upstream.count(), before);
    });

    it('a second Authorization is no way in', async () => {
      const before = chain.echo.seen.length;
      for (const headers of [
        [...bearer(alice), ...bearer('abc.def.ghi')],
        [...bearer('abc.def.ghi'), ...bearer(alice)],
      ]) {
        const { status } = await post(ECHO, headers);
        assert.ok(status === 400 || status === 401, `was ${status}`);
      }
      assert.equal(chain.echo.seen.length, before);
    });

    it('what a route says of itself counts over gRPC, and nowhere else', async () => {
      const { status } = await rawRequest(front.port, '/area/x', { headers: ['area', 'mcp', 'X-Area', 'mcp'] });
      assert.equal(status, name === 'envoy-grpc' ? 200 : 403);
    });

    it('who goes around the proxy gets nowhere', async () => {
      assert.equal((await post(ECHO, ['X-Authenticated-User', 'alice'], chain.ports.relay)).status, 401);
    });

    describe('and last', () => {
      it('without forward-auth nobody is let through, and afterwards again', async function () {
        this.timeout(60_000);
        const before = [chain.echo.seen.length, front.upstream.count()];
        await chain.running.auth.stop('SIGKILL');
        for (const [path, port] of [
          [ECHO, chain.ports.edge],
          ['/public/x', front.port],
        ] as const) {
          const answer = await post(path, bearer(alice), port);
          // Traefik alone cannot be told to say 503.
          assert.equal(answer.status, name === 'traefik' ? 500 : 503);
        }
        assert.deepEqual([chain.echo.seen.length, front.upstream.count()], before);
        await chain.restartAuth();
        // Envoy may still hold a broken connection to the one before.
        let { status } = await post(ECHO, bearer(alice));
        for (let i = 0; i < 20 && status !== 200; i++) ({ status } = await post(ECHO, bearer(alice)));
        assert.equal(status, 200);
      });

      it('no log of the whole run holds a token or the secret', async () => {
        const logs = await chain.logs();
        assert.ok(chain.provider.issued.length > 2 && logs.length > 1_000, 'there was something to find');
        for (const token of chain.provider.issued) assert.ok(!logs.includes(token.split('.')[2] as string), 'a token');
        assert.doesNotMatch(logs, /eyJ[\w-]{20,}\.[\w-]{20,}/);
        assert.ok(!logs.includes(chain.secret), 'the secret of the proxy');
        // Dynamic metadata, in Envoy's own access log.
        if (name === 'envoy-grpc') assert.match(logs, /"rule":"auth\.rules\[\d\]"[^\n]*"user":"[^"#]+#alice"/);
      });
    });
  });
