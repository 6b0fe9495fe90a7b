import { createConnection, type Socket } from 'node:net';
import { connect as connectEncrypted } from 'node:tls';
import {
  AbstractConnector,
  type Redis,
  type RedisOptions,
  type SentinelAddress,
  type SentinelConnectionOptions,
  SentinelConnector,
  type StandaloneConnectionOptions,
} from 'ioredis';

/** As a subclass finds it, though the types call it private. */
interface SentinelClients {
  connectToSentinel(address: Partial<SentinelAddress>, options?: RedisOptions): Redis;
}

/**
 * Connects to one server, of a cluster or alone. The client listens to one error of a socket; a TLS socket that refused
 * the server's certificate, and was destroyed, emits the server's alert as a second one (Node's `TLSSocket`), which would
 * end the process.
 */
export class ServerConnector extends AbstractConnector {
  readonly #options: StandaloneConnectionOptions;

  constructor(options: unknown) {
    const given = options as StandaloneConnectionOptions;
    super(given.disconnectTimeout ?? 2_000);
    this.#options = given;
  }

  async connect(): Promise<Socket> {
    this.connecting = true;
    // `disconnect` may follow in the same turn.
    await Promise.resolve();
    if (!this.connecting) throw new Error('Connection is closed.');
    const { host = '127.0.0.1', port = 6379, family, tls } = this.#options;
    const address = { host, port, ...(family !== undefined && { family }) };
    const stream = heard(tls === undefined ? createConnection(address) : connectEncrypted({ ...address, ...tls }));
    stream.once('error', (error) => {
      this.firstError = error;
    });
    this.stream = stream;
    return stream;
  }
}

/** Connects to the master that Sentinel names, with the same care towards it and every Sentinel. */
export class MasterConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
    const clients = this as unknown as SentinelClients;
    const connectToSentinel = clients.connectToSentinel.bind(this);
    clients.connectToSentinel = (address, more) => connectToSentinel(address, { ...more, Connector: ServerConnector });
  }

  override async connect(tell: (type: string, error: Error) => void): Promise<Socket> {
    return heard((await super.connect(tell)) as Socket);
  }
}

function heard<Stream extends Socket>(stream: Stream): Stream {
  return stream.on('error', () => {});
}
