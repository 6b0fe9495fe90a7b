import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from '../log.ts';
import type { TracingMetrics } from '../metrics.ts';
import { withoutSpan } from './current-span.ts';

/** Spans in one request to the collector. */
const BATCH = 512;
/** Milliseconds that a span waits for others. */
const DELAY = 1_000;
/** `ExportResultCode.SUCCESS` of OpenTelemetry. */
const SUCCESS = 0;

export interface SpanQueueOptions {
  /** Spans that may wait; what more comes is dropped and counted. */
  readonly max: number;
  readonly metrics: TracingMetrics;
  readonly log: Logger;
}

/** Takes spans at once and sends them when it can: one batch at a time, and no request ever waits for it. */
export class SpanQueue {
  readonly #exporter: SpanExporter;
  readonly #options: SpanQueueOptions;
  #waiting: ReadableSpan[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;
  #away = false;
  #closed = false;

  constructor(exporter: SpanExporter, options: SpanQueueOptions) {
    this.#exporter = exporter;
    this.#options = options;
  }

  add(span: ReadableSpan): void {
    if (this.#closed || this.#waiting.length >= this.#options.max) return void this.#count('dropped', 1);
    this.#waiting.push(span);
    if (this.#sending !== undefined) return;
    if (this.#waiting.length >= BATCH) this.#send();
    else this.#timer ??= withoutSpan(() => setTimeout(() => this.#send(), DELAY).unref());
  }

  /** Sends what waits and ends, at the latest after so many milliseconds. */
  async close(grace: number): Promise<void> {
    const all = async () => {
      while (this.#waiting.length > 0 || this.#sending !== undefined) {
        this.#send();
        await this.#sending;
        if (this.#away) return;
      }
    };
    let late: NodeJS.Timeout | undefined;
    const end = new Promise<void>((resolve) => {
      late = setTimeout(resolve, grace);
    });
    await Promise.race([all(), end]);
    this.#closed = true;
    clearTimeout(late);
    clearTimeout(this.#timer);
    this.#count('dropped', this.#waiting.length);
    this.#waiting = [];
    void this.#exporter.shutdown().catch(() => {});
  }

  #send(): void {
    if (this.#sending !== undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#waiting.splice(0, BATCH);
    if (batch.length === 0) return;
    this.#sending = withoutSpan(() => this.#export(batch)).then((problem) => {
      this.#sending = undefined;
      this.#settle(batch.length, problem);
      // After a failure as after any other batch: what comes meanwhile fills the queue, and no more.
      if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#send(), DELAY).unref();
    });
  }

  #export(batch: ReadableSpan[]): Promise<Error | undefined> {
    return new Promise((resolve) => {
      try {
        this.#exporter.export(batch, ({ code, error }) =>
          resolve(code === SUCCESS ? undefined : (error ?? new Error('the collector took nothing'))),
        );
      } catch (error) {
        resolve(error as Error);
      }
    });
  }

  #settle(spans: number, problem: Error | undefined): void {
    const { log } = this.#options;
    this.#count(problem === undefined ? 'sent' : 'failed', spans);
    if (problem !== undefined && !this.#away)
      log.warn({ error: problem }, 'traces cannot be sent to the collector; the newest wait and are tried again');
    if (problem === undefined && this.#away) log.info('traces are sent to the collector again');
    this.#away = problem !== undefined;
  }

  #count(outcome: 'sent' | 'failed' | 'dropped', spans: number): void {
    this.#options.metrics.spans.inc({ outcome }, spans);
  }
}
