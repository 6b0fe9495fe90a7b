import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { afterEach, describe, it } from 'mocha';
import { WebSocketServer } from 'ws';
import { programOrSkip } from '../../../support/programs.ts';
import { startRedis } from '../../../support/redis-server.ts';
import { endAll, onEnd, relay } from '../../support/relay.ts';

type Message = { id?: number; method?: string; params?: Record<string, unknown> };
type Headers = Readonly<Record<string, string>>;

/** What a server saw of one request or handshake. */
const seen = ({ headers }: IncomingMessage) =>
  [headers['x-tenant'], headers['x-authenticated-groups'], headers.authorization]
    .map((value) => value || '-')
    .join(' ');

function answerTo({ id, method, params }: Message, text: string): string {
  const serverInfo = { name: 'pipe', version: '1' };
  const result =
    method === 'initialize'
      ? { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo }
      : { content: [{ type: 'text', text }] };
  return JSON.stringify({ jsonrpc: '2.0', id, result });
}

/** Servers whose one tool tells the headers that its request came with, and how many connections it has had. */
const SERVERS = {
  async websocket() {
    const server = createServer();
    const handshakes: string[] = [];
    const sockets = new WebSocketServer({ server, handleProtocols: () => 'mcp' });
    sockets.on('connection', (socket, request) => {
      handshakes.push(seen(request));
      socket.on('message', (data) => {
        const message = JSON.parse(String(data)) as Message;
        if (message.id !== undefined) socket.send(answerTo(message, seen(request)));
      });
    });
    onEnd(() => {
      for (const socket of sockets.clients) socket.terminate();
    });
    return { one: { url: `ws://127.0.0.1:${await listening(server)}/mcp` }, opened: handshakes };
  },
  /** @param refuse answers a POST that is not taken */
  async 'http-sse'(refuse?: (response: ServerResponse) => void) {
    const opened: string[] = [];
    const streams = new Map<string, ServerResponse>();
    const server = createServer(async (request, response) => {
      if (request.method === 'GET') {
        opened.push(seen(request));
        const id = randomUUID();
        streams.set(id, response);
        response.writeHead(200, { 'Content-Type': 'text/event-stream' });
        response.write(`event: endpoint\ndata: /messages?session=${id}\n\n`);
        return;
      }
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const message = JSON.parse(Buffer.concat(chunks).toString()) as Message;
      if (message.params?.name === 'refused' && refuse !== undefined) return refuse(response);
      response.writeHead(202).end();
      const stream = streams.get(new URL(request.url ?? '', 'http://x').searchParams.get('session') ?? '');
      if (message.id !== undefined) stream?.write(`data: ${answerTo(message, seen(request))}\n\n`);
    });
    return { one: { url: `http://127.0.0.1:${await listening(server)}/sse`, transport: 'http-sse' }, opened };
  },
} as const;

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onEnd(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as { port: number }).port;
}

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
};

async function post(url: string, message: object, headers: Headers) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      'Content-Type': 'application/json',
      Accept: 'application/json, text/event-stream',
      'X-Authenticated-User': 'alice',
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  });
  return { status: answer.status, session: answer.headers.get('mcp-session-id') ?? '', text: await answer.text() };
}

async function begin(url: string, headers: Headers): Promise<string> {
  const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const { status, session, text } = await post(url, { id: 1, method: 'initialize', params }, headers);
  assert.equal(status, 200, text);
  return session;
}

/** What the server saw of the request or connection that brought the call. */
async function told(url: string, headers: Headers, session?: string): Promise<string> {
  const params = { name: 'tell', arguments: {} };
  const { status, text } =
    session === undefined
      ? await post(
          url,
          { id: 2, method: 'tools/call', params: { ...params, _meta: META } },
          { ...headers, 'Mcp-Protocol-Version': '2026-07-28', 'Mcp-Method': 'tools/call', 'Mcp-Name': 'tell' },
        )
      : await post(url, { id: 2, method: 'tools/call', params }, { ...headers, 'Mcp-Session-Id': session });
  assert.equal(status, 200, text);
  return /"text":"([^"]*)"/.exec(text)?.[1] ?? text;
}

const passing = { passthrough: { enabled: true, headers: ['X-Tenant'] } };
const RED = { 'X-Tenant': 'red' };
const BLUE = { 'X-Tenant': 'blue' };

for (const [transport, start] of Object.entries(SERVERS))
  describe(`whose headers a server over ${transport} gets`, function () {
    this.timeout(30_000);
    afterEach(endAll);

    it('with sharing: identity, sessions share where their requests carry the same headers, and only there', async () => {
      const { one, opened } = await start();
      const { url } = await relay({ ...passing, servers: { one: { ...one, sharing: 'identity' } } });
      const sessions = [await begin(url, RED), await begin(url, BLUE), await begin(url, RED), await begin(url, {})];
      assert.deepEqual(opened, ['red - -', 'blue - -', '- - -']);
      const all = [RED, BLUE, RED, {}] as const;
      for (const [index, headers] of all.entries())
        assert.equal(await told(url, headers, sessions[index]), ['red - -', 'blue - -', 'red - -', '- - -'][index]);
    });

    it('with sharing: identity, a person whose groups have changed gets a connection of their own', async () => {
      const { one, opened } = await start();
      const { url } = await relay({ servers: { one: { ...one, sharing: 'identity', identityHeaders: true } } });
      for (const groups of ['admins,staff', 'staff', 'staff']) await begin(url, { 'X-Authenticated-Groups': groups });
      assert.deepEqual(opened, ['- admins,staff -', '- staff -']);
    });

    it('with sharing: identity, what the server gets of nobody is shared whatever the person is allowed', async () => {
      const { one, opened } = await start();
      const credential = { bearer: { value: 'of-the-relay' } };
      const { url } = await relay({ servers: { one: { ...one, sharing: 'identity', credential } } });
      for (const groups of ['admins,staff', 'staff']) await begin(url, { ...RED, 'X-Authenticated-Groups': groups });
      assert.deepEqual(opened, ['- - Bearer of-the-relay']);
    });

    for (const sharing of ['session', 'identity'])
      it(`calls of the stateless revision do not go on in a session that others of the same person began (${sharing})`, async () => {
        const { one } = await start();
        const { url } = await relay({ ...passing, servers: { one: { ...one, sharing } } });
        assert.equal(await told(url, RED), 'red - -');
        assert.equal(await told(url, BLUE), 'blue - -');
        assert.equal(await told(url, RED), 'red - -');
      });

    it('with sharing: everybody, no header of a person goes there', async () => {
      const { one, opened } = await start();
      const { url } = await relay({
        ...passing,
        servers: { one: { ...one, sharing: 'everybody', identityHeaders: true } },
      });
      assert.equal(await told(url, BLUE, await begin(url, RED)), '- - -');
      assert.deepEqual(opened, ['- - -']);
    });
  });

describe('a message to an HTTP+SSE server', function () {
  this.timeout(30_000);
  afterEach(endAll);

  it('goes with the headers of its own request, not of the one that opened the stream', async () => {
    const { one, opened } = await SERVERS['http-sse']();
    const { url } = await relay({ ...passing, servers: { one: { ...one, identityHeaders: true } } });
    const session = await begin(url, { ...RED, 'X-Authenticated-Groups': 'admins' });
    assert.equal(await told(url, { ...BLUE, 'X-Authenticated-Groups': 'staff' }, session), 'blue staff -');
    assert.equal(await told(url, RED, session), 'red - -');
    assert.deepEqual(opened, ['red admins -']);
  });

  const failures: Readonly<Record<string, (response: ServerResponse) => void>> = {
    500: (response) => response.writeHead(500).end('no'),
    404: (response) => response.writeHead(404, { 'Content-Type': 'text/html' }).end('<html>'),
    302: (response) => response.writeHead(302, { Location: 'http://127.0.0.1:1/' }).end(),
    'a reset': (response) => response.destroy(),
  };
  for (const [how, refuse] of Object.entries(failures))
    it(`fails alone where it is answered with ${how}, and the session goes on`, async () => {
      const { one, opened } = await SERVERS['http-sse'](refuse);
      const { url } = await relay({ ...passing, servers: { one } });
      const session = await begin(url, RED);
      const call = { id: 3, method: 'tools/call', params: { name: 'refused' } };
      const { text } = await post(url, call, { ...RED, 'Mcp-Session-Id': session });
      assert.match(text, /"id":3,.*the MCP server did not take the message/);
      assert.equal(await told(url, RED, session), 'red - -');
      assert.equal(opened.length, 1);
    });

  it('is refused where its headers are, and the session goes on', async () => {
    const { one } = await SERVERS['http-sse']();
    const { url } = await relay({ passthrough: { ...passing.passthrough, maxValue: '1KiB' }, servers: { one } });
    const session = await begin(url, RED);
    const call = { id: 3, method: 'tools/call', params: { name: 'tell' } };
    const refused = await post(url, call, { 'X-Tenant': 'x'.repeat(1_025), 'Mcp-Session-Id': session });
    assert.equal(refused.status, 400);
    assert.match(refused.text, /x-tenant is longer than 1024 bytes/);
    assert.equal(await told(url, RED, session), 'red - -');
  });

  it('goes with the headers of its own request where another replica sends it', async function () {
    const redis = await startRedis(await programOrSkip(this, 'redis'));
    onEnd(() => redis.stop());
    const { one, opened } = await SERVERS['http-sse']();
    const settings = {
      ...passing,
      sessionKey: randomBytes(32).toString('base64url'),
      servers: { one: { ...one, identityHeaders: true } },
    };
    const [first, second] = [
      await relay(settings, { redis: { url: redis.url } }),
      await relay(settings, { redis: { url: redis.url } }),
    ];
    const session = await begin(first.url, { ...RED, 'X-Authenticated-Groups': 'admins' });
    assert.equal(await told(second.url, { ...BLUE, 'X-Authenticated-Groups': 'staff' }, session), 'blue staff -');
    assert.equal(await told(first.url, RED, session), 'red - -');
    assert.deepEqual(opened, ['red admins -']);
  });
});
