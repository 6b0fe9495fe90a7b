import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';

/** Where a connection to Redis breaks: before a command reaches it, or after it was done and before it was answered. */
export type Break = 'before' | 'after';

/** A connection to Redis in between that breaks at a chosen command, and then lets nobody through until it is mended. */
export interface RedisPipe {
  readonly port: number;
  /** Commands that tests count since the last `count`: those that read or write records, not heartbeats and announcements. */
  count(): number;
  /** @param at the counted command at which it breaks, from 1 */
  breakAt(at: number, where: Break): void;
  /** Whether it broke since. */
  broken(): boolean;
  mend(): void;
  stop(): Promise<void>;
}

/** Commands of one process in flight at the same time come in one packet, and break together. */
const RECORD = /session|limit:|lock/;
const REST = /subscribe|publish|ping\r|info\r|hello\r|client\r/i;

export async function startRedisPipe(targetPort: number): Promise<RedisPipe> {
  const sockets = new Set<Socket>();
  let counted = 0;
  let planned: { at: number; where: Break } | undefined;
  let away = false;
  const cut = () => {
    away = true;
    planned = undefined;
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((near) => {
    if (away) return void near.destroy();
    const far = createConnection(targetPort, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => sockets.delete(socket));
    }
    // A break that was mended meanwhile is none.
    let answerless: typeof planned;
    near.on('data', (chunk) => {
      const text = chunk.toString('latin1');
      if (RECORD.test(text) && !REST.test(text)) {
        counted += 1;
        if (planned !== undefined && counted >= planned.at) {
          if (planned.where === 'before') return cut();
          answerless = planned;
        }
      }
      far.write(chunk);
    });
    far.on('data', (chunk) => (answerless !== undefined && answerless === planned ? cut() : near.write(chunk)));
    near.once('close', () => far.destroy());
    far.once('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    count: () => {
      const now = counted;
      counted = 0;
      return now;
    },
    breakAt: (at, where) => {
      counted = 0;
      planned = { at, where };
    },
    broken: () => away,
    mend: () => {
      away = false;
      planned = undefined;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
