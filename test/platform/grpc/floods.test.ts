import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { GrpcServer } from '../../../src/platform/grpc/grpc-server.ts';
import { h2Frame, hpack } from '../../support/h2-frames.ts';
import { call, grpcFrame } from './support/grpc-client.ts';
import { ECHO, openRaw, openSession, startTestServer } from './support/grpc-session.ts';

const NOTHING = Buffer.alloc(0);
const FIELDS = {
  ':method': 'POST',
  ':path': ECHO,
  ':scheme': 'http',
  ':authority': 'a',
  'content-type': 'application/grpc',
};
/** Bytes that a flood has sent at most, if nobody ends it. */
const ENOUGH = 64 * 1024 * 1024;

/** Frames of a flood for its n-th turn. */
type Flood = (turn: number) => Buffer;
const repeated = (frame: Buffer, times: number) => Buffer.concat(Array.from({ length: times }, () => frame));

/** Errors are how a flood ends. */
function closeOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('close', () => resolve()));
}

function drainOf(socket: Socket): Promise<void> {
  return new Promise((resolve) => void socket.once('drain', () => resolve()));
}

/** Writes until the server ends the connection. @returns whether it did */
async function flood(socket: Socket, frames: Flood): Promise<boolean> {
  const closed = closeOf(socket);
  let sent = 0;
  for (let turn = 0; sent < ENOUGH && !socket.destroyed; turn++) {
    const piece = frames(turn);
    sent += piece.length;
    if (!socket.write(piece) && !socket.destroyed) await Promise.race([drainOf(socket), closed]);
  }
  if (!socket.destroyed) socket.destroy();
  await closed;
  return sent < ENOUGH;
}

describe('floods of a client', () => {
  let server: GrpcServer;

  before(async () => {
    server = await startTestServer({}, { ping: 1_000, pong: 1_000 });
  });
  after(() => server.close(0));
  afterEach('leave others as they are', async () => {
    const session = await openSession(server.port);
    assert.equal((await call(session, ECHO, grpcFrame(Buffer.from('x')))).status, '0');
    session.destroy();
  });

  for (const [title, frame] of [
    ['pings', h2Frame(6, 0, 0, Buffer.alloc(8))],
    ['settings', h2Frame(4, 0, 0, NOTHING)],
  ] as const)
    it(`of ${title}, whose answers nobody reads, end its connection`, async () => {
      const socket = openRaw(server.port);
      socket.pause();
      assert.equal(await flood(socket, () => repeated(frame, 4_000)), true);
    });

  it('of calls that are reset at once end its connection', async () => {
    const socket = openRaw(server.port).resume();
    const reset = (turn: number) =>
      Buffer.concat(
        Array.from({ length: 100 }, (_, at) => {
          const stream = 2 * (100 * turn + at) + 1;
          return Buffer.concat([
            h2Frame(1, 4, stream, hpack(FIELDS)),
            h2Frame(3, 0, stream, Buffer.from([0, 0, 0, 8])),
          ]);
        }),
      );
    assert.equal(await flood(socket, reset), true);
  });

  it('of fields without an end end its connection', async () => {
    const socket = openRaw(server.port).resume();
    socket.write(h2Frame(1, 0, 1, hpack(FIELDS)));
    assert.equal(await flood(socket, () => repeated(h2Frame(9, 0, 1, hpack({ a: 'b' })), 1_000)), true);
  });

  it('of frames that mean nothing end its connection', async () => {
    const socket = openRaw(server.port).resume();
    const odd = (turn: number) => repeated(h2Frame(0, 0, 2 * turn + 1, NOTHING), 100);
    assert.equal(await flood(socket, odd), true);
  });

  it('of open calls are refused beyond a number', async () => {
    const socket = openRaw(server.port);
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    socket.write(Buffer.concat(Array.from({ length: 1_050 }, (_, at) => h2Frame(1, 4, 2 * at + 1, hpack(FIELDS)))));
    const refused = () => framesOf(Buffer.concat(pieces)).filter(({ type }) => type === 3);
    while (refused().length < 50) await once(socket, 'data');
    assert.deepEqual(
      refused().map(({ stream }) => stream),
      Array.from({ length: 50 }, (_, at) => 2 * (1_000 + at) + 1),
    );
    socket.destroy();
  });
});

function framesOf(bytes: Buffer): Array<{ readonly type: number; readonly stream: number }> {
  const frames: Array<{ type: number; stream: number }> = [];
  for (let at = 0; at + 9 <= bytes.length; at += 9 + bytes.readUIntBE(at, 3))
    frames.push({ type: bytes.readUInt8(at + 3), stream: bytes.readUInt32BE(at + 5) });
  return frames;
}
