import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';

/** A domain whose names only the proxy knows: all of them lead to this machine. */
export const BEHIND_PROXY = 'corp.test';

export interface ConnectProxy {
  readonly port: number;
  /** What it was asked to connect to, such as `mcp.corp.test:8080`. */
  readonly targets: string[];
  /** Requests that were not CONNECT. */
  readonly others: string[];
  close(): Promise<void>;
}

/**
 * A proxy that knows CONNECT only, as squid and others do for most of their ports.
 *
 * @param options `login` of the form `user:password` that it wants; `answer` what it does instead of connecting
 */
export async function startConnectProxy(
  options: {
    readonly login?: string;
    readonly answer?: (socket: Socket) => void;
    readonly tls?: { readonly cert: string; readonly key: string };
  } = {},
): Promise<ConnectProxy> {
  const sockets = new Set<Socket>();
  const server: Server = options.tls === undefined ? createServer() : createSecureServer(options.tls);
  const targets: string[] = [];
  const others: string[] = [];
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => {
    others.push(`${request.method} ${request.url}`);
    response.writeHead(400).end();
  });
  server.on('connect', (request, socket: Socket, head: Buffer) => {
    socket.on('error', () => {});
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const { login } = options;
    const wanted = login === undefined ? undefined : `Basic ${Buffer.from(login).toString('base64')}`;
    if (request.headers['proxy-authorization'] !== wanted)
      return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n');
    targets.push(`${host}:${port}`);
    if (options.answer !== undefined) return options.answer(socket);
    if (!host.endsWith(`.${BEHIND_PROXY}`)) return socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
    const onward = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    sockets.add(onward);
    onward.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    targets,
    others,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
