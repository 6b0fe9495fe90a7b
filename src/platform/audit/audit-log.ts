import { type UserName, withUser } from '../../identity/user.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import type { AuditMetrics } from '../metrics.ts';
import { redact } from '../redact.ts';
import type { AuditEntry } from './audit-entry.ts';
import type { AuditSink } from './audit-sink.ts';
import { SinkQueue } from './sink-queue.ts';

export interface AuditLogDeps {
  readonly process: 'forward-auth' | 'relay';
  readonly log: Logger;
  /** Which names of a user are written; absent: none. */
  readonly names?: readonly UserName[];
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly metrics: AuditMetrics;
  /** From 0 to 1, for sampling. */
  readonly random?: () => number;
}

/** Characters of one text in a line: names come from strangers. */
const MAX_TEXT = 1_024;

/** Writes down who did what, to every configured sink, without making anybody wait. */
export class AuditLog {
  readonly #config: Config['audit'];
  readonly #deps: AuditLogDeps;
  readonly #queues: readonly SinkQueue[];

  constructor(config: Config['audit'], sinks: readonly AuditSink[], deps: AuditLogDeps) {
    this.#config = config;
    this.#deps = deps;
    const { log, metrics } = deps;
    for (const { name } of sinks) metrics.dropped.inc({ sink: name }, 0);
    this.#queues = sinks.map(
      (sink) =>
        new SinkQueue(sink, {
          limit: config.queue,
          most: config.whenFull === 'refuse' ? 2 * config.queue : config.queue,
          chain: config.chain,
          onDropped: (name, count) => metrics.dropped.inc({ sink: name }, count),
          onState: (name, error) => {
            if (error === undefined) log.info({ sink: name }, 'the audit log is written again');
            else log.error({ error, sink: name, whenFull: config.whenFull }, 'the audit log cannot be written');
          },
          gap: (count) => this.#line({ event: 'operator', outcome: 'missing', reason: `${count} lines were dropped` }),
        }),
    );
  }

  /** False where requests must be refused, because what they do could not be recorded. */
  get accepting(): boolean {
    return this.#config.whenFull === 'drop' || !this.#queues.some((queue) => queue.full);
  }

  /** Whether an allowed request is one of those that are recorded. */
  sampled(): boolean {
    const { sampleAllows } = this.#config;
    return sampleAllows >= 1 || (this.#deps.random ?? Math.random)() < sampleAllows;
  }

  record(entry: AuditEntry): void {
    const line = this.#line(entry);
    for (const queue of this.#queues) queue.push(line);
  }

  /** Writes what waits, and goes on. @param grace milliseconds */
  async flush(grace: number): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.flush(grace)));
  }

  /** Writes what waits. @param grace milliseconds */
  async close(grace: number): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.close(grace)));
  }

  #line(entry: AuditEntry): string {
    const time = new Date(this.#deps.now()).toISOString();
    const record = {
      time,
      process: this.#deps.process,
      ...(redact(withUser(entry, this.#deps.names ?? [])) as object),
    };
    return JSON.stringify(record, (_name, value: unknown) => written(value));
  }
}

/** Keys come from strangers as values do: arguments of a call are objects. */
function written(value: unknown): unknown {
  if (typeof value === 'string') return bounded(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [bounded(key), item]));
}

/** What a terminal or a line reader would obey is spelled out: a name must not look like another line. */
function bounded(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return short.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
