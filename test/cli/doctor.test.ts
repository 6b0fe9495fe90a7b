import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { WebSocketServer } from 'ws';
import { stringify } from 'yaml';
import { findingText, type PlacedFinding } from '../../src/cli/doctor/finding.ts';
import { main } from '../../src/cli/main.ts';
import { freePorts } from '../support/free-port.ts';
import { programOrSkip } from '../support/programs.ts';
import { startCluster, startRedis, startSentinel } from '../support/redis-server.ts';

async function run(argv: string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await main(argv, { env, print: (text) => out.push(text), printError: (text) => err.push(text) });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const SECRET = 'the right secret of the client';

/** What is wrong with the world that the configuration names. */
interface World {
  readonly issuer?: string;
  readonly ahead?: number;
  readonly keys?: unknown[];
  readonly redirects?: boolean;
  readonly mcp?: number;
}

describe('postern doctor', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-doctor-'));
  const servers: Server[] = [];
  let world: World = {};
  let provider = '';
  let mcp = '';
  let ports: number[] = [];

  const serve = (listener: RequestListener): Promise<string> =>
    new Promise((resolve) => {
      const server = createServer(listener);
      servers.push(server);
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    });

  const idp: RequestListener = (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', provider);
    response.setHeader('Date', new Date(Date.now() + (world.ahead ?? 0)).toUTCString());
    const json = (status: number, body: object) => response.writeHead(status).end(JSON.stringify(body));
    if (pathname === '/.well-known/openid-configuration')
      return json(200, {
        issuer: world.issuer ?? provider,
        jwks_uri: `${provider}/keys`,
        token_endpoint: `${provider}/token`,
        authorization_endpoint: `${provider}/authorize`,
      });
    if (pathname === '/keys' || pathname === '/_postern/jwks.json') return json(200, { keys: world.keys ?? [{}] });
    if (pathname === '/authorize') {
      if (world.redirects === false) return response.writeHead(400).end('Invalid parameter: redirect_uri');
      return response.writeHead(302, { Location: `${searchParams.get('redirect_uri')}?error=login_required` }).end();
    }
    const right = `Basic ${Buffer.from(`postern:${SECRET.replaceAll(' ', '+')}`).toString('base64')}`;
    return request.headers.authorization === right
      ? json(400, { error: 'invalid_grant' })
      : json(401, { error: 'invalid_client' });
  };

  before(async () => {
    ports = await freePorts(5);
    provider = await serve(idp);
    mcp = await serve((request, response) => {
      if (world.mcp !== undefined) return response.writeHead(world.mcp).end('no');
      request.resume();
      const result = { serverInfo: { name: 'tools', version: '1' }, protocolVersion: '2025-06-18' };
      return response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
    });
    writeFileSync(join(folder, 'secret'), SECRET);
  });
  after(() => {
    for (const server of servers) server.close();
    rmSync(folder, { recursive: true });
  });

  type Parts = { auth: Record<string, unknown>; relay: Record<string, unknown>; [key: string]: unknown };
  const right = (): Parts => ({
    publicUrl: provider,
    auth: {
      listen: `127.0.0.1:${ports[0]}`,
      internalListen: `127.0.0.1:${ports[1]}`,
      providers: [{ id: 'corp', issuer: provider, clientId: 'postern', clientSecretPath: join(folder, 'secret') }],
      rules: [{ match: { path: '/servers/tools/**' }, allow: { groups: ['staff'] } }],
    },
    relay: {
      listen: `127.0.0.1:${ports[2]}`,
      internalListen: `127.0.0.1:${ports[3]}`,
      servers: { tools: { url: `${mcp}/mcp` } },
      policy: { rules: [{ who: 'anyone-signed-in' }] },
    },
  });
  const file = join(folder, 'postern.yaml');
  const write = (config: object) => writeFileSync(file, stringify(config));
  async function diagnose(config: object, env?: NodeJS.ProcessEnv) {
    write(config);
    const { code, out } = await run(['doctor', '--json', '--config', file], env);
    return { code, findings: out.split('\n').map((line) => JSON.parse(line) as PlacedFinding) };
  }

  it('finds nothing wrong where nothing is', async () => {
    world = {};
    const { code, findings } = await diagnose(right());
    const wrong = findings.filter(({ level, key }) => level !== 'ok' && key !== 'redis');
    assert.deepEqual(wrong, []);
    assert.equal(code, 0);
    for (const cause of [
      /discovery document/,
      /1 key at/,
      /takes client "postern"/,
      /redirect address/,
      /tools 1 answers initialize/,
      /port \d+ of 127.0.0.1 is free/,
    ])
      assert.ok(
        findings.some((finding) => cause.test(finding.cause)),
        String(cause),
      );
  });

  type Case = [name: string, world: World, breakIt: (parts: Parts) => void, key: string, cause: RegExp, level?: string];
  const provided = (parts: Parts) =>
    (parts.auth.providers as Array<Record<string, unknown>>)[0] as Record<string, unknown>;
  const serverOf = (parts: Parts) =>
    (parts.relay.servers as Record<string, Record<string, unknown>>).tools as Record<string, unknown>;
  const cases: Case[] = [
    [
      'a provider that is away',
      {},
      (p) => Object.assign(provided(p), { issuer: `http://127.0.0.1:${ports[4]}` }),
      'auth.providers[0].issuer',
      /no server listens there/,
    ],
    [
      'an issuer without its slash',
      { issuer: 'http://127.0.0.1/' },
      () => {},
      'auth.providers[0].issuer',
      /calls itself "http:\/\/127.0.0.1\/"/,
    ],
    ['a provider without keys', { keys: [] }, () => {}, 'auth.providers[0].issuer', /holds no keys/],
    [
      'a wrong client secret',
      {},
      (p) => Object.assign(provided(p), { clientSecretPath: undefined, clientSecret: 'rotated since then, long ago' }),
      'auth.providers[0].clientSecret',
      /refuses client "postern" \(invalid_client\)/,
    ],
    [
      'a redirect address that is not registered',
      { redirects: false },
      () => {},
      'publicUrl',
      /does not take the redirect address/,
    ],
    [
      'a clock that is wrong',
      { ahead: 90_000 },
      () => {},
      'auth.providers[0].clockTolerance',
      /ahead of this machine's, more than the 30 s/,
    ],
    [
      'a clock that is behind',
      { ahead: -600_000 },
      () => {},
      'auth.providers[0].clockTolerance',
      /behind this machine's/,
    ],
    [
      'a secret file that is not there',
      {},
      (p) => Object.assign(provided(p), { clientSecretPath: '/nonexistent/secret' }),
      'auth.providers[0].clientSecretPath',
      /there is no file/,
      'warn',
    ],
    [
      'a server that is away',
      {},
      (p) => Object.assign(serverOf(p), { url: `http://127.0.0.1:${ports[4]}/mcp` }),
      'relay.servers.tools.url',
      /no server listens there/,
    ],
    ['a server at another path', { mcp: 404 }, () => {}, 'relay.servers.tools.url', /answers initialize with 404/],
    [
      'a server that wants a credential',
      { mcp: 401 },
      () => {},
      'relay.servers.tools.url',
      /wants a credential/,
      'warn',
    ],
    [
      'a credential that the server refuses',
      { mcp: 403 },
      (p) => Object.assign(serverOf(p), { credential: { bearer: { value: 'x' } } }),
      'relay.servers.tools.credential',
      /refuses the credential/,
    ],
    [
      'a command that is not installed',
      {},
      (p) => Object.assign(p.relay, { servers: { tools: { command: 'no-such-mcp-server' } } }),
      'relay.servers.tools.command',
      /no program "no-such-mcp-server"/,
      'warn',
    ],
    [
      'a port that is taken',
      {},
      (p) => Object.assign(p.relay, { listen: new URL(provider).host }),
      'relay.listen',
      /another program listens/,
    ],
    [
      'a port that is given twice',
      {},
      (p) => Object.assign(p.relay, { listen: p.auth.listen }),
      'relay.listen',
      /is that of auth.listen too/,
    ],
    [
      'Redis that is away',
      {},
      (p) => Object.assign(p, { redis: { url: `redis://127.0.0.1:${ports[4]}` } }),
      'redis.url',
      /is not reached/,
    ],
    ['no rules', {}, (p) => Object.assign(p.auth, { rules: [] }), 'auth.rules', /refuses every request/, 'warn'],
    [
      'a relay without a policy',
      {},
      (p) => Object.assign(p.relay, { policy: undefined }),
      'relay.policy',
      /is not set, so every user whom the proxy lets through may use every tool/,
      'warn',
    ],
    [
      'a rule for a server that is not there',
      {},
      (p) => Object.assign(p.auth, { rules: [{ match: { path: '/servers/tols/**' }, allow: { groups: ['staff'] } }] }),
      'auth.rules[0].match.path',
      /no server of relay.servers is "tols" \(there are tools\)/,
      'warn',
    ],
    [
      'a rule that another one shadows',
      {},
      (p) =>
        (p.auth.rules as object[]).push({
          match: { path: '/servers/tools/mcp', methods: ['POST'] },
          allow: { groups: ['admins'] },
        }),
      'auth.rules[1]',
      /never decides, because auth.rules\[0\] comes first/,
      'warn',
    ],
    [
      'a secret that can be guessed',
      {},
      (p) => Object.assign(p.relay, { trust: { secret: 'changeme' } }),
      'relay.trust.secret',
      /has 8 characters/,
      'warn',
    ],
    [
      'sealing keys that are none',
      {},
      (p) => Object.assign(p.auth, { sessions: { keys: 'not a key' } }),
      'auth.sessions.keys',
      /32 bytes as base64url/,
      'fail',
    ],
    [
      'plain http to another machine',
      {},
      (p) => Object.assign(provided(p), { jwksUri: 'http://idp.invalid/keys' }),
      'auth.providers[0].jwksUri',
      /plain http/,
      'warn',
    ],
    [
      'an audit folder that is not there',
      {},
      (p) => Object.assign(p, { audit: { file: { path: '/nonexistent/audit-{process}.log' } } }),
      'audit.file.path',
      /there is no folder \/nonexistent/,
      'warn',
    ],
    [
      'keys for the relay that are not there',
      {},
      (p) => Object.assign(p.relay, { trust: { assertion: { jwksUrl: `http://127.0.0.1:${ports[4]}/jwks` } } }),
      'relay.trust.assertion.jwksUrl',
      /no server listens there/,
    ],
    [
      'a public address where nobody listens',
      {},
      (p) => Object.assign(p, { publicUrl: `http://127.0.0.1:${ports[4]}` }),
      'publicUrl',
      /the proxy does not answer/,
      'warn',
    ],
  ];
  for (const [name, around, breakIt, key, cause, level = 'fail'] of cases)
    it(`names ${name}`, async () => {
      world = around;
      const parts = right();
      breakIt(parts);
      const { code, findings } = await diagnose(parts);
      const found = findings.find((finding) => finding.key === key && cause.test(finding.cause));
      assert.ok(found, findings.map(findingText).join('\n'));
      assert.equal(found.level, level);
      assert.ok(found.fix, 'no fix');
      if (level === 'fail') assert.equal(code, 1);
    });

  it('names an expired certificate, a wrong key file and an outbound proxy that is away', async () => {
    world = {};
    const certPath = join(folder, 'old.pem');
    const keyPath = join(folder, 'old.key');
    const request = join(folder, 'old.csr');
    const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'pipe' });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', keyPath];
    openssl('req', '-new', ...key, '-subj', '/CN=old', '-out', request);
    openssl('x509', '-req', '-in', request, '-key', keyPath, '-days', '-1', '-out', certPath);
    const parts = right();
    parts.auth.tls = { certPath, keyPath };
    parts.relay.tls = { certPath, keyPath: join(folder, 'secret') };
    // The variables of a process decide about its connections; here only the look at them is meant.
    const { code, findings } = await diagnose(parts, { HTTPS_PROXY: `http://127.0.0.1:${ports[4]}` });
    const text = findings.map(findingText).join('\n');
    assert.match(text, /auth\.tls\.certPath \(.*postern\.yaml:\d+\): the certificate of CN=old expired on/);
    assert.match(text, /relay\.tls\.keyPath .*must hold a private key in PEM/);
    assert.match(text, /HTTPS_PROXY: the proxy http:\/\/127\.0\.0\.1:\d+: no server listens there/);
    assert.equal(code, 1);
  });

  it('names certificates that others show and that soon expire, and none that lasts', async () => {
    world = {};
    for (const [days, level] of [
      ['5', 'warn'],
      ['400', 'ok'],
    ] as const) {
      const [cert, key] = [join(folder, `${days}.pem`), join(folder, `${days}.key`)];
      const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc', '-keyout', key, '-days', days];
      execFileSync('openssl', ['req', '-x509', ...made, '-subj', '/CN=localhost', '-out', cert], { stdio: 'pipe' });
      const server = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_request, response) =>
        response.end('{}'),
      );
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as AddressInfo;
      const parts = right();
      parts.relay.servers = {
        web: { url: `https://localhost:${port}/mcp`, tls: { caPath: cert } },
        socket: { url: `wss://localhost:${port}/mcp`, tls: { caPath: cert } },
      };
      const { findings } = await diagnose({ ...parts, publicUrl: `https://localhost:${port}` });
      for (const at of ['publicUrl', 'relay.servers.web.url', 'relay.servers.socket.url']) {
        const found = findings.find(({ key: at2, cause }) => at2 === at && /certificate of localhost/.test(cause));
        assert.equal(found?.level, level, `${at}: ${findings.map(findingText).join('\n')}`);
      }
    }
  });

  it('asks servers by WebSocket and HTTP+SSE, and names those that are none of MCP', async () => {
    world = {};
    const answers: Record<string, (text: string) => string | undefined> = {
      right: () => JSON.stringify({ jsonrpc: '2.0', id: 1, result: { serverInfo: { name: 'ws', version: '2' } } }),
      modern: () => JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'no' } }),
      echo: (text) => text,
      words: () => 'hello',
      mute: () => undefined,
    };
    const base = await serve((request, response) => {
      if (request.url === '/sse') {
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        return response.write('event: endpoint\ndata: /messages\n\n');
      }
      return response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>');
    });
    const sockets = new WebSocketServer({ server: servers.at(-1) as Server });
    sockets.on('connection', (socket, { url }) => {
      const answer = answers[(url ?? '').slice(1)];
      if (answer === answers.mute) return socket.close();
      socket.on('message', (data) => socket.send(answer?.(String(data)) ?? ''));
    });
    const ws = base.replace('http', 'ws');
    const parts = right();
    parts.relay.servers = {
      ...Object.fromEntries(Object.keys(answers).map((name) => [name, { url: `${ws}/${name}` }])),
      stream: { url: `${base}/sse`, transport: 'http-sse' },
      page: { url: `${base}/page`, transport: 'http-sse' },
    };
    const { code, findings } = await diagnose(parts);
    sockets.close();
    const said = new Map(findings.map(({ key, level, cause }) => [key, `${level} ${cause}`]));
    for (const [name, expected] of Object.entries({
      right: /^ok ws 2 answers initialize/,
      modern: /^ok .* knows no initialize/,
      echo: /^fail .* no JSON-RPC/,
      words: /^fail .* no JSON-RPC/,
      mute: /^fail .* does not answer initialize/,
      stream: /^ok .* opens its stream/,
      page: /^fail .* no event stream/,
    }))
      assert.match(said.get(`relay.servers.${name}.url`) ?? '', expected);
    assert.equal(code, 1);
  });

  it('names Redis without persistence, with eviction, and with another password', async function () {
    world = {};
    const redis = await startRedis(await programOrSkip(this, 'redis'));
    try {
      const client = new Redis(redis.url);
      const ask = (config: object) => diagnose({ ...right(), redis: { url: redis.url, ...config } });
      const tell = (name: string, value: string) => client.config('SET', name, value);
      await tell('save', '');
      await tell('appendonly', 'no');
      await tell('maxmemory', '100mb');
      await tell('maxmemory-policy', 'allkeys-lru');
      const { code, findings } = await ask({});
      const text = findings.map(findingText).join('\n');
      assert.match(text, /redis .*keeps nothing on disk/);
      assert.match(text, /maxmemory-policy allkeys-lru/);
      assert.equal(code, 1);
      await tell('requirepass', 'hard to guess');
      client.disconnect();
      const refused = (await ask({ password: 'another' })).findings.map(findingText).join('\n');
      assert.match(refused, /redis\.password.*: Redis refuses us: WRONGPASS/);
    } finally {
      await redis.stop();
    }
  });

  it('names the master of a cluster that evicts, and asks all of them', async function () {
    world = {};
    const cluster = await startCluster(await programOrSkip(this, 'redis'));
    try {
      const nodes = cluster.servers.map(({ port }) => `127.0.0.1:${port}`);
      const ask = async () => {
        const { findings } = await diagnose({ ...right(), redis: { cluster: { nodes: nodes.slice(0, 1) } } });
        return findings.map(findingText).join('\n');
      };
      assert.match(await ask(), /a cluster of 3 masters/);
      for (const [at, node] of nodes.entries()) {
        const client = new Redis(`redis://${node}`);
        await client.config('SET', 'maxmemory', '100mb');
        await client.config('SET', 'maxmemory-policy', 'allkeys-lru');
        const text = await ask();
        await client.config('SET', 'maxmemory-policy', 'noeviction');
        client.disconnect();
        assert.match(text, new RegExp(`may throw keys away .*allkeys-lru.* \\(at ${node}\\)`), `master ${at}`);
      }
    } finally {
      await cluster.stop();
    }
  });

  it('asks the master that Sentinel names, and names one that it does not know', async function () {
    world = {};
    const group = await startSentinel(await programOrSkip(this, 'redis'));
    try {
      const ask = async (more: object) => {
        const nodes = group.sentinels.map(({ port }) => `127.0.0.1:${port}`);
        const redis = { sentinel: { nodes, ...more } };
        const { code, findings } = await diagnose({ ...right(), redis });
        return { code, text: findings.map(findingText).join('\n') };
      };
      assert.match((await ask({ master: 'main' })).text, /redis\.sentinel .*Redis answers/);
      const wrong = await ask({ master: 'no-such-master' });
      assert.match(wrong.text, /redis\.sentinel .*: Redis is not reached: .*; start it, or correct the address/);
      assert.equal(wrong.code, 1);
    } finally {
      await group.stop();
    }
  });

  it('shows lines for people with file and line, and never a secret', async () => {
    world = {};
    const parts = right();
    Object.assign(provided(parts), { clientSecretPath: undefined, clientSecret: 'never printed anywhere' });
    Object.assign(parts.relay, { trust: { secret: 'hunter2' } });
    write(parts);
    const { code, out } = await run(['doctor', '--config', file]);
    assert.equal(code, 1);
    assert.match(out, /^fail {2}auth\.providers\[0\]\.clientSecret \(.*postern\.yaml:\d+\): the provider refuses/m);
    assert.match(out, /^warn {2}relay\.trust\.secret \(.*postern\.yaml:\d+\): the secret has 7 characters/m);
    assert.match(out, /\d+ ok, \d+ to look at, 1 failed$/);
    assert.doesNotMatch(out, /hunter2|never printed/);
  });

  it('ends with 78 and the problems where the configuration cannot be used', async () => {
    const { code, findings } = await diagnose({ auth: { listen: 'x' }, drian: '1s' });
    assert.equal(code, 78);
    assert.deepEqual(
      findings.map(({ level, key, line }) => [level, key, line]),
      [
        ['fail', 'auth.listen', 2],
        ['fail', 'drian', 3],
      ],
    );
    const checked = await run(['check', '--config', file]);
    assert.match(checked.out, /^auth\.listen \(.*postern\.yaml:2\): .*\ndrian \(.*postern\.yaml:3\): unknown key/);
    for (const text of ['auth: [', 'a: &b', 'auth: {listen: "x"']) {
      writeFileSync(file, text);
      const broken = await run(['check', '--config', file]);
      assert.equal(broken.code, 78, text);
      assert.doesNotMatch(broken.out, /:$/m, text);
    }
  });

  describe('beside it `postern check`', () => {
    it('warns of the same without asking anybody, and ends with 0', async () => {
      const parts = right();
      Object.assign(parts.auth, { rules: [] });
      Object.assign(serverOf(parts), { url: `http://127.0.0.1:${ports[4]}/mcp` });
      write(parts);
      const { code, out, err } = await run(['check', '--config', file]);
      assert.equal(code, 0);
      assert.match(err, /^warning: auth\.rules \(.*postern\.yaml:\d+\): there is no rule.*; write rules/m);
      assert.doesNotMatch(err, /no server listens/);
      assert.match(out, /can be used; 1 warning$/);
    });

    it('ends with 78 for keys with which a process does not start, after the warnings', async () => {
      const keysPath = join(folder, 'cut-keys');
      writeFileSync(keysPath, 'cut short');
      const wrong = [
        ['auth', { sessions: { keys: 'none' } }, 'auth.sessions.keys'],
        ['relay', { sessionKey: 'none' }, 'relay.sessionKey'],
        ['auth', { sessions: { keysPath } }, 'auth.sessions.keysPath'],
        ['auth', { assertion: { keysPath } }, 'auth.assertion.keysPath'],
      ] as const;
      for (const [part, given, key] of wrong) {
        const parts = right();
        Object.assign(parts[part], given);
        Object.assign(parts.auth, { rules: [] });
        write(parts);
        const { code, out, err } = await run(['check', '--config', file]);
        assert.equal(code, 78, key);
        assert.ok(out.startsWith(`${key} (${file}:`), out);
        assert.match(err, /^warning: auth\.rules .*\n1 problem found$/s);
      }
    });

    it('only warns of a key file that another machine may have', async () => {
      const parts = right();
      Object.assign(parts.auth, { sessions: { keysPath: join(folder, 'nowhere') } });
      write(parts);
      const { code, err } = await run(['check', '--config', file]);
      assert.equal(code, 0);
      assert.match(err, /^warning: auth\.sessions\.keysPath .*there is no file/m);
    });

    it('warns of an empty folder', async () => {
      const before = process.cwd();
      const empty = join(folder, 'empty');
      mkdirSync(empty);
      process.chdir(empty);
      try {
        const { err } = await run(['check']);
        assert.match(err, /nothing is configured: there is no postern\.yaml in .*empty/);
      } finally {
        process.chdir(before);
      }
    });
  });
});
