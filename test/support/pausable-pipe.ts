import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';

/** A TCP connection in between that can fall silent without closing, as a network that drops packets does. */
export interface PausablePipe {
  readonly port: number;
  /** Milliseconds that everything takes longer in each direction. */
  delay: number;
  pause(): void;
  /** Ends all connections and takes no new one. */
  cut(): void;
  resume(): void;
  stop(): Promise<void>;
}

export async function startPipe(targetPort: number): Promise<PausablePipe> {
  const sockets = new Set<Socket>();
  let silent = false;
  let closed = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // Whoever is at the other end sees the close; there is nobody else to tell.
    socket.on('error', () => {});
  };
  const server = createServer((near) => {
    if (closed) return near.destroy();
    const far = createConnection(targetPort, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      keep(from);
      from.on('data', (chunk) => {
        if (pipe.delay === 0) to.write(chunk);
        else setTimeout(() => to.write(chunk), pipe.delay);
      });
      from.on('close', () => to.destroy());
      if (silent) from.pause();
    }
    return near;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pipe: PausablePipe = {
    port: (server.address() as AddressInfo).port,
    delay: 0,
    pause: () => {
      silent = true;
      for (const socket of sockets) socket.pause();
    },
    cut: () => {
      closed = true;
      for (const socket of sockets) socket.destroy();
    },
    resume: () => {
      silent = false;
      closed = false;
      for (const socket of sockets) socket.resume();
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return pipe;
}
