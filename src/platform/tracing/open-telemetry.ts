import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import {
  type Context,
  createTraceState,
  type Span as OtelSpan,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { TracerProvider } from '@opentelemetry/sdk-trace';
import type { TracingConfig } from '../config/schema.ts';
import { parsePairs } from '../config/tracing-schema.ts';
import { ConfigurationError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { TracingMetrics } from '../metrics.ts';
import { outboundAgent } from '../outbound/connections.ts';
import { unreadable } from '../unreadable.ts';
import { version } from '../version.ts';
import { ShareSampler } from './share-sampler.ts';
import type { Attributes, Span, SpanOptions, TraceContext, Tracing } from './span.ts';
import { SpanQueue } from './span-queue.ts';
import { TailSampling } from './tail-sampling.ts';
import { formatTraceparent, parseTraceparent } from './trace-context.ts';

export interface TracingDependencies {
  readonly process: 'forward-auth' | 'relay';
  readonly metrics: TracingMetrics;
  readonly log: Logger;
  /** 0 to 1, as `Math.random`. */
  readonly random?: () => number;
}

const TRACES_PATH = '/v1/traces';
/** Milliseconds that the last spans get to reach the collector. */
const GRACE = 2_000;
/** Of one span. Whatever a client invents is cut. */
const LIMITS = { attributeValueLengthLimit: 512, attributeCountLimit: 64, eventCountLimit: 8, linkCountLimit: 4 };
const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT } as const;

/** Spans by OpenTelemetry's SDK, sent over OTLP. Nothing is registered globally and nothing is patched. */
export class OpenTelemetryTracing implements Tracing {
  readonly #tracer: Tracer;
  readonly #local: TailSampling;
  readonly #queue: SpanQueue;
  readonly #fromProxy: TracingConfig['fromProxy'];

  /** @throws ConfigurationError where the certificate authority cannot be read */
  constructor(config: TracingConfig & { readonly endpoint: string }, deps: TracingDependencies) {
    this.#fromProxy = config.fromProxy;
    this.#queue = new SpanQueue(createExporter(config), { ...deps, max: config.maxQueue });
    this.#local = new TailSampling((span) => this.#queue.add(span));
    const provider = new TracerProvider({
      resource: resourceFromAttributes({
        'host.name': hostname(),
        'service.instance.id': randomUUID(),
        'service.namespace': 'postern',
        ...parsePairs(config.attributes ?? ''),
        'service.name': config.serviceName ?? `postern-${deps.process}`,
        'service.version': version(),
      }),
      sampler: new ShareSampler(config.sample, config.fromProxy === 'sampling', deps.random ?? Math.random),
      spanProcessors: [this.#local],
      spanLimits: LIMITS,
    });
    this.#tracer = provider.getTracer('postern', version());
  }

  begin(name: string, { kind, attributes = {}, parent, remote, link }: SpanOptions): Span {
    const links = link === undefined ? [] : [{ context: spanContextOf(link) }];
    const span = this.#tracer.startSpan(
      name,
      { kind: kind === undefined ? SpanKind.INTERNAL : KINDS[kind], attributes, links },
      parent === undefined ? this.#remote(remote) : contextOf(parent),
    );
    return new RecordedSpan(span, () => this.#local.keep(span));
  }

  async close(): Promise<void> {
    await this.#queue.close(GRACE);
  }

  #remote(remote: TraceContext | undefined): Context {
    if (remote === undefined || this.#fromProxy === 'nothing') return ROOT_CONTEXT;
    return trace.setSpanContext(ROOT_CONTEXT, spanContextOf(remote));
  }
}

class RecordedSpan implements Span {
  readonly otel: OtelSpan;
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
  readonly #keep: () => void;

  constructor(otel: OtelSpan, keep: () => void) {
    const { traceId, spanId, traceFlags } = otel.spanContext();
    this.otel = otel;
    this.traceId = traceId;
    this.spanId = spanId;
    this.sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    this.#keep = keep;
  }

  get live(): boolean {
    return this.otel.isRecording();
  }

  get context(): TraceContext {
    return { traceparent: formatTraceparent(this), tracestate: this.otel.spanContext().traceState?.serialize() };
  }

  set(attributes: Attributes): void {
    this.otel.setAttributes(attributes);
  }

  failed(type: string): void {
    this.otel.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR });
  }

  keep(): void {
    this.#keep();
  }

  end(): void {
    this.otel.end();
  }
}

function contextOf(parent: Span): Context {
  if (!(parent instanceof RecordedSpan)) throw new TypeError('a parent that was not begun here');
  return trace.setSpan(ROOT_CONTEXT, parent.otel);
}

/** @param context valid */
function spanContextOf({ traceparent, tracestate }: TraceContext): SpanContext {
  const { traceId = '', spanId = '', sampled = false } = parseTraceparent(traceparent) ?? {};
  return {
    traceId,
    spanId,
    isRemote: true,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    ...(tracestate === undefined ? {} : { traceState: createTraceState(tracestate) }),
  };
}

function createExporter({ endpoint, headers, timeout, caPath }: TracingConfig & { readonly endpoint: string }) {
  const url = new URL(endpoint);
  if (!url.pathname.endsWith(TRACES_PATH)) url.pathname = url.pathname.replace(/\/$/, '') + TRACES_PATH;
  const authority = caPath === undefined ? {} : { ca: readAuthority(caPath) };
  return new OTLPTraceExporter({
    url: url.href,
    headers: parsePairs(headers ?? '') ?? {},
    timeoutMillis: timeout,
    userAgent: `postern/${version()}`,
    // A batch at a time is sent; see SpanQueue.
    concurrencyLimit: 1,
    httpAgentOptions: (protocol) => outboundAgent(protocol, authority),
  });
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigurationError([`tracing.caPath: ${unreadable(path, cause)}`], cause);
  }
}
