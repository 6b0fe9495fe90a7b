import cluster from 'node:cluster';
import { hostname } from 'node:os';
import type { ConfigDocument } from './config/config-document.ts';
import { isRecord } from './is-record.ts';

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

/** A worker that starts asks for the configuration: what it was told before its modules are loaded would be lost. */
export interface StartMessage {
  readonly type: 'postern:start';
}

export function isStartMessage(message: unknown): message is StartMessage {
  return isOfType(message, 'postern:start');
}

/**
 * The configuration by which the workers run: told by a worker that has read one, to all others, and to a worker that starts, so that
 * each runs by what the others do although the file changes, and none reads what the others refuse.
 */
export interface ConfigurationMessage {
  readonly type: 'postern:configuration';
  /** Absent: there is no file. */
  readonly file?: { readonly path: string; readonly text: string };
}

export function configurationMessage(document: ConfigDocument | undefined): ConfigurationMessage {
  if (document === undefined) return { type: 'postern:configuration' };
  const { path, text } = document;
  return { type: 'postern:configuration', file: { path, text } };
}

export function isConfigurationMessage(message: unknown): message is ConfigurationMessage {
  return isOfType(message, 'postern:configuration');
}

/** What the primary tells its workers when it is told to stop itself. */
export interface StopMessage {
  readonly type: 'postern:stop';
  readonly reason: string;
}

export function isStopMessage(message: unknown): message is StopMessage {
  return isOfType(message, 'postern:stop');
}

function isOfType(message: unknown, type: string): boolean {
  return isRecord(message) && message.type === type;
}
