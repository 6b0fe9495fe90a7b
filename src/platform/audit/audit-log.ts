import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import type { AuditMetrics } from '../metrics.ts';
import type { AuditEntry } from './audit-entry.ts';
import { type AuditLineDeps, auditLine } from './audit-line.ts';
import type { AuditSink } from './audit-sink.ts';
import { SinkQueue } from './sink-queue.ts';

export interface AuditLogDeps extends AuditLineDeps {
  readonly log: Logger;
  readonly metrics: AuditMetrics;
  /** From 0 to 1, for sampling. */
  readonly random?: () => number;
}

/** Writes down who did what, to every configured sink, without making anybody wait. */
export class AuditLog {
  readonly #config: Config['audit'];
  readonly #deps: AuditLogDeps;
  readonly #queues: ReadonlyArray<{ readonly queue: SinkQueue; readonly names: AuditSink['names'] }>;

  constructor(config: Config['audit'], sinks: readonly AuditSink[], deps: AuditLogDeps) {
    this.#config = config;
    this.#deps = deps;
    const { log, metrics } = deps;
    for (const { name } of sinks) metrics.dropped.inc({ sink: name }, 0);
    this.#queues = sinks.map((sink) => ({
      names: sink.names,
      queue: new SinkQueue(sink, {
        limit: config.maxQueue,
        most: config.whenFull === 'refuse' ? 2 * config.maxQueue : config.maxQueue,
        chain: config.chain,
        onDropped: (name, count) => metrics.dropped.inc({ sink: name }, count),
        onState: (name, error) => {
          if (error === undefined) log.info({ sink: name }, 'the audit log is written again');
          else log.error({ error, sink: name, whenFull: config.whenFull }, 'the audit log cannot be written');
        },
        gap: (count) => this.#line({ event: 'operator', outcome: 'missing', reason: `${count} lines were dropped` }),
      }),
    }));
  }

  /** False where requests must be refused, because what they do could not be recorded. */
  get accepting(): boolean {
    return this.#config.whenFull === 'drop' || !this.#queues.some(({ queue }) => queue.full);
  }

  /** Whether an allowed request is one of those that are recorded. */
  sampled(): boolean {
    const { sampleAllows } = this.#config;
    return sampleAllows >= 1 || (this.#deps.random ?? Math.random)() < sampleAllows;
  }

  record(entry: AuditEntry): void {
    let common: string | undefined;
    for (const { queue, names } of this.#queues) {
      if (names === undefined) common ??= this.#line(entry);
      queue.push(names === undefined ? (common as string) : this.#line(entry, names));
    }
  }

  /** Writes what waits, and goes on. @param grace milliseconds */
  async flush(grace: number): Promise<void> {
    await Promise.all(this.#queues.map(({ queue }) => queue.flush(grace)));
  }

  /** Writes what waits. @param grace milliseconds */
  async close(grace: number): Promise<void> {
    await Promise.all(this.#queues.map(({ queue }) => queue.close(grace)));
  }

  #line(entry: AuditEntry, names = this.#deps.names): string {
    return auditLine(entry, { ...this.#deps, ...(names && { names }) });
  }
}
