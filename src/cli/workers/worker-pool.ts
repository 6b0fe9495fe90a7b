import cluster, { type Worker } from 'node:cluster';
import { join } from 'node:path';
import type { ConfigDocument } from '../../platform/config/config-document.ts';
import type { Logger } from '../../platform/log.ts';
import {
  type ConfigurationMessage,
  configurationMessage,
  isConfigurationMessage,
  isStartMessage,
  placeVariables,
  type StopMessage,
} from '../../platform/worker-place.ts';
import { isReadyMessage, type ReadyMessage } from '../../quickstart/ready-message.ts';

/** Milliseconds; a worker that lived longer is replaced at once. */
const SETTLED = 10_000;
/** Milliseconds before the first replacement of one that did not, and at most. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

interface Running {
  readonly worker: Worker;
  readonly socket: string;
  readonly since: number;
  ready: boolean;
  /** It is to read its configuration once more when it is ready: until then it may not have read the file yet. */
  reload: boolean;
}

export interface WorkerPoolOptions {
  readonly count: number;
  /** Folder for the sockets of workers, which nobody else may read. */
  readonly folder: string;
  /** What the primary has read. */
  readonly document: ConfigDocument | undefined;
  readonly log: Logger;
}

/** The workers of one process, each replaced when it ends. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #running = new Map<number, Running>();
  readonly #pauses = new Map<number, number>();
  readonly #restarts = new Map<number, NodeJS.Timeout>();
  #started: (message: ReadyMessage) => void = () => {};
  #failed: (code: number) => void = () => {};
  #empty: () => void = () => {};
  #complete = false;
  /** By which the workers run. */
  #configuration: ConfigurationMessage;
  #stopping = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#configuration = configurationMessage(options.document);
  }

  /**
   * Starts all workers.
   *
   * @returns what they said when all could serve; or the exit code of the first that could not
   */
  async start(): Promise<ReadyMessage | number> {
    const outcome = new Promise<ReadyMessage | number>((resolve) => {
      this.#started = resolve;
      this.#failed = resolve;
    });
    for (let number = 1; number <= this.#options.count; number++) this.#fork(number);
    const found = await outcome;
    this.#complete = true;
    return found;
  }

  /** Sockets of the workers that serve. */
  sockets(): string[] {
    return [...this.#running.values()].filter(({ ready }) => ready).map(({ socket }) => socket);
  }

  reload(): void {
    for (const running of this.#running.values()) {
      if (running.ready) running.worker.process.kill('SIGHUP');
      else running.reload = true;
    }
  }

  /** Tells each worker why; a message, because a terminal sends its signal to all of them already. */
  stop(reason: string): void {
    this.#stopping = true;
    for (const timer of this.#restarts.values()) clearTimeout(timer);
    const message: StopMessage = { type: 'postern:stop', reason };
    for (const { worker } of this.#running.values()) if (worker.isConnected()) worker.send(message);
  }

  kill(): void {
    for (const { worker } of this.#running.values()) worker.process.kill('SIGKILL');
  }

  /** Resolves when no worker runs. */
  ended(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#empty = resolve;
    });
  }

  #fork(number: number): void {
    const { folder, log } = this.#options;
    const since = performance.now();
    // Not the name of the one before, whose file may still be there.
    const socket = join(folder, `${number}-${Math.round(since)}.sock`);
    const worker = cluster.fork(placeVariables({ number, socket }));
    const running: Running = { worker, socket, since, ready: false, reload: false };
    this.#running.set(number, running);
    worker.on('message', (message) => {
      if (isStartMessage(message)) worker.send(this.#configuration);
      if (isConfigurationMessage(message)) this.#take(message);
      if (!isReadyMessage(message)) return;
      running.ready = true;
      worker.send(this.#configuration);
      if (running.reload) worker.process.kill('SIGHUP');
      if (this.#complete) log.info({ worker: number, pid: worker.process.pid }, 'a worker was replaced');
      else if (this.sockets().length === this.#options.count) this.#started(message);
    });
    worker.on('error', (error) => log.warn({ error, worker: number }, 'a worker cannot be told something'));
    worker.on('exit', (code, signal) => this.#onExit(number, running, signal ?? code));
  }

  /** All are told in the order in which it was read, and so end with the same: one may have read the file before a change, one after it. */
  #take(message: ConfigurationMessage): void {
    if (message.file?.text === this.#configuration.file?.text) return;
    this.#configuration = message;
    for (const { worker, ready } of this.#running.values()) if (ready && worker.isConnected()) worker.send(message);
  }

  #onExit(number: number, { since }: Running, how: number | string): void {
    const { log } = this.#options;
    this.#running.delete(number);
    if (this.#running.size === 0) this.#empty();
    if (this.#stopping) return;
    if (!this.#complete) {
      this.#stopping = true;
      this.#failed(typeof how === 'number' && how !== 0 ? how : 1);
      return;
    }
    const settled = performance.now() - since > SETTLED;
    const pause = settled ? 0 : (this.#pauses.get(number) ?? FIRST_PAUSE);
    if (settled) this.#pauses.delete(number);
    else this.#pauses.set(number, Math.min(LONGEST_PAUSE, 2 * pause));
    log.error({ worker: number, exit: how, pause }, 'a worker ended; another one takes its place');
    this.#restarts.set(
      number,
      setTimeout(() => this.#fork(number), pause),
    );
  }
}
