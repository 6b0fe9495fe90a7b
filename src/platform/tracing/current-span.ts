import { AsyncLocalStorage } from 'node:async_hooks';
import type { Span, SpanOptions, Tracing } from './span.ts';

/** The span of what is going on. Nothing is ever put in where traces are off, and then Node keeps no context either. */
const running = new AsyncLocalStorage<Span>();

/** @returns undefined where nothing is traced, or what was is over, as in timers that outlive their request */
export function currentSpan(): Span | undefined {
  const span = running.getStore();
  return span?.live === true ? span : undefined;
}

/** Everything that `work` does, now and later, belongs to the span. */
export function within<T>(span: Span, work: () => T): T {
  return running.run(span, work);
}

/** For what goes on after the request that begins it, such as a connection that others will use. */
export function withoutSpan<T>(work: () => T): T {
  return running.getStore() === undefined ? work() : running.exit(work);
}

/** The fields of log lines that lead to the trace. */
export function spanFields(): Record<string, string> {
  const span = running.getStore();
  return span === undefined ? {} : { trace_id: span.traceId, span_id: span.spanId };
}

/** The labels of an exemplar (OpenMetrics); none where there is no trace to be found by it. */
export function exemplarLabels(): Record<string, string> {
  const span = running.getStore();
  return span?.sampled === true ? { trace_id: span.traceId } : {};
}

/**
 * Times a part of what is going on; where nothing is traced, only `work` happens. What `work` throws is what failed.
 *
 * @param options asked for only where something is traced
 */
export function step<T>(
  tracing: Tracing | undefined,
  name: string,
  options: () => SpanOptions,
  work: (span: Span | undefined) => T,
): T {
  const parent = tracing === undefined ? undefined : currentSpan();
  if (tracing === undefined || parent === undefined) return work(undefined);
  const span = tracing.begin(name, { ...options(), parent });
  const failed = (error: unknown) => {
    span.failed(errorType(error));
    span.end();
    return error;
  };
  try {
    const result = within(span, () => work(span));
    if (!(result instanceof Promise)) {
      span.end();
      return result;
    }
    const settled = result.then(
      (value) => {
        span.end();
        return value;
      },
      (error: unknown) => {
        throw failed(error);
      },
    );
    return settled as T;
  } catch (error) {
    throw failed(error);
  }
}

/** The class of an error, or its code: never its message, which may hold what was sent. */
export function errorType(error: unknown): string {
  if (!(error instanceof Error)) return 'error';
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : error.name;
}
