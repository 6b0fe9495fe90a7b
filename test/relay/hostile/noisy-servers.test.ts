import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'mocha';
import { frame, type RawServer, rawServer, switchingProtocols } from './support/raw-server.ts';
import { INITIALIZE, type RelayProcess, startRelayProcess } from './support/relay-process.ts';

/** Writes for as long as the other side reads. */
function flood(socket: Socket, piece: Buffer | string): void {
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on('drain', more);
  more();
}

const times = (text: string, bytes = 64 * 1024) => text.repeat(Math.ceil(bytes / text.length));
const NOTE = '{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}';
const ANSWER = `{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"n","version":"1"}}}`;
const shell = (script: string) => ({ command: 'sh', args: ['-c', script] });
const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

/** What floods, each from its first moment on or once it has been initialized. */
const PROGRAMS: Readonly<Record<string, object>> = {
  'a program that writes one letter a line': { command: 'yes' },
  'a program that writes half a message a line': shell("exec yes '{'"),
  'a program that writes notifications': shell(`exec yes '${NOTE}'`),
  'a program that writes notifications once it works': shell(`read line; echo '${ANSWER}'; exec yes '${NOTE}'`),
  'a program that writes blank lines': shell("exec yes ''"),
  'a program that writes a line without end': shell("exec tr '\\000' x < /dev/zero"),
  'a program that floods its standard error': shell('exec yes error >&2'),
  'a program that floods its standard error once it works': shell(`read line; echo '${ANSWER}'; exec yes error >&2`),
  'a program that writes answers to nobody': shell(`exec yes '{"jsonrpc":"2.0","id":77,"result":{}}'`),
  'a program that asks without end': shell(`exec yes '{"jsonrpc":"2.0","id":77,"method":"ping"}'`),
};

const CONNECTIONS: Readonly<Record<string, (socket: Socket) => void>> = {
  'ws/a WebSocket server that sends notifications': (socket) =>
    flood(socket, Buffer.concat(Array(500).fill(frame(0x81, NOTE)))),
  'ws/a WebSocket server that sends empty texts': (socket) =>
    flood(socket, Buffer.concat(Array(5_000).fill(frame(0x81, '')))),
  'ws/a WebSocket server that pings': (socket) => flood(socket, Buffer.concat(Array(5_000).fill(frame(0x89, 'ping')))),
  'ws/a WebSocket server that sends fragments without end': (socket) => {
    socket.write(frame(0x01, ''));
    flood(socket, Buffer.concat(Array(5_000).fill(frame(0x00, ''))));
  },
  'sse/an HTTP+SSE server that sends notifications': (socket) => flood(socket, chunked(times(`data: ${NOTE}\n\n`))),
  'sse/an HTTP+SSE server that sends comments': (socket) => flood(socket, chunked(times(':\n\n'))),
  'sse/an HTTP+SSE server that sends a line without end': (socket) => flood(socket, chunked(times('data: x'))),
  'http/an HTTP server that streams notifications': (socket) => flood(socket, chunked(times(`data: ${NOTE}\n\n`))),
  'http/an HTTP server that streams comments': (socket) => flood(socket, chunked(times(':\n\n'))),
};

const EVENT_STREAM = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n';

/**
 * Calls at the honest server, one after the other; fails where one of them is not answered. Other work on the machine decides how long they
 * take, so that is told and not asserted.
 *
 * @returns milliseconds of the slowest but one
 */
async function slowest(running: RelayProcess): Promise<number> {
  const took: number[] = [];
  for (let call = 0; call < 12; call++) {
    const startedAt = performance.now();
    await running.goodCall();
    took.push(performance.now() - startedAt);
  }
  return took.sort((a, b) => b - a)[1] as number;
}

/** Takes what a server streams as fast as it comes, where that does not hold up who measures. */
async function readInOtherProcess(url: string): Promise<undefined> {
  const script = `const answer = await fetch(${JSON.stringify(url)}, {
    method: 'POST', body: ${JSON.stringify(JSON.stringify(INITIALIZE))}, signal: AbortSignal.timeout(3000),
    headers: { 'Content-Type': 'application/json', Accept: 'text/event-stream, application/json', 'X-Authenticated-User': 'mallory' },
  });
  for await (const _ of answer.body);`;
  const reader = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'ignore' });
  await once(reader, 'exit');
}

describe('one noisy MCP server and the calls of everybody else', function () {
  this.timeout(60_000);
  let server: RawServer;
  let running: RelayProcess;
  const connections = Object.entries(CONNECTIONS).map(([name, speak]) => {
    const [kind, what] = name.split('/') as ['ws' | 'sse' | 'http', string];
    return { kind, what, speak };
  });

  before(async () => {
    server = await rawServer((request, socket) => {
      const [, which] = request.path.split('/');
      if (which === 'messages') return void socket.write('HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n');
      const { kind, speak } = connections[Number(which)] as (typeof connections)[number];
      if (kind === 'ws') socket.write(switchingProtocols(request));
      else socket.write(EVENT_STREAM);
      if (kind === 'sse') socket.write(chunked('event: endpoint\ndata: /messages\n\n'));
      speak(socket);
    });
    const servers: Record<string, object> = {};
    for (const [at, program] of Object.values(PROGRAMS).entries())
      servers[`program-${at}`] = { timeout: '1s', maxSessions: 1, ...program };
    for (const [at, { kind }] of connections.entries())
      servers[`connection-${at}`] = {
        url: `${kind === 'ws' ? 'ws' : 'http'}://127.0.0.1:${server.port}/${at}`,
        timeout: '1s',
        maxSessions: 1,
        ...(kind === 'sse' ? { transport: 'http-sse' } : {}),
        ...(kind === 'http' ? { era: 'both' } : {}),
      };
    running = await startRelayProcess(servers);
  });
  after(async () => {
    await running?.stop();
    await server?.close();
    for (const [name, text] of figures) console.log(`    calls at the honest server beside ${name}: ${text}`);
  });
  const figures = new Map<string, string>();

  async function tried(name: string, streams = false): Promise<void> {
    const before = await slowest(running);
    const begun = streams
      ? readInOtherProcess(`http://127.0.0.1:${running.port}/servers/${name}/mcp`)
      : running.post(name, INITIALIZE, { patience: 3_000 }).catch(() => undefined);
    const during = await slowest(running);
    const answer = await begun;
    const after = await slowest(running);
    assert.equal(running.child.ended, false, running.child.output.slice(-2_000));
    const session = answer?.headers.get('mcp-session-id');
    if (session) await running.end(name, session);
    figures.set(name, `${before.toFixed(1)} ms before, ${during.toFixed(1)} during, ${after.toFixed(1)} after`);
    if (answer === undefined || answer.status === 200) return;
    // A failed start gives its place back at once.
    const again = await running.post(name, INITIALIZE, { patience: 20_000 });
    assert.doesNotMatch(again.text, /as many of these MCP servers run as may/);
  }

  for (const [at, what] of Object.keys(PROGRAMS).entries()) it(what, () => tried(`program-${at}`));
  for (const [at, { what, kind }] of connections.entries()) it(what, () => tried(`connection-${at}`, kind === 'http'));
});
