import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials, type MethodDefinition } from '@grpc/grpc-js';
import fc from 'fast-check';
import { after, before, describe, it } from 'mocha';
import { AUTHORIZATION } from '../support/ext-authz-service.ts';
import { freePorts } from '../support/free-port.ts';
import { GateProcess } from './support/gate-process.ts';
import { SEED, TIMES } from './support/run.ts';
import { type Ugly, uglyGrpc, uglyRequests } from './support/ugly.ts';

/** Cases at a time. */
const LANES = 16;
/** Milliseconds for an answer to what may never have one. */
const PATIENCE = 100;
/** Bytes that a process may use beside what it used before: compiled code, caches that are bounded. */
const HEAP_SLACK = 24 * 1024 * 1024;

const TOKEN = 'operator-token-of-the-hostile-client-suite';
const CHECK = AUTHORIZATION.Check as MethodDefinition<object, object>;
const PUBLIC = {
  attributes: {
    source: { address: { socket_address: { address: '203.0.113.7' } } },
    request: { http: { method: 'GET', path: '/page', host: 'mcp.example.com', scheme: 'https' } },
  },
};

const FORWARDED = [
  'X-Forwarded-Uri: /page\r\n',
  'X-Forwarded-Uri: /%zz\xff\r\n',
  'X-Forwarded-Uri: \r\n',
  'X-Forwarded-Host: mcp.example.com\r\n',
  'X-Forwarded-Host: a, b\r\n',
  'X-Forwarded-Proto: https\r\n',
  'X-Forwarded-Method: GET\r\n',
  'X-Forwarded-Method: \xff\r\n',
  'X-Forwarded-For: 203.0.113.7, x, ::\r\n',
  'X-Original-URI: /page\r\n',
  'X-Original-Method: POST\r\n',
  'Authorization: Bearer x\r\n',
  'Authorization: Bearer eyJhbGciOiJub25lIn0.e30.\r\n',
  'Authorization: Basic !!\r\n',
  'Cookie: __Host-postern_session=x; __Host-postern_session=y\r\n',
  'Cookie: =;;=\xff\r\n',
  'X-Api-Key: pk_x_y\r\n',
  'X-Forwarded-Client-Cert: Hash=x;URI="\r\n',
  'Mcp-Name: =?base64?!?=\r\n',
  'Mcp-Method: tools/call\r\n',
];
const OPERATING = [`Authorization: Bearer ${TOKEN}\r\n`, 'Authorization: Basic b3BlcmF0b3I6eA==\r\n'];
const INTERNAL = [
  '/healthz',
  '/readyz?strict',
  '/metrics',
  '/sessions?user=%zz',
  '/sessions/x',
  '/api-keys',
  '/oauth/clients',
];

interface Way {
  readonly port: () => number;
  readonly ugly: fc.Arbitrary<Ugly>;
  readonly count: number;
  /** Another user's request there. */
  readonly good: () => Promise<unknown>;
  /** Some connections are found dead by the keepalive alone. */
  readonly filesLater?: boolean;
}

/** Of connections that are about to close, and of those that the other users' requests keep. */
const FILES_SLACK = LANES + 4;

/** Writes all of it, and takes what comes until somebody ends the connection. */
async function send({ pieces, atEnd }: Ugly, port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.resume();
  socket.once('connect', () => {
    for (const piece of pieces) socket.write(piece);
    if (atEnd === 'end') socket.end();
    else if (atEnd === 'reset') socket.resetAndDestroy();
  });
  const late = setTimeout(() => socket.destroy(), PATIENCE);
  await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  clearTimeout(late);
}

async function answered(url: string, init: RequestInit = {}): Promise<void> {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
}

describe('hostile clients at every way in', function () {
  this.timeout(120_000 * TIMES);
  let auth: GateProcess;
  let relay: GateProcess;
  let upstream: Server;
  let envoy: Client;
  let ports: number[];
  let atFirst: Readonly<Record<'auth' | 'relay', number>>;

  before(async () => {
    ports = await freePorts(5);
    upstream = createServer((request, response) => {
      request.resume().on('end', () => {
        response.writeHead(200, { 'Content-Type': 'application/json' });
        response.end('{"jsonrpc":"2.0","id":"good","result":{"content":[]}}');
      });
    });
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
    const [authPort, authInternal, grpc, relayPort, relayInternal] = ports.map((port) => `127.0.0.1:${port}`);
    const config = {
      publicUrl: 'https://mcp.example.com',
      drain: '100ms',
      auth: {
        listen: authPort,
        internalListen: authInternal,
        grpc,
        operatorToken: TOKEN,
        providers: [{ id: 'corp', issuer: 'http://127.0.0.1:9', clientId: 'gate' }],
        broker: { enabled: true },
        rules: [
          { match: { path: '/page' }, public: true },
          { match: { path: '/**' }, allow: {} },
        ],
      },
      relay: {
        listen: relayPort,
        internalListen: relayInternal,
        operatorToken: TOKEN,
        admin: { user: 'operator', password: 'correct-horse-battery-9' },
        servers: { good: { url: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`, era: 'both' } },
      },
    };
    [auth, relay] = [
      await GateProcess.start('auth', config, ports[1] as number),
      await GateProcess.start('relay', config, ports[4] as number),
    ];
    atFirst = { auth: await auth.openFiles(), relay: await relay.openFiles() };
    envoy = new Client(`127.0.0.1:${ports[2]}`, credentials.createInsecure());
  });
  after(async () => {
    envoy?.close();
    await Promise.all([auth?.stop(), relay?.stop()]);
    upstream?.closeAllConnections();
    upstream?.close();
  });

  const at = (index: number) => ports[index] as number;
  const checked = () =>
    answered(`http://127.0.0.1:${at(0)}/verify/traefik`, {
      headers: {
        'X-Forwarded-Uri': '/page',
        'X-Forwarded-Method': 'GET',
        'X-Forwarded-Host': 'mcp.example.com',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-For': '203.0.113.7',
      },
    });
  const healthy = (index: number) => answered(`http://127.0.0.1:${at(index)}/healthz`);
  const called = () =>
    answered(`http://127.0.0.1:${at(3)}/servers/good/mcp`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'X-Authenticated-User': 'alice',
      },
      body: '{"jsonrpc":"2.0","id":"good","method":"tools/call","params":{"name":"work"}}',
    });
  const asked = () =>
    new Promise<void>((resolve, reject) => {
      const deadline = Date.now() + 10_000;
      const { path, requestSerialize, responseDeserialize } = CHECK;
      envoy.makeUnaryRequest(path, requestSerialize, responseDeserialize, PUBLIC, { deadline }, (error, response) => {
        if (error !== null) return reject(error);
        const { status } = response as { status?: { code?: number } };
        if ((status?.code ?? 0) === 0) resolve();
        else reject(new Error(JSON.stringify(response)));
      });
    });

  const AUTH_WAYS: Readonly<Record<string, Way>> = {
    'forward-auth over gRPC': { port: () => at(2), ugly: uglyGrpc, count: 500, good: asked, filesLater: true },
    'forward-auth': {
      port: () => at(0),
      ugly: uglyRequests(
        [
          ...['traefik', 'caddy', 'nginx', 'envoy', 'envoy/page?x=%zz', 'other'].map((name) => `/verify/${name}`),
          ...['sign-in?return=%00', 'callback/corp?code=x&state=y', 'me', 'sessions', 'sign-out'].map(
            (name) => `/_postern/${name}`,
          ),
          ...['authorize?client_id=x', 'token', 'register', 'revoke', 'jwks'].map((name) => `/_postern/oauth/${name}`),
          '/.well-known/oauth-protected-resource/servers/x',
          '/.well-known/oauth-authorization-server',
        ],
        FORWARDED,
      ),
      count: 500,
      good: checked,
    },
    'the internal listener of forward-auth': {
      port: () => at(1),
      ugly: uglyRequests(INTERNAL, OPERATING),
      count: 200,
      good: () => healthy(1),
    },
  };
  const RELAY_WAYS: Readonly<Record<string, Way>> = {
    'the relay': {
      port: () => at(3),
      ugly: uglyRequests(['mcp', 'ws', 'sse', 'messages?sessionId=x'].map((name) => `/servers/good/${name}`)),
      count: 300,
      good: called,
    },
    'the admin pages and their API': {
      port: () => at(3),
      ugly: uglyRequests(
        [
          '',
          '/servers',
          '/sign-in',
          '/api/servers',
          '/api/live',
          '/api/policy/explain',
          '/api/%2e%2e',
          '/api/streams/x',
        ].map((name) => `/admin${name}`),
        OPERATING,
      ),
      count: 300,
      good: called,
    },
    'the internal listener of the relay': {
      port: () => at(4),
      ugly: uglyRequests([...INTERNAL, '/pins', '/pins/good/x', '/migration'], OPERATING),
      count: 200,
      good: () => healthy(4),
    },
  };

  async function back(what: string, measure: () => Promise<number>, most: number): Promise<void> {
    let found = await measure();
    for (let turn = 0; found > most && turn < 150; turn++) {
      await sleep(200);
      found = await measure();
    }
    assert.ok(found <= most, `${what}: ${found}, at most ${most}`);
  }

  async function attack({ port, ugly, count, good, filesLater = false }: Way, gate: GateProcess): Promise<void> {
    // What is compiled and opened once is no growth.
    const [first, ...cases] = fc.sample(ugly, { numRuns: count * TIMES + 1, seed: SEED });
    await send(first as Ugly, port());
    await good();
    const [files, heap] = [await gate.openFiles(), await gate.heap()];
    let next = 0;
    const lane = async () => {
      for (let index = next++; index < cases.length; index = next++) {
        await send(cases[index] as Ugly, port());
        assert.equal(gate.child.ended, false, `case ${index} of seed ${SEED}: ${gate.child.output.slice(-3_000)}`);
        await good();
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    await back('bytes in use', () => gate.heap(), heap + HEAP_SLACK);
    if (!filesLater) await back('open files', () => gate.openFiles(), files + FILES_SLACK);
    assert.doesNotMatch(gate.child.output, /"level":"fatal"/);
  }

  for (const [name, way] of Object.entries(AUTH_WAYS)) it(`${way.count} at ${name}`, () => attack(way, auth));
  for (const [name, way] of Object.entries(RELAY_WAYS)) it(`${way.count} at ${name}`, () => attack(way, relay));
  it('nothing of them all is left open', async () => {
    // The other users' connections to two ports, and the relay's own to the server, may be kept.
    const most = 3 * LANES + FILES_SLACK;
    await back('open files of forward-auth', () => auth.openFiles(), atFirst.auth + most);
    await back('open files of the relay', () => relay.openFiles(), atFirst.relay + most);
  });
});
