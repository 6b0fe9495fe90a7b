import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { IDENTITY_HEADER_NAMES } from '../../src/identity/headers.ts';
import { type Child, startChild } from '../support/child.ts';
import { replaceTexts } from '../support/copied-folder.ts';
import { type EchoUpstream, startEchoUpstream } from '../support/echo-upstream.ts';
import { freePorts } from '../support/free-port.ts';
import { type Gateway, gatewayListener } from '../support/istio/envoy.ts';
import { type Manifest, only, readManifests, readMeshConfig } from '../support/istio/manifests.ts';
import { type LiveUpstream, startLiveUpstream } from '../support/live-upstream.ts';
import { startOpenIdProvider, type TestProvider } from '../support/openid-provider.ts';
import { startPostern } from '../support/postern-process.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';

const AUTH = 'forward-auth.postern.svc.cluster.local';
const RELAY = 'relay.postern.svc.cluster.local';
const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x', arguments: {} } });
const MCP = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];
const PATH = '/servers/everything/mcp';

describe('the real Envoy, as Istio would configure it from deploy/istio', () => {
  const end: Array<() => unknown> = [];
  let provider: TestProvider;
  let echo: EchoUpstream;
  let live: LiveUpstream;
  let auth: Child;
  /** Entrances, by way of checking and by what stands behind. */
  let ports: Record<'http' | 'grpc' | 'token' | 'httpLive' | 'grpcLive' | 'tokenLive', number>;
  let relays: { custom: number; token: number };
  let alice: string;

  before(async function () {
    this.timeout(300_000);
    const program = await programOrSkip(this, 'envoy');
    if (program.kind === 'image') return this.skip();
    provider = await startOpenIdProvider();
    echo = await startEchoUpstream();
    live = await startLiveUpstream();
    end.unshift(
      () => provider.stop(),
      () => echo.stop(),
      () => live.stop(),
    );
    const free = (await freePorts(13)) as [number, ...number[]];
    const [http, grpc, token, httpLive, grpcLive, tokenLive] = free as [number, number, number, number, number, number];
    const [authHttp, authGrpc, authInternal, relay, relayInternal, tokenRelay, tokenInternal] = free.slice(6) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    ports = { http, grpc, token, httpLive, grpcLive, tokenLive };
    relays = { custom: relay, token: tokenRelay };
    const publicUrl = `http://127.0.0.1:${http}`;
    const folder = await mkdtemp(join(tmpdir(), 'postern-istio-'));
    end.unshift(() => rm(folder, { recursive: true, force: true }));

    const custom = await readManifests('custom.yaml');
    const byToken = (await readManifests('request-authentication.yaml')).map((manifest) =>
      renamed(manifest, publicUrl),
    );
    const shared: ReadonlyArray<readonly [string, string]> = [
      ['https://mcp.example.com', publicUrl],
      ['everything.mcp-servers.svc.cluster.local:3001', `127.0.0.1:${echo.port}`],
    ];
    const write = async (
      name: string,
      manifests: Manifest[],
      replacements: ReadonlyArray<readonly [string, string]>,
    ) => {
      const text = only(manifests, 'ConfigMap').data?.['postern.yaml'] ?? '';
      await writeFile(join(folder, name), replaceTexts(text, replacements));
      return join(folder, name);
    };
    const config = await write('custom.yaml', custom, [
      ...shared,
      ['https://idp.example.com', provider.issuer],
      ['0.0.0.0:4180', `127.0.0.1:${authHttp}`],
      ['0.0.0.0:4181', `127.0.0.1:${authGrpc}`],
      ['0.0.0.0:9464', `127.0.0.1:${authInternal}`],
      ['0.0.0.0:4444', `127.0.0.1:${relay}`],
      ['0.0.0.0:9465', `127.0.0.1:${relayInternal}`],
      [`${AUTH}:4180`, `127.0.0.1:${authHttp}`],
    ]);
    const tokenConfig = await write('token.yaml', byToken, [
      ['everything.mcp-servers.svc.cluster.local:3001', `127.0.0.1:${echo.port}`],
      ['0.0.0.0:4444', `127.0.0.1:${tokenRelay}`],
      ['0.0.0.0:9465', `127.0.0.1:${tokenInternal}`],
    ]);
    const keep = (child: Child) => {
      end.unshift(() => child.stop());
      return child;
    };
    auth = keep(await startPostern('auth', config, authInternal));
    keep(await startPostern('relay', config, relayInternal));
    keep(await startPostern('relay', tokenConfig, tokenInternal));

    const meshConfig = await readMeshConfig();
    const jwks = await (await fetch(`${provider.issuer}/jwks`)).text();
    const gateway = (manifests: Manifest[], upstream: number, more: Partial<Gateway>): Gateway => ({
      manifests,
      meshConfig,
      places: { [`${AUTH}:4180`]: authHttp, [`${AUTH}:4181`]: authGrpc, [`${RELAY}:4444`]: upstream },
      ...more,
    });
    const built = [
      gatewayListener(gateway(custom, relay, { provider: 'postern-http' }), { name: 'http', port: http }),
      gatewayListener(gateway(custom, relay, {}), { name: 'grpc', port: grpc }),
      gatewayListener(gateway(byToken, tokenRelay, { jwks }), { name: 'token', port: token }),
      gatewayListener(gateway(custom, live.port, { provider: 'postern-http' }), { name: 'http-live', port: httpLive }),
      gatewayListener(gateway(custom, live.port, {}), { name: 'grpc-live', port: grpcLive }),
      gatewayListener(gateway(byToken, live.port, { jwks }), { name: 'token-live', port: tokenLive }),
    ];
    const listeners = built.map(({ listener }) => listener);
    const clusters = built.flatMap((one) => one.clusters);
    await writeFile(join(folder, 'envoy.json'), JSON.stringify({ static_resources: { listeners, clusters } }));
    keep(
      await startChild(
        'envoy',
        program.path,
        ['-c', 'envoy.json', '--use-dynamic-base-id', '--concurrency', '1', '--log-level', 'warn'],
        { cwd: folder, ready: `${publicUrl}/_postern/jwks.json`, readyOk: true },
      ),
    );
    alice = await provider.token('alice', publicUrl + PATH);
  });
  after(async function () {
    this.timeout(60_000);
    for (const stop of end) await stop();
  });

  const bearer = (token: string) => ['Authorization', `Bearer ${token}`];
  /** To any of the gateways as clients know it: a token counts at the host that it was issued for. */
  const post = (port: number, headers: readonly string[] = [], path = PATH): Promise<RawAnswer> =>
    rawRequest(port, path, {
      method: 'POST',
      headers: ['Host', `127.0.0.1:${ports.http}`, ...MCP, ...headers],
      body: CALL,
    });
  const tokenFor = (user: string) => provider.token(user, `http://127.0.0.1:${ports.http}${PATH}`);

  for (const [way, behind] of [
    ['http', 'httpLive'],
    ['grpc', 'grpcLive'],
  ] as const)
    describe(`action: CUSTOM, ${way}`, () => {
      it('the relay believes the identity that forward-auth signed', async () => {
        const answer = await post(ports[way], bearer(alice));
        assert.equal(answer.status, 200, answer.body);
      });

      it('no token: 401 whole, with the metadata that it names', async () => {
        const answer = await post(ports[way]);
        assert.equal(answer.status, 401);
        const url = /^Bearer resource_metadata="([^"]+)"/.exec(String(answer.headers['www-authenticate']))?.[1] ?? '';
        assert.equal((JSON.parse(answer.body) as { reason: string }).reason, 'no_credential');
        assert.match(String(answer.headers['content-type']), /^application\/json/);
        assert.equal(answer.headers['access-control-allow-origin'], '*');
        assert.match(String(answer.headers['access-control-expose-headers']), /WWW-Authenticate/);
        const metadata = (await (await fetch(url)).json()) as { resource: string };
        assert.equal(metadata.resource, `http://127.0.0.1:${ports.http}${PATH}`);
      });

      it('another group: 403', async () => {
        assert.equal((await post(ports[way], bearer(await tokenFor('carol')))).status, 403);
      });

      it('identity headers of a client are overwritten or gone', async () => {
        for (const headers of [
          IDENTITY_HEADER_NAMES.flatMap((header) => [header, 'mallory']),
          ['x-authenticated-role', 'mallory', 'Remote-User', 'mallory', 'X-Forwarded-User', 'mallory'],
          ['X-Auth-Request-User', 'mallory', 'X-Forwarded-Host', 'mallory', 'X-Postern-Proxy-Secret', 'mallory'],
        ]) {
          const answer = await post(ports[behind], [...bearer(alice), ...headers]);
          assert.equal(answer.status, 200, answer.body);
          assert.equal(live.last()['x-authenticated-user'], 'alice');
          assert.doesNotMatch(JSON.stringify(live.last()), /mallory/);
          assert.equal((await post(ports[way], headers)).status, 401, 'and they are no credential');
        }
      });

      it('aliases are refused, or do not arrive', async () => {
        const before = live.count();
        assert.equal((await post(ports[behind], [...bearer(alice), 'X_Authenticated_User', 'mallory'])).status, 400);
        assert.equal(live.count(), before);
        assert.equal((await post(ports[behind], [...bearer(alice), 'X.Authenticated.User', 'mallory'])).status, 200);
        assert.doesNotMatch(JSON.stringify(live.last()), /mallory/);
      });

      it('two credentials are not one', async () => {
        const before = live.count();
        const { status } = await post(ports[behind], [...bearer(alice), ...bearer(alice)]);
        // Envoy itself joins the two to one, which is no token.
        assert.equal(status, 401);
        assert.equal(live.count(), before);
      });

      it('a path that leaves the unchecked ones is checked', async () => {
        const before = live.count();
        for (const path of [
          `/_postern/..${PATH}`,
          `/_postern/..%2f${PATH.slice(1)}`,
          `/_postern/%2e%2e${PATH}`,
          `/_postern/..%5c${PATH.slice(1)}`,
          `/_postern/..;${PATH}`,
          `//_postern/..//${PATH}`,
          '/verify/envoy/healthz',
          '/healthz',
        ]) {
          const { status } = await rawRequest(ports[behind], path);
          assert.ok([400, 401, 403, 404].includes(status), `${path}: ${status}`);
        }
        assert.equal(live.count(), before);
      });
    });

  describe('RequestAuthentication with outputClaimToHeaders', () => {
    it('the relay believes X-User-Id', async () => {
      const answer = await post(ports.token, bearer(alice));
      assert.equal(answer.status, 200, answer.body);
    });

    it('X-User-Id is the token’s, whatever the client sent, and the token ends here', async () => {
      for (const headers of [[], ['X-User-Id', 'mallory'], ['X-User-Id', 'mallory', 'x-user-id', 'root']]) {
        assert.equal((await post(ports.tokenLive, [...bearer(alice), ...headers])).status, 200);
        assert.equal(live.last()['x-user-id'], 'alice');
        assert.equal(live.last().authorization, undefined);
        assert.doesNotMatch(JSON.stringify(live.last()), /mallory|root/);
      }
    });

    it('without a token nobody passes, with or without X-User-Id', async () => {
      const before = live.count();
      for (const headers of [[], ['X-User-Id', 'alice'], ['X-Authenticated-User', 'alice'], ['Cookie', 'a=b']])
        assert.equal((await post(ports.tokenLive, headers)).status, 403);
      const preflight = ['Origin', 'https://app.example.com', 'Access-Control-Request-Method', 'POST'];
      const { status } = await rawRequest(ports.tokenLive, PATH, { method: 'OPTIONS', headers: preflight });
      assert.equal(status, 403);
      assert.equal(live.count(), before);
    });

    it('nor with a bad token, or one for something else, or in another group', async () => {
      const before = live.count();
      const aud = `http://127.0.0.1:${ports.http}${PATH}`;
      const mallory = ['X-User-Id', 'mallory'];
      for (const [token, status] of [
        [await provider.forge({ sub: 'alice', aud }), 401],
        [await provider.mint({ sub: 'alice', aud, exp: 1_000_000_000 }), 401],
        [await provider.mint({ sub: 'alice', aud: 'https://other.example.com' }), 403],
        [await provider.mint({ sub: 'alice', aud, iss: 'https://other.example.com' }), 401],
        [await provider.mint({ sub: '', aud, groups: ['engineering'] }), 403],
        [await tokenFor('carol'), 403],
        ['abc', 401],
      ] as const)
        assert.equal((await post(ports.tokenLive, [...bearer(token), ...mallory])).status, status, token);
      assert.equal(live.count(), before);
    });

    it('aliases of X-User-Id are refused, or do not arrive', async () => {
      const before = live.count();
      assert.equal((await post(ports.tokenLive, [...bearer(alice), 'X_User_Id', 'mallory'])).status, 400);
      assert.equal(live.count(), before);
      assert.equal((await post(ports.tokenLive, [...bearer(alice), 'X.User.Id', 'mallory'])).status, 200);
      assert.doesNotMatch(JSON.stringify(live.last()), /mallory/);
    });
  });

  for (const behind of ['grpcLive', 'tokenLive'] as const)
    it(`streams and WebSockets, ${behind === 'grpcLive' ? 'CUSTOM' : 'RequestAuthentication'}`, async () => {
      const own = await provider.token('alice', `http://127.0.0.1:${ports[behind]}`);
      const headers = { Authorization: `Bearer ${behind === 'grpcLive' ? own : alice}` };
      const stop = new AbortController();
      const base = `127.0.0.1:${ports[behind]}/servers/everything`;
      const answer = await fetch(`http://${base}/events`, { headers, signal: stop.signal });
      assert.equal(answer.status, 200);
      const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
      const next = async () => Buffer.from((await reader.read()).value ?? []).toString();
      assert.match(await next(), /opened/);
      for (const event of ['one', 'two']) {
        live.send(event);
        assert.match(await next(), new RegExp(event));
      }
      stop.abort();
      const socket = new WebSocket(`ws://${base}/ws`, { headers });
      await once(socket, 'open');
      socket.send('hello');
      const [data] = (await once(socket, 'message')) as [Buffer];
      assert.equal(data.toString(), 'hello');
      socket.terminate();
    });

  it('who is not the mesh is believed by neither relay', async () => {
    for (const [port, header] of [
      [relays.custom, 'X-Authenticated-User'],
      [relays.token, 'X-User-Id'],
    ] as const)
      assert.equal((await post(port, [header, 'alice'])).status, 401);
  });

  describe('and last', () => {
    it('without forward-auth nobody is let through', async () => {
      const before = echo.seen.length;
      await auth.stop('SIGKILL');
      for (const port of [ports.http, ports.grpc]) assert.equal((await post(port, bearer(alice))).status, 503);
      assert.equal(echo.seen.length, before);
    });
  });

  /** The addresses of a test in a manifest. */
  function renamed(manifest: Manifest, publicUrl: string): Manifest {
    const text = JSON.stringify(manifest);
    return JSON.parse(
      text.replaceAll('https://idp.example.com', provider.issuer).replaceAll('https://mcp.example.com', publicUrl),
    ) as Manifest;
  }
});
