import { type Context, SpanStatusCode, TraceFlags, trace } from '@opentelemetry/api';
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace';

/** What this process knows of one trace. */
interface LocalTrace {
  /** The span that began it here. */
  readonly first: object;
  /** Ended spans, until it is known whether they are kept. */
  waiting: ReadableSpan[];
  kept: boolean;
  over: boolean;
}

/** Spans of one request that wait for its end; what more there are is not kept. */
const MAX_WAITING = 64;

/**
 * Decides what is kept when it is known how it ended: everything that is sampled, and of the rest the traces in which something
 * was refused or failed. A sampler alone decides at the beginning, when that is not known yet.
 */
export class TailSampling implements SpanProcessor {
  readonly #add: (span: ReadableSpan) => void;
  /** By the span's object, so that a forgotten span leaves nothing. */
  readonly #traces = new WeakMap<object, LocalTrace>();

  constructor(add: (span: ReadableSpan) => void) {
    this.#add = add;
  }

  onStart(span: ReadableSpan, parentContext: Context): void {
    const parent = trace.getSpan(parentContext);
    const known = parent && this.#traces.get(parent);
    const sampled = (span.spanContext().traceFlags & TraceFlags.SAMPLED) !== 0;
    this.#traces.set(span, known ?? { first: span, waiting: [], kept: sampled, over: false });
  }

  /** @param span as it was started */
  keep(span: object): void {
    const local = this.#traces.get(span);
    if (local !== undefined) local.kept = true;
  }

  onEnd(span: ReadableSpan): void {
    const local = this.#traces.get(span);
    if (local === undefined) return;
    if (span.status.code === SpanStatusCode.ERROR) local.kept = true;
    local.over ||= span === local.first;
    if (local.kept) {
      for (const waiting of local.waiting) this.#add(waiting);
      local.waiting = [];
      this.#add(span);
    } else if (local.over) local.waiting = [];
    else if (local.waiting.length < MAX_WAITING) local.waiting.push(span);
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}
