import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type ClientRequest, type IncomingMessage, type RequestListener, request as send } from 'node:http';
import { WebSocket } from 'ws';
import { ask, endAll, type RelayUnderTest, relay, upstream } from '../relay/support/relay.ts';
import { type Gate, startGate } from '../support/gate-replicas.ts';
import { type PausablePipe, startPipe } from '../support/pausable-pipe.ts';
import { programOrSkip } from '../support/programs.ts';
import { type RedisServer, startRedis } from '../support/redis-server.ts';
import { until } from '../support/until.ts';

const OPERATOR = 'operator-of-the-tests';
const CALL = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'endless' } });

/** Every stream stays open until the other end closes it. */
const ENDLESS: RequestListener = (request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write('data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}\n\n');
  });
};

/** A stream as its client sees it. */
interface Stream {
  readonly kind: string;
  /** How it ended: a close code, or `end`. */
  ended: string | undefined;
}

describe('streams whose identity is taken back, with the real Redis between forward-auth and relay', () => {
  let redis: RedisServer;
  let pipe: PausablePipe;
  let gate: Gate;
  let behind: RelayUnderTest;
  const open: Array<ClientRequest | WebSocket> = [];

  before(async function () {
    this.timeout(120_000);
    redis = await startRedis(await programOrSkip(this, 'redis'));
    pipe = await startPipe(redis.port);
    gate = await startGate(1, {
      redis: { url: redis.url },
      auth: {
        sessions: { keys: randomBytes(32).toString('base64url') },
        operatorToken: OPERATOR,
        apiKeys: { enabled: true },
        rules: [{ match: { path: '/app/**' } }, { match: { path: '/servers/one/**' } }],
      },
    });
    behind = await relay(
      {
        servers: { one: { url: await upstream(ENDLESS), era: 'both' } },
        trust: { assertion: { jwksUrl: `${gate.publicUrl}/_postern/jwks.json`, issuer: gate.publicUrl } },
      },
      { publicUrl: gate.publicUrl, redis: { url: `redis://127.0.0.1:${pipe.port}` } },
    );
  });

  after(async function () {
    this.timeout(60_000);
    for (const one of open) 'terminate' in one ? one.terminate() : one.destroy();
    await endAll();
    await gate?.stop();
    await pipe?.stop();
    await redis?.stop();
  });

  /** What the proxy adds to a request that forward-auth lets through. */
  const allowed = async (method: string, path: string, credential: Record<string, string>): Promise<string[]> => {
    const [replica] = gate.replicas;
    const answer = await replica?.check({ ...credential, 'X-Forwarded-Method': method }, path);
    assert.equal(answer?.status, 200, await answer?.text());
    const names = [...(answer as Response).headers].filter(([name]) => name.startsWith('x-authenticated-'));
    return ['Host', new URL(gate.publicUrl).host, ...names.flat()];
  };

  const http = async (kind: string, method: string, path: string, credential: Record<string, string>) => {
    const headers = await allowed(method, path, credential);
    headers.push('Accept', 'application/json, text/event-stream', 'MCP-Protocol-Version', '2025-06-18');
    if (method === 'POST') headers.push('Content-Type', 'application/json', 'Content-Length', String(CALL.length));
    const stream: Stream = { kind, ended: undefined };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = send({ port: behind.port, host: '127.0.0.1', method, path, headers, agent: false }, resolve);
      request.on('error', reject).end(method === 'POST' ? CALL : undefined);
      open.push(request);
    });
    assert.equal(response.statusCode, 200);
    await new Promise((resolve) => response.once('data', resolve));
    response.resume().on('error', () => {});
    response.once('close', () => {
      stream.ended = 'end';
    });
    return stream;
  };

  const webSocket = async (credential: Record<string, string>): Promise<Stream> => {
    const path = '/servers/one/ws';
    const lines = await allowed('GET', path, credential);
    const headers = Object.fromEntries(lines.flatMap((name, at) => (at % 2 === 0 ? [[name, lines[at + 1]]] : [])));
    const stream: Stream = { kind: 'websocket', ended: undefined };
    const socket = new WebSocket(`ws://127.0.0.1:${behind.port}${path}`, 'mcp', { headers: headers as never });
    open.push(socket);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    socket.once('close', (code) => {
      stream.ended = String(code);
    });
    return stream;
  };

  /** One stream of each kind. */
  const openAll = (credential: Record<string, string>): Promise<Stream[]> =>
    Promise.all([
      http('GET stream', 'GET', '/servers/one/mcp', credential),
      http('streamed POST', 'POST', '/servers/one/mcp', credential),
      http('HTTP+SSE', 'GET', '/servers/one/sse', credential),
      webSocket(credential),
    ]);

  const operator = (method: string, path: string, body?: object) =>
    fetch(`${gate.replicas[0]?.internal}${path}`, {
      method,
      headers: { Authorization: `Bearer ${OPERATOR}`, 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  const allEnd = async (streams: readonly Stream[]) => {
    await until('every stream has ended', () => streams.every(({ ended }) => ended !== undefined));
    assert.deepEqual(
      streams.map(({ kind, ended }) => [kind, ended]),
      [
        ['GET stream', 'end'],
        ['streamed POST', 'end'],
        ['HTTP+SSE', 'end'],
        ['websocket', '1008'],
      ],
    );
  };

  it('end at sign-out, and those of the same person’s other browser and of others do not', async () => {
    const { person, cookie } = await gate.signIn('alice');
    const others = [...(await openAll({ Cookie: (await gate.signIn('alice')).cookie }))];
    others.push(...(await openAll({ Cookie: (await gate.signIn('bob')).cookie })));
    const streams = await openAll({ Cookie: cookie });
    await person.submit(await person.visit(`${gate.publicUrl}/_postern/sign-out`));
    await allEnd(streams);
    assert.deepEqual([...new Set(others.map(({ ended }) => ended))], [undefined]);
    assert.match(await behind.metrics(), /postern_relay_streams_ended_total\{reason="identity_revoked"\} 4/);
    assert.match(await behind.metrics(), /postern_relay_open_streams\{transport="streamable-http"\} 4/);
  });

  it('end when the provider ends the session by back channel', async () => {
    const { person, cookie } = await gate.signIn('bob');
    const streams = await openAll({ Cookie: cookie });
    const page = await person.visit(`${gate.provider.issuer}/session/end`);
    await person.submit(page, { logout: 'yes' });
    await allEnd(streams);
  });

  it('end when an operator revokes the API key, and a verdict from before is worth nothing', async () => {
    const made = await operator('POST', '/api-keys', { subject: 'ci' });
    const { id, key } = (await made.json()) as { id: string; key: string };
    const credential = { Authorization: `Bearer ${key}` };
    const streams = await openAll(credential);
    const before = await allowed('POST', '/servers/one/mcp', credential);
    assert.equal((await operator('DELETE', `/api-keys/${id}`)).status, 200);
    await allEnd(streams);
    const late = await ask(behind.port, { headers: before });
    assert.equal(late.status, 401);
    assert.match(late.text, /has ended: sign in again/);
  });

  it('end as soon as the relay hears again, where it could not hear', async function () {
    this.timeout(60_000);
    const { person, cookie } = await gate.signIn('alice');
    const streams = await openAll({ Cookie: cookie });
    pipe.pause();
    try {
      await person.submit(await person.visit(`${gate.publicUrl}/_postern/sign-out`));
    } finally {
      // What the silence swallowed never comes: the connections begin anew.
      pipe.cut();
      pipe.resume();
    }
    await allEnd(streams);
  });
});
