import { Cluster, Redis } from 'ioredis';
import { pauseBefore, type RedisTarget } from './connection-options.ts';
import type { RedisClient } from './link.ts';

/**
 * Replies of a server that answers but takes no writes: a replica, one without memory or disk, a master without enough
 * replicas. Older servers wrap the reply of a script in another one. https://redis.io/docs/latest/develop/reference/protocol-spec/
 */
const REFUSED_WRITE = /\b(READONLY|MASTERDOWN|OOM|MISCONF|NOREPLICAS|NOGOODSLAVE)\b/;
/** Of these, another server may be the one to write to. */
const REPLICA = /\b(READONLY|MASTERDOWN)\b/;

/** @returns the code of the reply where the server answers and takes no writes */
export function refusedWrite(error: unknown): string | undefined {
  if (!(error instanceof Error) || !/Reply/.test(error.name)) return undefined;
  return REFUSED_WRITE.exec(error.message)?.[1];
}

interface Handlers {
  /** Writes are taken again. @param elsewhere by a server that a new connection leads to */
  readonly regained: (elsewhere: boolean) => void;
}

/**
 * Whether Redis takes writes. A write that is refused says nothing about reads, so the connection stays and sessions are
 * answered from it; meanwhile one write at a time is tried, after a fail-over over a connection of its own, because the
 * address or Sentinel may lead to another server by then.
 */
export class WriteAccess {
  readonly #target: RedisTarget;
  readonly #client: RedisClient;
  readonly #key: string;
  readonly #handlers: Handlers;
  #refusal: string | undefined;
  #attempt = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param key that is written to find out */
  constructor(target: RedisTarget, client: RedisClient, key: string, handlers: Handlers) {
    this.#target = target;
    this.#client = client;
    this.#key = key;
    this.#handlers = handlers;
  }

  /** The code of the reply to the last write that was refused; undefined: writes are taken, as far as known. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** @param code as `refusedWrite` gives it. @returns whether that is new */
  refused(code: string): boolean {
    const first = this.#refusal === undefined;
    this.#refusal = code;
    if (first) {
      this.#attempt = 0;
      this.#tryLater();
    }
    return first;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #tryLater(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#try(), pauseBefore(this.#attempt++));
    this.#timer.unref();
  }

  async #try(): Promise<void> {
    const elsewhere = REPLICA.test(this.#refusal ?? '') && !(this.#client instanceof Cluster);
    try {
      if (elsewhere) await this.#writeAnew();
      else await this.#write(this.#client);
    } catch (error) {
      this.#refusal = refusedWrite(error) ?? this.#refusal;
      return this.#tryLater();
    }
    this.#refusal = undefined;
    if (!this.#closed) this.#handlers.regained(elsewhere);
  }

  async #writeAnew(): Promise<void> {
    const { common, server } = this.#target;
    const client = new Redis({ ...common, ...server, retryStrategy: null, lazyConnect: true });
    // The attempt itself rejects.
    client.on('error', () => {});
    try {
      await client.connect();
      await this.#write(client);
    } finally {
      client.disconnect();
    }
  }

  #write(client: RedisClient): Promise<unknown> {
    return client.set(this.#key, '1', 'PX', 1_000);
  }
}
