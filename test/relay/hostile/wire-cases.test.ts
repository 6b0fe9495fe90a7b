import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, describe, it } from 'mocha';
import {
  frame,
  type RawRequest,
  type RawServer,
  rawServer,
  switchingProtocols,
  unmasked,
} from './support/raw-server.ts';
import { INITIALIZE, type RelayProcess, startRelayProcess } from './support/relay-process.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');
const RESULT = { protocolVersion: '2025-11-25', capabilities: {}, serverInfo: { name: 'hostile', version: '1' } };
const text = (message: object) => frame(0x81, JSON.stringify({ jsonrpc: '2.0', ...message }));

/** What a WebSocket server does wrong, each in place of its answer to `initialize`. */
const FRAMES: Readonly<Record<string, Buffer>> = {
  'reserved bits': hex('f1 01 41'),
  'text that is not UTF-8': hex('81 02 ff ff'),
  'a close frame of one byte': hex('88 01 00'),
  'a close code that does not exist': hex('88 02 00 01'),
  'an opcode that does not exist': hex('83 01 41'),
  'a control frame in fragments': hex('09 01 41'),
  'a control frame that is too long': frame(0x89, 'x'.repeat(126)),
  'a continuation of nothing': hex('80 01 41'),
  'a masked frame': hex('81 81 00 00 00 00 41'),
  'a length with its first bit set': hex('81 7f ff ff ff ff ff ff ff ff'),
  'a length of which nothing follows': hex('81 7e ff ff 41'),
};

/** When it does that. */
const MOMENTS = {
  'in its answer': 'answer',
  'unasked after initialize': 'after',
  'in the segment of the 101': 'handshake',
} as const;

const DOUBLED = {
  'twice-400': ['400 Bad Request', 'Content-Type: application/json\r\ncontent-type: application/json\r\n'],
  'twice-200': ['200 OK', 'Content-Type: application/json\r\nContent-Type: application/json\r\n'],
  'session-twice': ['200 OK', 'Content-Type: application/json\r\nMcp-Session-Id: a\r\nMcp-Session-Id: b\r\n'],
  'length-twice': ['200 OK', 'Content-Type: application/json\r\nContent-Length: 2\r\n'],
  'encoding-twice': [
    '200 OK',
    'Content-Type: application/json\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n',
  ],
} as const;

describe('a relay and the exact bytes of hostile servers', function () {
  this.timeout(60_000);
  let hostile: RawServer;
  let running: RelayProcess;

  function speak(request: RawRequest, socket: Socket, bytes: Buffer, moment: (typeof MOMENTS)[keyof typeof MOMENTS]) {
    if (moment === 'handshake')
      return void socket.write(Buffer.concat([Buffer.from(switchingProtocols(request)), bytes]));
    socket.write(switchingProtocols(request));
    socket.on('data', (chunk) => {
      for (const sent of unmasked(chunk)) {
        const { id, method } = JSON.parse(sent);
        if (method !== 'initialize') continue;
        socket.write(moment === 'answer' ? bytes : Buffer.concat([text({ id, result: RESULT }), bytes]));
      }
    });
  }

  before(async () => {
    const frames = Object.values(FRAMES);
    const moments = Object.values(MOMENTS);
    hostile = await rawServer((request, socket) => {
      const [, kind, which, moment] = request.path.split('/');
      if (kind === 'ws') speak(request, socket, frames[Number(which)] as Buffer, moments[Number(moment)] as 'answer');
      else if (kind === 'large')
        speak(
          request,
          socket,
          text({ id: 1, result: { ...RESULT, instructions: 'x'.repeat(5 * 1024 * 1024) } }),
          'answer',
        );
      else {
        const [status, headers] = DOUBLED[which as keyof typeof DOUBLED];
        const body = '{"jsonrpc":"2.0","id":1,"result":{}}';
        socket.write(`HTTP/1.1 ${status}\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`);
      }
    });
    const servers: Record<string, object> = { large: { url: `ws://127.0.0.1:${hostile.port}/large`, timeout: '2s' } };
    for (const which of frames.keys())
      for (const moment of moments.keys())
        servers[`ws-${which}-${moment}`] = {
          url: `ws://127.0.0.1:${hostile.port}/ws/${which}/${moment}`,
          timeout: '2s',
        };
    for (const which of Object.keys(DOUBLED))
      servers[which] = { url: `http://127.0.0.1:${hostile.port}/http/${which}`, timeout: '2s' };
    running = await startRelayProcess(servers);
  });

  after(async () => {
    await running?.stop();
    await hostile?.close();
  });

  /** Where the process has ended, its last lines say why. */
  async function answered(server: string): Promise<number> {
    const answer = await running.post(server, INITIALIZE).catch((error: unknown) => {
      assert.equal(running.child.ended, false, running.child.output.slice(-3_000));
      throw error;
    });
    await running.goodCall();
    assert.equal(running.child.ended, false, running.child.output.slice(-3_000));
    return answer.status;
  }

  for (const [which, what] of Object.keys(FRAMES).entries())
    for (const [moment, when] of Object.keys(MOMENTS).entries())
      it(`a WebSocket server sends ${what} ${when}: that session alone ends`, async () => {
        const status = await answered(`ws-${which}-${moment}`);
        // A frame whose rest never comes is waited for.
        const waits = what === 'a length of which nothing follows';
        if (Object.values(MOMENTS)[moment] === 'after') assert.ok([200, 502].includes(status), String(status));
        else assert.equal(status, waits ? 504 : 502);
      });

  it('a WebSocket server sends a text frame of 5 MiB', async () => {
    assert.equal(await answered('large'), 200);
  });

  for (const which of Object.keys(DOUBLED))
    it(`an HTTP server sends a header twice (${which}), and is answered for`, async () => {
      assert.ok((await answered(which)) >= 200);
    });
});
