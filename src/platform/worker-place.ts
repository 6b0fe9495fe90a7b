import cluster from 'node:cluster';
import { hostname } from 'node:os';

/** What the primary tells a worker when it forks it. */
export interface WorkerPlace {
  /** From 1; the process that replaces a worker gets its number. */
  readonly number: number;
  /** Path of the Unix socket on which the worker answers what the primary asks for operators and metrics. */
  readonly socket: string;
}

/** What operators call this replica: the machine or container, and which of its workers. */
export function replicaName(worker: WorkerPlace | undefined): string {
  return worker === undefined ? hostname() : `${hostname()}, worker ${worker.number}`;
}

const VARIABLE = 'WORKER_PLACE';

export function placeVariables(place: WorkerPlace): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(place) };
}

/** Undefined in a process that is no worker. Programs that the relay starts do not inherit it. */
export function takePlace(): WorkerPlace | undefined {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  return cluster.isWorker && text !== undefined ? (JSON.parse(text) as WorkerPlace) : undefined;
}

/** What the primary tells its workers when it is told to stop itself. */
export interface StopMessage {
  readonly type: 'postern:stop';
  readonly reason: string;
}

export function isStopMessage(message: unknown): message is StopMessage {
  return typeof message === 'object' && message !== null && 'type' in message && message.type === 'postern:stop';
}
