import { Cluster, Redis } from 'ioredis';
import { pauseBefore, type RedisTarget } from './connection-options.ts';
import type { RedisClient } from './link.ts';

interface Handlers {
  readonly message: (channel: string, message: string) => void;
  /** The connection is gone: what was said since is lost. */
  readonly lost: () => void;
}

/**
 * A connection that listens, made anew whenever it ends. On a cluster it goes to any node, as each passes on what was
 * published at another; the client's own subscriber does not tell when it changed the node and missed something.
 */
export class Subscription {
  readonly #target: RedisTarget;
  readonly #commands: RedisClient;
  readonly #channels: readonly string[];
  readonly #handlers: Handlers;
  #client: Redis | undefined;
  #timer: NodeJS.Timeout | undefined;
  #attempt = 0;
  #closed = false;

  constructor(target: RedisTarget, commands: RedisClient, channels: readonly string[], handlers: Handlers) {
    this.#target = target;
    this.#commands = commands;
    this.#channels = channels;
    this.#handlers = handlers;
    this.#open();
  }

  /** Ends this connection for another one. */
  renew(): void {
    this.#client?.disconnect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#client?.disconnect();
  }

  #open(): void {
    const { common, server } = this.#target;
    const { socketTimeout: _, ...options } = common;
    const client = new Redis({
      ...options,
      ...(server ?? this.#anyNode()),
      retryStrategy: null,
      autoResubscribe: false,
    });
    this.#client = client;
    // It says no more than the connection for commands, which tells in the log.
    client.on('error', () => {});
    client.on('message', this.#handlers.message);
    client.on('ready', () => {
      client.subscribe(...this.#channels).then(
        () => {
          this.#attempt = 0;
        },
        () => client.disconnect(),
      );
    });
    client.once('close', () => this.#handlers.lost());
    client.once('end', () => this.#again(client));
  }

  #again(client: Redis): void {
    client.removeAllListeners('message');
    if (this.#closed || this.#client !== client) return;
    this.#timer = setTimeout(() => this.#open(), pauseBefore(this.#attempt++));
    this.#timer.unref();
  }

  #anyNode(): { host: string; port: number } {
    const known = this.#commands instanceof Cluster ? this.#commands.nodes('all').map((node) => node.options) : [];
    const nodes = [...known, ...(this.#target.cluster ?? [])];
    // First one that the cluster knows of, later any.
    const choice = this.#attempt === 0 && known.length > 0 ? known : nodes;
    const { host = '127.0.0.1', port = 6379 } = choice[Math.floor(Math.random() * choice.length)] ?? {};
    return { host, port };
  }
}
