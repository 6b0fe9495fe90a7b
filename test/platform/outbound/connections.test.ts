import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { WebSocketServer } from 'ws';
import { createOutboundFetch } from '../../../src/platform/outbound/connections.ts';
import { createSafeFetch } from '../../../src/platform/safe-fetch.ts';
import { endAll, onEnd, relay } from '../../relay/support/relay.ts';
import { connectAs } from '../../relay/support/sdk-client.ts';
import { TestAuthority } from '../../support/certificates.ts';
import { BEHIND_PROXY, type ConnectProxy, startConnectProxy } from '../../support/connect-proxy.ts';
import { freePorts } from '../../support/free-port.ts';
import { startCollector } from '../../support/otlp-collector.ts';
import { startPostern } from '../../support/postern-process.ts';
import { until } from '../../support/until.ts';

type Message = { id?: number; method?: string; params?: Record<string, unknown> };

const VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];

function answerTo({ id, method, params }: Message): object | undefined {
  if (id === undefined) return undefined;
  const serverInfo = { name: 'behind', version: '1' };
  const result =
    method === 'initialize'
      ? { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo }
      : { content: [{ type: 'text', text: 'behind the proxy' }] };
  return { jsonrpc: '2.0', id, result };
}

/** Streamable HTTP and HTTP+SSE at one server. @returns its port */
async function mcpServer(tls?: { cert: string; key: string }): Promise<number> {
  const server = tls === undefined ? createServer() : createSecureServer(tls);
  let stream: import('node:http').ServerResponse | undefined;
  server.on('request', async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    if (request.method === 'GET' && request.url === '/sse') {
      stream = response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      return void stream.write('event: endpoint\ndata: /messages\n\n');
    }
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const answer = answerTo(JSON.parse(text) as Message);
    if (request.url === '/messages') {
      response.writeHead(202).end();
      return void (answer && stream?.write(`data: ${JSON.stringify(answer)}\n\n`));
    }
    if (answer === undefined) return void response.writeHead(202).end();
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answer));
  });
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'mcp' });
  sockets.on('connection', (socket) =>
    socket.on('message', (data) => {
      const answer = answerTo(JSON.parse(String(data)) as Message);
      if (answer !== undefined) socket.send(JSON.stringify(answer));
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe('connections through the proxy of the environment', function () {
  this.timeout(60_000);
  let authority: TestAuthority;
  let tls: { cert: string; key: string };
  before(() => {
    authority = new TestAuthority();
    const { certPath, keyPath } = authority.issue('server', `DNS:*.${BEHIND_PROXY}`, 'DNS:localhost');
    tls = { cert: readFileSync(certPath, 'utf8'), key: readFileSync(keyPath, 'utf8') };
  });
  after(() => authority.remove());
  afterEach(async () => {
    for (const name of VARIABLES) delete process.env[name];
    await endAll();
  });

  async function behind(options: Parameters<typeof startConnectProxy>[0] = {}, login = ''): Promise<ConnectProxy> {
    const proxy = await startConnectProxy(options);
    onEnd(() => proxy.close());
    const scheme = options.tls === undefined ? 'http' : 'https';
    const address = `${scheme}://${login === '' ? '' : `${login}@`}localhost:${proxy.port}`;
    process.env.HTTP_PROXY = address;
    process.env.HTTPS_PROXY = address;
    return proxy;
  }

  const call = async (url: string) => {
    const client = await connectAs(url, 'alice');
    onEnd(() => client.close());
    return client.callTool({ name: 'x', arguments: {} });
  };
  const behindIt = { content: [{ type: 'text', text: 'behind the proxy' }] };

  for (const [kind, scheme, path] of [
    ['streamable HTTP', 'http', '/mcp'],
    ['streamable HTTP with TLS', 'https', '/mcp'],
    ['HTTP+SSE', 'http', '/sse'],
    ['HTTP+SSE with TLS', 'https', '/sse'],
    ['WebSocket', 'ws', '/mcp'],
    ['WebSocket with TLS', 'wss', '/mcp'],
  ] as const)
    for (const login of ['', 'gate:secret%40proxy'])
      it(`lead the relay to a server over ${kind}${login === '' ? '' : ', with user and password'}`, async () => {
        const secure = scheme === 'https' || scheme === 'wss';
        const proxy = await behind(login === '' ? {} : { login: decodeURIComponent(login) }, login);
        const port = await mcpServer(secure ? tls : undefined);
        const host = `mcp.${BEHIND_PROXY}`;
        const running = await relay({
          trust: { proxies: ['127.0.0.1'] },
          servers: {
            one: {
              url: `${scheme}://${host}:${port}${path}`,
              ...(path === '/sse' ? { transport: 'http-sse' } : {}),
              ...(secure ? { tls: { caPath: authority.caPath } } : {}),
            },
          },
        });
        assert.deepEqual((await call(running.url)).content, behindIt.content);
        assert.ok(proxy.targets.length > 0 && proxy.targets.every((target) => target === `${host}:${port}`));
        assert.deepEqual(proxy.others, []);
        assert.ok(!running.logs.join('').includes('secret'));
      });

  it('lead the exporter of traces to its collector', async () => {
    const proxy = await behind();
    const collector = await startCollector();
    onEnd(() => collector.stop());
    const endpoint = collector.url.replace('127.0.0.1', `otel.${BEHIND_PROXY}`);
    const port = await mcpServer();
    const running = await relay(
      { trust: { proxies: ['127.0.0.1'] }, servers: { one: { url: `http://mcp.${BEHIND_PROXY}:${port}/mcp` } } },
      { tracing: { endpoint, sample: 1 } },
    );
    await call(running.url);
    await running.close();
    await until('spans', () => collector.spans.length > 0);
    assert.ok(proxy.targets.includes(new URL(endpoint).host));
  });

  it('lead forward-auth to its provider, whose certificate is of a private authority', async () => {
    const proxy = await behind({ login: 'gate:right' }, 'gate:right');
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const keys = { keys: [{ ...(await exportJWK(publicKey)), kid: 'a', alg: 'ES256', use: 'sig' }] };
    const [port, auth, internal] = (await freePorts(3)) as [number, number, number];
    const issuer = `https://idp.${BEHIND_PROXY}:${port}`;
    const provider = createSecureServer(tls, (request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(request.url === '/keys' ? keys : { issuer, jwks_uri: `${issuer}/keys` }));
    }).listen(port, '127.0.0.1');
    onEnd(() => {
      provider.closeAllConnections();
      provider.close();
    });
    const file = join(authority.folder, 'auth.yaml');
    const rules = [{ match: { path: '/app/**' }, allow: 'anyone-signed-in' }];
    const listeners = { listen: `127.0.0.1:${auth}`, internalListen: `127.0.0.1:${internal}` };
    const providers = [{ id: 'corp', issuer, audiences: ['app'] }];
    const publicUrl = 'https://app.example.com';
    writeFileSync(file, JSON.stringify({ publicUrl, auth: { ...listeners, providers, rules } }));
    const { HTTPS_PROXY = '' } = process.env;
    const environment = { HTTPS_PROXY, NODE_EXTRA_CA_CERTS: authority.caPath };
    const gate = await startPostern('auth', file, internal, environment);
    onEnd(() => gate.stop());
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: 'a' })
      .setIssuer(issuer)
      .setSubject('alice')
      .setAudience('app')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
    const answer = await fetch(`http://127.0.0.1:${auth}/verify/traefik`, {
      headers: {
        ...{ 'X-Forwarded-Method': 'GET', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Uri': '/app/' },
        ...{ 'X-Forwarded-Host': 'app.example.com', Authorization: `Bearer ${token}` },
      },
    });
    assert.equal(answer.status, 200, gate.output);
    assert.deepEqual(new Set(proxy.targets), new Set([new URL(issuer).host]));
    assert.ok(!gate.output.includes('gate:right'));
  });

  it('go through a proxy with TLS too, and beside it where NO_PROXY says so', async () => {
    const port = await mcpServer();
    const secure = await behind({ tls });
    // Its certificate is of an authority that nobody knows.
    const fetcher = createOutboundFetch();
    await assert.rejects(fetcher(`http://a.${BEHIND_PROXY}:${port}/`), (error: Error) =>
      /HTTP_PROXY: https:\/\/localhost:\d+ does not connect to a\.corp\.test:\d+: [A-Z_]+/.test(String(error.cause)),
    );
    assert.deepEqual(secure.targets, []);
    const plain = await behind();
    assert.equal((await fetcher(`http://a.${BEHIND_PROXY}:${port}/`)).status, 405);
    process.env.NO_PROXY = `.${BEHIND_PROXY}`;
    await assert.rejects(createOutboundFetch()(`http://a.${BEHIND_PROXY}:${port}/`), (error: Error) =>
      /ENOTFOUND|EAI_AGAIN/.test(String(error.cause)),
    );
    assert.equal(plain.targets.length, 1);
  });

  it('never go to this machine through it', async () => {
    const proxy = await behind();
    const port = await mcpServer();
    for (const host of ['127.0.0.1', 'localhost'])
      assert.equal((await createOutboundFetch()(`http://${host}:${port}/`)).status, 405);
    assert.deepEqual(proxy.targets, []);
  });

  describe('to addresses that strangers name', () => {
    const known = (address: string) =>
      ((_host: string, _options: object, done: (error: null, found: object[]) => void) =>
        done(null, [{ address, family: 4 }])) as never;
    const unknown = ((_host: string, _options: object, done: (error: Error) => void) =>
      done(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }))) as never;

    it('are asked for at the proxy where the name is public or unknown here, and not where it leads inside', async () => {
      const proxy = await behind();
      const port = await mcpServer(tls);
      const address = `https://client.${BEHIND_PROXY}:${port}/`;
      const ca = readFileSync(authority.caPath, 'utf8');
      for (const resolver of [known('93.184.216.34'), unknown])
        assert.equal((await createSafeFetch({ ca, resolver })(address)).status, 405);
      assert.equal(proxy.targets.length, 2);
      for (const inside of ['10.0.0.5', '127.0.0.1', '169.254.169.254'])
        await assert.rejects(createSafeFetch({ ca, resolver: known(inside) })(address), (error: Error) =>
          /not public/.test(String(error.cause)),
        );
      await assert.rejects(createSafeFetch({ ca })('https://10.0.0.5/'), /not public/);
      assert.equal(proxy.targets.length, 2);
    });
  });

  const answers: Readonly<Record<string, [(socket: Socket) => void, RegExp]>> = {
    'refuses with 403': [(socket) => socket.end('HTTP/1.1 403 Forbidden\r\n\r\n'), /it answered 403/],
    'answers 502': [(socket) => socket.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n'), /it answered 502/],
    'hangs up': [(socket) => socket.destroy(), /ECONNRESET/],
    'speaks something else': [(socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), /HPE_INVALID_CONSTANT|Parse Error/],
  };
  for (const [what, [answer, why]] of Object.entries(answers))
    it(`fail by the variable’s name where the proxy ${what}`, async () => {
      await behind({ answer });
      const running = await relay({
        trust: { proxies: ['127.0.0.1'] },
        servers: {
          one: { url: `https://mcp.${BEHIND_PROXY}:8443/mcp` },
          two: { url: `wss://mcp.${BEHIND_PROXY}/mcp` },
        },
      });
      for (const server of ['one', 'two']) {
        await assert.rejects(call(`http://127.0.0.1:${running.port}/servers/${server}/mcp`));
        const log = running.logs.splice(0).join('');
        assert.match(log, /HTTPS_PROXY: http:\/\/localhost:\d+ does not connect to mcp\.corp\.test:\d+: /);
        assert.match(log, why);
      }
    });

  for (const [login, why] of [
    ['', /407: put user and password into HTTPS_PROXY/],
    ['gate:wrong-secret', /407: it does not take the user and password of HTTPS_PROXY/],
  ] as const)
    it(`fail without ${login === '' ? 'a login' : 'the right login'} and never show one`, async () => {
      await behind({ login: 'gate:right' }, login);
      const failed = await createOutboundFetch()(`https://a.${BEHIND_PROXY}/`).catch((error: Error) => error);
      assert.match(String((failed as Error).cause), why);
      assert.ok(!String((failed as Error).cause).includes('wrong-secret'));
    });

  it('are given up where the proxy never answers', async () => {
    const silent = createTcpServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onEnd(() => silent.close());
    process.env.HTTPS_PROXY = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const fetcher = createSafeFetch({ allowedOrigins: ['https://a.corp.test'], timeout: 300 });
    await assert.rejects(fetcher('https://a.corp.test/'));
  });
});
