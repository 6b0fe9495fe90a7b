import { once } from 'node:events';
import { type ClientHttp2Session, connect } from 'node:http2';
import { connect as connectSocket, type Socket } from 'node:net';
import type { Method } from '../../../../src/platform/grpc/call.ts';
import type { ConnectionTimes } from '../../../../src/platform/grpc/connection.ts';
import { type GrpcServer, startGrpcServer } from '../../../../src/platform/grpc/grpc-server.ts';
import { h2Frame, PREFACE } from '../../../support/h2-frames.ts';

/** Bytes. */
export const MAX_MESSAGE = 1_000;
export const ECHO = '/test.Test/Echo';

/** A server on a port of its own with one method that says what it is told, and others. */
export function startTestServer(
  methods: Readonly<Record<string, Method>> = {},
  times?: Partial<ConnectionTimes>,
): Promise<GrpcServer> {
  const echo: Method = (message, call) => call.answer(message);
  return startGrpcServer({ host: '127.0.0.1', port: 0 }, 'test', {
    methods: new Map([[ECHO, echo], ...Object.entries(methods)]),
    maxMessage: MAX_MESSAGE,
    times,
  });
}

export async function openSession(port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  await once(session, 'connect');
  return session;
}

/** A connection on which frames are written by hand. */
export function openRaw(port: number): Socket {
  const socket = connectSocket(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(Buffer.concat([PREFACE, h2Frame(4, 0, 0, Buffer.alloc(0))]));
  return socket;
}
