import type { Attributes } from '@opentelemetry/api';

/** W3C Trace Context (https://www.w3.org/TR/trace-context-1/), as header fields and MCP's `_meta` carry it. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate: string | undefined;
}

export type { Attributes };

/** One timed part of a request. After its end it takes nothing more. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  /** Its trace is kept by its share: it can be looked up later. */
  readonly sampled: boolean;
  /** It has not ended. */
  readonly live: boolean;
  /** What is told to whoever is asked on its behalf. */
  readonly context: TraceContext;
  set(attributes: Attributes): void;
  /** It went wrong, which keeps its trace. @param type `error.type`: one of a bounded set */
  failed(type: string): void;
  /** Has its trace kept, whatever its share. */
  keep(): void;
  end(): void;
}

export interface SpanOptions {
  /** Who asks, who answers; absent: neither, a part of our own work. */
  readonly kind?: 'server' | 'client';
  readonly attributes?: Attributes;
  /** Absent: the beginning of a trace here. */
  readonly parent?: Span | undefined;
  /** The caller's own span; only what may be believed. Read where there is no `parent`. */
  readonly remote?: TraceContext | undefined;
  /** Another trace that has to do with this one, such as the client's own. */
  readonly link?: TraceContext | undefined;
}

/** Makes spans. There is none where traces are off: nothing is loaded and nothing remembered then. */
export interface Tracing {
  begin(name: string, options: SpanOptions): Span;
  /** Sends what waits, for a short while, and ends. */
  close(): Promise<void>;
}
