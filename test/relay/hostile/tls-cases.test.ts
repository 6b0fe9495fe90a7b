import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'mocha';
import { WebSocketServer } from 'ws';
import { TestAuthority } from '../../support/certificates.ts';
import { INITIALIZE, type RelayProcess, startRelayProcess } from './support/relay-process.ts';

/** What comes in place of the server's next record. */
const BYTES = {
  nothing: Buffer.alloc(0),
  'an alert "decode error"': Buffer.from('15030300020232', 'hex'),
  'an alert "certificate required"': Buffer.from('15030300020274', 'hex'),
  'no record at all': Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
  'a record that cannot be read': Buffer.from(`1703030020${'00'.repeat(32)}`, 'hex'),
} as const;
/** Chunks of the server that come before it: none, the handshake, and some of what is said behind it. */
const AFTER = [0, 1, 2, 3];
const ENDS = ['end', 'reset'] as const;
const TRANSPORTS = {
  'streamable-http': 'https://127.0.0.1/mcp',
  'http-sse': 'https://127.0.0.1/sse',
  websocket: 'wss://127.0.0.1/ws',
} as const;

const RESULT = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'tls', version: '1' } };
const ANSWER = JSON.stringify({ jsonrpc: '2.0', id: 1, result: RESULT });

/** An honest server of every transport. */
function honest(options: object): HttpsServer {
  const streams = new Set<ServerResponse>();
  const server = createHttpsServer(options, (request: IncomingMessage, response: ServerResponse) => {
    request.resume();
    if (request.method === 'GET') {
      streams.add(response);
      response.on('close', () => streams.delete(response));
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('event: endpoint\ndata: /messages\n\n');
      return;
    }
    response.writeHead(200, { 'Content-Type': 'application/json' }).end(ANSWER);
    for (const stream of streams) stream.write(`data: ${ANSWER}\n\n`);
  });
  server.on('tlsClientError', () => {});
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', () => socket.send(ANSWER));
  });
  return server;
}

/** Passes on so many chunks of the server, then says something else. */
function broken(to: number, chunks: number, bytes: Buffer, end: (typeof ENDS)[number]): Server {
  return createServer((client: Socket) => {
    const server = connect(to, '127.0.0.1');
    for (const socket of [client, server]) socket.on('error', () => {});
    let passed = 0;
    client.on('data', (chunk: Buffer) => {
      if (chunks > 0) server.write(chunk);
      else fail();
    });
    server.on('data', (chunk: Buffer) => {
      if (passed++ < chunks) client.write(chunk);
      else fail();
    });
    const fail = () => {
      server.destroy();
      if (bytes.length > 0) client.write(bytes);
      if (end === 'end') client.end();
      else setTimeout(() => client.resetAndDestroy(), 5);
    };
  });
}

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('a relay and servers whose TLS goes wrong', function () {
  this.timeout(90_000);
  const authority = new TestAuthority();
  const servers: Server[] = [];
  const names: string[] = [];
  let running: RelayProcess;

  before(async () => {
    const files = authority.issue('server', 'IP:127.0.0.1');
    const own = { cert: readFileSync(files.certPath), key: readFileSync(files.keyPath) };
    const plain = honest(own);
    const asking = honest({ ...own, ca: readFileSync(authority.caPath), requestCert: true, rejectUnauthorized: true });
    servers.push(plain, asking);
    const configured: Record<string, object> = {};
    const add = (name: string, port: number) => {
      for (const [transport, url] of Object.entries(TRANSPORTS)) {
        names.push(`${name}-${transport}`);
        configured[`${name}-${transport}`] = {
          url: url.replace('127.0.0.1', `127.0.0.1:${port}`),
          transport,
          tls: { caPath: authority.caPath },
          timeout: '500ms',
          era: 'both',
        };
      }
    };
    const to = await portOf(plain);
    add('asks-for-a-certificate', await portOf(asking));
    for (const chunks of AFTER)
      for (const [index, bytes] of Object.values(BYTES).entries())
        for (const end of ENDS) {
          const server = broken(to, chunks, bytes, end);
          servers.push(server);
          add(`after-${chunks}-${index}-${end}`, await portOf(server));
        }
    running = await startRelayProcess(configured);
  });
  after(async () => {
    await running?.stop();
    for (const server of servers) {
      (server as Partial<HttpsServer>).closeAllConnections?.();
      server.close();
    }
    authority.remove();
  });

  for (const transport of Object.keys(TRANSPORTS))
    it(`over ${transport}, each such session fails alone`, async () => {
      const statuses = new Set<number>();
      for (const name of names.filter((one) => one.endsWith(`-${transport}`))) {
        const answer = await running.post(name, INITIALIZE).catch((error: unknown) => {
          assert.equal(running.child.ended, false, `${name}: ${running.child.output.slice(-3_000)}`);
          throw new Error(name, { cause: error });
        });
        statuses.add(answer.status);
        assert.equal(running.child.ended, false, `${name}: ${running.child.output.slice(-3_000)}`);
      }
      await running.goodCall();
      assert.ok(statuses.has(502), [...statuses].join());
      assert.deepEqual(
        [...statuses].filter((status) => ![200, 502, 504].includes(status)),
        [],
      );
      assert.doesNotMatch(running.child.output, /"level":"fatal"/);
    });
});
