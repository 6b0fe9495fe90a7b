import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';

/** TLS of both sides of a tap: that of the server behind it towards the proxy, and the proxy's towards that server. */
export interface TapTls {
  readonly ca: Buffer;
  readonly server: { readonly cert: Buffer; readonly key: Buffer };
  readonly client: { readonly cert: Buffer; readonly key: Buffer };
}

/** Who reads along on one connection. */
export interface Listener {
  sent(chunk: Buffer): void;
  answered?(chunk: Buffer): void;
  ended(): void;
}

/**
 * Stands between a proxy and what it asks, and hands every byte on, in both directions: a proxy of HTTP in this place would itself
 * refuse or repair some of what is looked for.
 *
 * @param to port of the server behind it
 */
export async function startByteTap(to: number, listen: () => Listener, tls?: TapTls) {
  const open = new Set<Socket>();
  const pass = (socket: Socket) => {
    const server =
      tls === undefined
        ? connect({ host: '127.0.0.1', port: to })
        : connectTls({ host: '127.0.0.1', port: to, ca: tls.ca, ...tls.client });
    const listener = listen();
    socket.on('data', (chunk) => listener.sent(chunk)).pipe(server);
    server.on('data', (chunk) => listener.answered?.(chunk)).pipe(socket);
    const end = () => {
      socket.destroy();
      server.destroy();
      if (open.delete(socket)) listener.ended();
    };
    open.add(socket);
    for (const side of [socket, server]) side.on('error', end).on('close', end);
  };
  const server =
    tls === undefined ? createServer(pass) : createTlsServer({ ...tls.server, ca: tls.ca, requestCert: true }, pass);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
