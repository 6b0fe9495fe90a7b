import { createSecureServer, createServer, type IncomingHttpHeaders, type ServerHttp2Session } from 'node:http2';
import type { Server, Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { closePort, listen } from '../http.ts';
import type { ListenerCredentials } from '../tls.ts';
import { type Method, openCall, refuse, refuseCall } from './call.ts';
import { CONNECTION_TIMES, Connection, type ConnectionTimes } from './connection.ts';
import { CallFailure, STATUS } from './status.ts';

const NO_METHOD = new CallFailure(STATUS.UNIMPLEMENTED, 'there is no such method');

/** What one client may do on one connection. Node ends a connection that floods beyond it. */
const LIMITS = {
  settings: {
    enablePush: false,
    /** A client with more to ask opens a second connection. */
    maxConcurrentStreams: 1_000,
    /** Bytes of the fields of a call, which are the caller's own; those of the request that it asks about are in its message. */
    maxHeaderListSize: 16 * 1024,
  },
  maxHeaderListPairs: 100,
  /** Megabytes that Node keeps for one connection: answers that its client does not read. */
  maxSessionMemory: 32,
  maxSettings: 32,
  maxOutstandingPings: 10,
  maxOutstandingSettings: 10,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  /** Milliseconds for a client that speaks no HTTP/2 to go. */
  unknownProtocolTimeout: 1_000,
  strictFieldWhitespaceValidation: true,
};

export interface GrpcServerOptions {
  /** By path, such as `/grpc.health.v1.Health/Check`. */
  readonly methods: ReadonlyMap<string, Method>;
  /** Bytes. */
  readonly maxMessage: number;
  /** Absent: plain text, for the same machine or a network of one's own. */
  readonly tls?: Pick<ListenerCredentials, 'serverOptions' | 'onChange'> | undefined;
  readonly times?: Partial<ConnectionTimes> | undefined;
}

export interface GrpcServer {
  readonly port: number;
  /**
   * Takes no more connections and calls, and ends.
   *
   * @param grace milliseconds until calls that still run are cut
   */
  close(grace: number): Promise<void>;
}

/**
 * gRPC over HTTP/2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) for calls with one message, with a bound
 * on everything that a client can make long, large or many.
 *
 * @param key of the address in the configuration
 * @throws PosternError where the port is taken
 */
export async function startGrpcServer(
  address: { readonly host: string; readonly port: number },
  key: string,
  { methods, maxMessage, tls, times }: GrpcServerOptions,
): Promise<GrpcServer> {
  const server: Server = tls === undefined ? createServer(LIMITS) : overTls(tls);
  const sockets = new Set<Socket>();
  const connections = new Set<Connection>();
  let closing = false;
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('session', (session: ServerHttp2Session) => {
    const connection = new Connection(session, { ...CONNECTION_TIMES, ...times });
    connections.add(connection);
    session.on('close', () => connections.delete(connection));
    session.on('stream', (stream, metadata) => {
      stream.on('error', ignore);
      const refusal = notGrpc(metadata);
      if (refusal !== undefined) return refuse(stream, { ':status': refusal });
      const path = metadata[':path'] ?? '';
      const method = methods.get(path);
      if (method !== undefined) return openCall(stream, metadata, { connection, method, maxMessage });
      refuseCall(stream, NO_METHOD);
    });
    if (closing) connection.end();
  });
  const port = await listen(server, address, key);
  return {
    port,
    close: async (grace) => {
      closing = true;
      const cut = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, grace);
      const closed = await closePort(server, grace);
      for (const connection of connections) connection.end();
      await closed.all;
      clearTimeout(cut);
    },
  };
}

/** Node tells of each stream that ends otherwise than well; its call is over, and there is nothing to be done. */
function ignore(): void {}

/** @returns the HTTP status for what is no call */
function notGrpc({ ':method': method, 'content-type': type = '' }: IncomingHttpHeaders): number | undefined {
  if (method !== 'POST') return 405;
  return /^application\/grpc(?:\+proto)?(?:;|$)/.test(type) ? undefined : 415;
}

function overTls(tls: Pick<ListenerCredentials, 'serverOptions' | 'onChange'>): Server {
  const server: TlsServer = createSecureServer({ ...tls.serverOptions(), ...LIMITS, ALPNProtocols: ['h2'] });
  tls.onChange((context) => server.setSecureContext(context));
  return server;
}
