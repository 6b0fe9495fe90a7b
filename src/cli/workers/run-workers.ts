import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { ConfigDocument } from '../../platform/config/config-document.ts';
import { drain, listen } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';
import type { ReadyMessage } from '../../quickstart/ready-message.ts';
import { stopSignal } from '../stop-signal.ts';
import { createPrimaryListener } from './primary-listener.ts';
import { socketFolder } from './socket-folder.ts';
import { WorkerPool } from './worker-pool.ts';

export interface WorkersOptions {
  readonly count: number;
  /** What the primary has read. */
  readonly document: ConfigDocument | undefined;
  readonly internalListen: { readonly host: string; readonly port: number };
  /** Milliseconds after which workers that were told to stop are killed. */
  readonly stopTime: number;
  readonly log: Logger;
}

/**
 * Runs a process as several workers that share its port, until it is told to stop.
 *
 * @returns 0, or the exit code of a worker that could not start
 * @throws PosternError where the internal address is taken, or no folder for sockets can be made
 */
export async function runWorkers({ count, document, internalListen, stopTime, log }: WorkersOptions): Promise<number> {
  const signal = stopSignal();
  const folder = await socketFolder();
  const pool = new WorkerPool({ count, folder, document, log });
  process.on('SIGHUP', () => pool.reload());
  const server = createPrimaryListener(() => pool.sockets(), log);
  const end = async (reason: string) => {
    pool.stop(reason);
    const ended = pool.ended();
    if (!(await Promise.race([ended.then(() => true), delay(stopTime, false, { ref: false })]))) pool.kill();
    await ended;
    await drain(server, 1_000);
    await rm(folder, { recursive: true, force: true });
    signal.dispose();
  };
  try {
    const internalPort = await listen(server, internalListen);
    const started = await Promise.race([pool.start(), signal.stopped]);
    if (typeof started === 'object') {
      const ready: ReadyMessage = { ...started, internalPort };
      log.info({ workers: count, port: ready.port, internalPort }, 'all workers serve');
      process.send?.(ready);
      process.channel?.unref();
    }
    const reason = typeof started === 'number' ? 'a worker could not start' : await signal.stopped;
    log.info({ reason }, 'stopping all workers');
    await end(reason);
    if (process.connected) process.disconnect();
    return typeof started === 'number' ? started : 0;
  } catch (error) {
    await end('the start failed');
    throw error;
  }
}
