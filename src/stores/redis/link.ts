import { Cluster, Redis } from 'ioredis';
import { DependencyUnavailable } from '../../platform/errors.ts';
import type { Logger } from '../../platform/log.ts';
import type { StoreMetrics } from '../../platform/metrics.ts';
import { exemplarLabels, step } from '../../platform/tracing/current-span.ts';
import type { Tracing } from '../../platform/tracing/span.ts';
import { pauseBefore, type RedisTarget } from './connection-options.ts';
import { refusedWrite, WriteAccess } from './write-access.ts';

export type RedisClient = Redis | Cluster;
type Script = (...args: Array<string | number>) => Promise<unknown>;

/** The connection for commands. It reconnects by itself for ever; meanwhile every command fails at once. */
export class RedisLink {
  readonly client: RedisClient;
  /** Whether the last command was answered. */
  answering = false;
  readonly #log: Logger;
  readonly #metrics: StoreMetrics;
  readonly #timeout: number;
  readonly #tracing: Tracing | undefined;
  readonly #writes: WriteAccess;
  #told: 'nothing' | 'up' | 'down' = 'nothing';
  #closed = false;

  constructor(
    target: RedisTarget,
    options: { log: Logger; metrics: StoreMetrics; timeout: number; prefix: string; tracing?: Tracing | undefined },
  ) {
    this.#tracing = options.tracing;
    this.#log = options.log;
    this.#metrics = options.metrics;
    this.#timeout = options.timeout;
    this.#metrics.up.set(0);
    this.client = connectRedis(target, options.timeout);
    this.client.on('error', (error: Error) => this.#tell('down', error));
    this.client.on('close', () => this.#tell('down'));
    this.client.on('ready', () => this.#tell('up'));
    this.#writes = new WriteAccess(target, this.client, `${options.prefix}write-probe`, {
      regained: (elsewhere) => this.#regained(elsewhere),
    });
  }

  /** Why Redis takes no writes, as the code of its reply; undefined: it does. */
  get refusesWrites(): string | undefined {
    return this.#writes.refusal;
  }

  /** Resolves once connected, or after so many milliseconds. */
  async settled(atMost: number): Promise<void> {
    if (this.client.status === 'ready') return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, atMost);
      this.client.once('ready', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /**
   * Runs one operation of a store, which ends within the configured time.
   *
   * @throws DependencyUnavailable whatever went wrong: what Redis did with the command is unknown then
   */
  run<T>(operation: string, action: (client: RedisClient) => Promise<T>): Promise<T> {
    return step(
      this.#tracing,
      `redis ${operation}`,
      () => ({ kind: 'client', attributes: { 'db.system.name': 'redis', 'db.operation.name': operation } }),
      () => this.#run(operation, action),
    );
  }

  async #run<T>(operation: string, action: (client: RedisClient) => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    let timer: NodeJS.Timeout | undefined;
    try {
      // A cluster tries other nodes after a command's own time; this bounds the whole.
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${this.#timeout} ms`)), this.#timeout);
      });
      if (this.client.status !== 'ready') throw new Error('not connected');
      const answer = await Promise.race([action(this.client), late]);
      this.#heard(true);
      return answer;
    } catch (error) {
      const refusal = refusedWrite(error);
      this.#heard(refusal !== undefined);
      if (refusal !== undefined) this.#noteRefusal(refusal);
      throw new DependencyUnavailable('the session store', plainError(error));
    } finally {
      clearTimeout(timer);
      const value = (performance.now() - startedAt) / 1000;
      this.#metrics.duration.observe({ labels: { operation }, value, exemplarLabels: exemplarLabels() });
    }
  }

  /** A Lua script, sent once and then called by its hash. */
  script(name: string, numberOfKeys: number, lua: string): Script {
    this.client.defineCommand(name, { numberOfKeys, lua });
    const { client } = this;
    return (...args) =>
      (client as unknown as Record<string, Script>)[name]?.(...args) ?? Promise.reject(new Error(name));
  }

  close(): void {
    this.#closed = true;
    this.#writes.close();
    this.client.disconnect();
  }

  #noteRefusal(code: string): void {
    if (!this.#writes.refused(code)) return;
    this.#log.warn({ code }, 'the session store takes no writes; sessions are read, but signing in and out fails');
  }

  #regained(elsewhere: boolean): void {
    this.#log.info('the session store takes writes again');
    // Now, and not at the first refusal: until a new connection leads to a master, this one still answers reads.
    if (elsewhere && this.client instanceof Redis) this.client.disconnect(true);
  }

  #heard(answer: boolean): void {
    this.answering = answer;
    this.#metrics.up.set(answer ? 1 : 0);
  }

  #tell(state: 'up' | 'down', error?: Error): void {
    if (state === 'down') this.#heard(false);
    // `close` follows an error and says less than it.
    if (this.#closed || this.#told === state || (state === 'down' && error === undefined && this.#told === 'nothing'))
      return;
    this.#told = state;
    if (state === 'up') this.#log.info('connected to the session store');
    else
      this.#log.warn(
        { error: error && plainError(error) },
        'the session store is away; connecting again until it is back',
      );
  }
}

/** A client that connects again for ever. */
export function connectRedis({ server, cluster, common }: RedisTarget, timeout: number): RedisClient {
  if (cluster === undefined) return new Redis({ ...common, ...server });
  const { retryStrategy: _one, enableOfflineQueue: _two, ...redisOptions } = common;
  return new Cluster([...cluster], {
    redisOptions,
    // Without it commands fail while a node is met for the first time. `run` lets none in where the cluster is away.
    enableOfflineQueue: true,
    clusterRetryStrategy: pauseBefore,
    slotsRefreshTimeout: timeout,
    slotsRefreshInterval: 1_000,
    // As above: nothing is sent twice where the connection broke.
    retryDelayOnFailover: 0,
    // Certificates name hosts, not the addresses behind them.
    ...(common.tls !== undefined && { dnsLookup: (address, callback) => callback(null, address) }),
  });
}

/** Errors of ioredis carry the command with its arguments, the password's `AUTH` included: only the words are kept. */
export function plainError(error: unknown): Error {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const plain = new Error(text.replace(/, with args beginning with.*$/s, ''));
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (typeof code === 'string') Object.assign(plain, { code });
  return plain;
}
