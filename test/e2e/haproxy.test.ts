import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import { IDENTITY_HEADER_NAMES } from '../../src/identity/headers.ts';
import type { Child } from '../support/child.ts';
import { copyFolder } from '../support/copied-folder.ts';
import { type EchoUpstream, startEchoUpstream } from '../support/echo-upstream.ts';
import { startEverythingServer } from '../support/everything-server.ts';
import { freePorts } from '../support/free-port.ts';
import { endAll, haproxyOrSkip, HAPROXY_SECRET as SECRET, startHaproxy } from '../support/haproxy.ts';
import { startOpenIdProvider, type TestProvider } from '../support/openid-provider.ts';
import { startPostern } from '../support/postern-process.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';

const CALL = JSON.stringify({ jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'x', arguments: {} } });
const MCP = ['Content-Type', 'application/json', 'Accept', 'application/json, text/event-stream'];
const ECHO = '/servers/echo/mcp';

describe('through the real HAProxy, with the files of deploy/haproxy', () => {
  const end: Array<() => unknown> = [];
  let program: string;
  let haproxy: Child;
  let auth: Child;
  let relay: Child;
  let startAuth: () => Promise<Child>;
  let provider: TestProvider;
  let echo: EchoUpstream;
  let edge: number;
  let relayPort: number;
  let alice: string;

  before(async function () {
    this.timeout(120_000);
    program = await haproxyOrSkip(this);
    provider = await startOpenIdProvider();
    echo = await startEchoUpstream();
    end.unshift(
      () => provider.stop(),
      () => echo.stop(),
    );
    const ports = (await freePorts(6)) as [number, number, number, number, number, number];
    const [authPort, authInternal, relayInternal, everything] = ports;
    edge = ports[4];
    relayPort = ports[5];
    const copy = await copyFolder('haproxy', {
      'postern.yaml': [
        ['127.0.0.1:8080', `127.0.0.1:${edge}`],
        ['127.0.0.1:4180', `127.0.0.1:${authPort}`],
        ['127.0.0.1:9464', `127.0.0.1:${authInternal}`],
        ['127.0.0.1:4444', `127.0.0.1:${relayPort}`],
        ['127.0.0.1:9465', `127.0.0.1:${relayInternal}`],
        ['127.0.0.1:4192', new URL(provider.issuer).host],
      ],
    });
    end.unshift(copy.remove);
    const config = `${copy.folder}/postern.yaml`;
    const env = {
      POSTERN_RELAY_TRUST_SECRET: SECRET,
      POSTERN_LOG_LEVEL: 'debug',
      POSTERN_AUTH_RULES: JSON.stringify([
        { match: { path: '/servers/**' }, allow: { groups: ['engineering'] } },
        { match: { path: '/public/**' }, public: true },
        { match: { path: '/admin/**' }, allow: { groups: ['admins'] } },
      ]),
      POSTERN_RELAY_SERVERS: JSON.stringify({
        everything: { url: `http://127.0.0.1:${everything}/mcp` },
        echo: { url: `http://127.0.0.1:${echo.port}/mcp` },
      }),
    };
    const keep = (child: Child) => {
      end.unshift(() => child.stop());
      return child;
    };
    startAuth = async () => keep(await startPostern('auth', config, authInternal, env));
    keep(await startEverythingServer(everything));
    auth = await startAuth();
    relay = keep(await startPostern('relay', config, relayInternal, env));
    haproxy = await startHaproxy(program, { edge, auth: authPort, upstream: relayPort }, end);
    alice = await token('alice', 'echo');
  });
  after(async function () {
    this.timeout(60_000);
    await endAll(end);
  });

  const token = (user: string, server: string) =>
    provider.token(user, `http://127.0.0.1:${edge}/servers/${server}/mcp`);
  const bearer = (text: string) => ['Authorization', `Bearer ${text}`];
  const post = (path: string, headers: readonly string[] = [], port = edge): Promise<RawAnswer> =>
    rawRequest(port, path, { method: 'POST', headers: [...MCP, ...headers], body: CALL });
  const lastSeen = () => {
    const seen = new Map<string, string>();
    const raw = echo.seen.at(-1)?.rawHeaders ?? [];
    for (let at = 0; at < raw.length; at += 2)
      seen.set((raw[at] as string).toLowerCase(), `${seen.get((raw[at] as string).toLowerCase()) ?? ''}${raw[at + 1]}`);
    return seen;
  };
  const reason = ({ body }: RawAnswer) => (JSON.parse(body) as { reason: string }).reason;

  it('POST: the official client calls a tool and receives its progress', async () => {
    const client = new Client({ name: 'e2e', version: '1.0.0' });
    const mine = await token('alice', 'everything');
    const transport = new StreamableHTTPClientTransport(new URL(`http://127.0.0.1:${edge}/servers/everything/mcp`), {
      requestInit: { headers: { Authorization: `Bearer ${mine}` } },
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

  it('the relay believes the assertion and the secret, and hands neither on', async () => {
    assert.equal((await post(ECHO, bearer(alice))).status, 200);
    assert.doesNotMatch([...lastSeen().values()].join('\n'), /eyJ|secret/);
  });

  it('many at once, each with a large body, are each decided by themselves', async () => {
    const params = { name: 'x', arguments: { text: 'x'.repeat(500_000) } };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        rawRequest(edge, ECHO, { method: 'POST', headers: [...MCP, ...(index % 2 ? bearer(alice) : [])], body }),
      ),
    );
    assert.deepEqual(
      answers.map(({ status }) => status),
      answers.map((_, index) => (index % 2 ? 200 : 401)),
    );
  });

  it('HTTP/2 is decided in the same way', async () => {
    const session = connectHttp2(`http://127.0.0.1:${edge}`);
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
    const before = echo.seen.length;
    for (const scheme of ['ftp', 'javascript', 'httpss', 'file'])
      assert.equal(await ask({ ':scheme': scheme, accept, authorization: `Bearer ${alice}` }), 400, scheme);
    assert.equal(echo.seen.length, before);
    const tunnel = session.request({ ':method': 'CONNECT', ':authority': `127.0.0.1:${relayPort}` });
    const [answer] = (await once(tunnel, 'response')) as [Record<string, unknown>];
    assert.equal(answer[':status'], 405);
    tunnel.destroy();
    session.close();
  });

  it('no token: 401 with its challenge and body, and the metadata it names', async () => {
    const before = echo.seen.length;
    const answer = await post(ECHO);
    assert.equal(answer.status, 401);
    const url = /^Bearer resource_metadata="([^"]+)"/.exec(String(answer.headers['www-authenticate']))?.[1] ?? '';
    assert.equal(reason(answer), 'no_credential');
    assert.match(String(answer.headers['content-type']), /^application\/json/);
    assert.equal(answer.headers['access-control-allow-origin'], '*');
    for (const header of IDENTITY_HEADER_NAMES) assert.equal(answer.headers[header.toLowerCase()], undefined);
    const metadata = (await (await fetch(url)).json()) as { resource: string };
    assert.equal(metadata.resource, `http://127.0.0.1:${edge}${ECHO}`);
    assert.equal(echo.seen.length, before);
  });

  it('403: another group, and no rule', async () => {
    const before = echo.seen.length;
    const carol = await post(ECHO, bearer(await token('carol', 'echo')));
    assert.equal(carol.status, 403);
    assert.equal(reason(carol), 'not_allowed');
    assert.equal((await post('/nowhere', bearer(alice))).status, 403);
    assert.equal(echo.seen.length, before);
  });

  it('identity headers of a client are gone: once, twice, and of names that do not exist yet', async () => {
    const forged = IDENTITY_HEADER_NAMES.flatMap((header) => [header, 'mallory']);
    for (const headers of [
      forged,
      ['X-Authenticated-User', 'mallory', 'X-Authenticated-User', 'mallory'],
      ['x-authenticated-role', 'mallory'],
      ['Remote-User', 'mallory', 'X-Forwarded-User', 'mallory', 'X-User-Id', 'mallory', 'X-WEBAUTH-USER', 'mallory'],
      ['X-Postern-Proxy-Secret', 'mallory', 'X-Forwarded-Host', 'mallory'],
    ]) {
      const answer = await post(ECHO, [...bearer(alice), ...headers]);
      assert.equal(answer.status, 200, answer.body);
      assert.doesNotMatch([...lastSeen().values()].join('\n'), /mallory/);
      assert.equal((await post(ECHO, headers)).status, 401, 'and they are no credential');
    }
  });

  it('aliases of identity headers, and Connection that names one, are refused', async () => {
    const before = echo.seen.length;
    for (const headers of [
      ['X_Authenticated_User', 'mallory'],
      ['X.Authenticated.User', 'mallory'],
      ['Connection', 'keep-alive, X-Authenticated-User'],
      ['Connection', 'x-authenticated-assertion'],
    ])
      assert.equal((await post(ECHO, [...bearer(alice), ...headers])).status, 400, headers.join(': '));
    assert.equal(echo.seen.length, before);
  });

  it('two credentials are seen as two', async () => {
    assert.equal((await post(ECHO, [...bearer(alice), ...bearer(alice)])).status, 400);
  });

  it('a client cannot describe another request than its own', async () => {
    const forged = ['X-Forwarded-Uri', '/public/x', 'X-Forwarded-Method', 'GET', 'X-Forwarded-Proto', 'https'];
    assert.equal((await post(ECHO, forged)).status, 401);
    const everywhere = await provider.token('alice', `http://127.0.0.1:${edge}`);
    assert.equal((await post('/admin/x', [...forged, ...bearer(everywhere)])).status, 403);
    for (const target of [`http://127.0.0.1:${edge}/public/x`, 'http://evil.example/public/x', '*'])
      assert.equal((await rawRequest(edge, target)).status, 400, target);
  });

  it('paths that could be read in two ways do not pass, and no internal endpoint can be reached', async () => {
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
      '/_postern/../verify/traefik',
      '/.well-known/oauth-protected-resource/../../admin/x',
      '/verify/traefik',
      '/healthz',
      '/metrics',
    ]) {
      const { status } = await rawRequest(edge, path);
      assert.ok([400, 401, 403, 404].includes(status), `${path}: ${status}`);
    }
  });

  it('who goes around HAProxy gets nowhere', async () => {
    assert.equal((await post(ECHO, ['X-Authenticated-User', 'alice'], relayPort)).status, 401);
  });

  it('does not start without its secret', async () => {
    const [own] = (await freePorts(1)) as [number];
    const addresses = { edge: own, auth: relayPort, upstream: relayPort };
    await assert.rejects(startHaproxy(program, addresses, end, ''), /POSTERN_RELAY_TRUST_SECRET is not set/);
  });

  it('without forward-auth nobody is let through, and afterwards again', async function () {
    this.timeout(60_000);
    const before = echo.seen.length;
    await auth.stop('SIGKILL');
    for (const path of [ECHO, '/public/x']) assert.equal((await post(path, bearer(alice))).status, 503);
    assert.equal(echo.seen.length, before);
    auth = await startAuth();
    assert.equal((await post(ECHO, bearer(alice))).status, 200);
  });

  it('no log of the whole run holds a token, a query or the secret', async () => {
    await post(`${ECHO}?access_token=in-the-query`, bearer(alice));
    await rawRequest(edge, '/quo"te\\x');
    const logs = auth.output + relay.output + haproxy.output;
    const paths = haproxy.output
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => (JSON.parse(line) as { path: string }).path);
    assert.doesNotMatch(haproxy.output, /^\[(?:WARNING|ALERT)/m);
    assert.ok(paths.includes(ECHO));
    assert.doesNotMatch(logs, /eyJ[\w-]{20,}\.[\w-]{20,}|in-the-query/);
    assert.ok(!logs.includes(SECRET));
  });
});
