import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import { until } from './until.ts';

type Value = { stringValue?: string; boolValue?: boolean; intValue?: string; doubleValue?: number };
type Pair = { key: string; value?: Value };
type WireSpan = Record<'traceId' | 'spanId' | 'parentSpanId', Buffer> & {
  name: string;
  kind: number;
  traceState: string;
  attributes?: Pair[];
  links?: Array<{ traceId: Buffer; spanId: Buffer }>;
  status?: { code: number };
};
type WireRequest = {
  resourceSpans?: Array<{ resource?: { attributes?: Pair[] }; scopeSpans?: Array<{ spans?: WireSpan[] }> }>;
};

/** A span as a collector got it. */
export interface CollectedSpan {
  readonly service: string;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty where it begins its trace. */
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'other';
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>;
  readonly failed: boolean;
  /** Header fields of the request that brought it. */
  readonly sentWith: IncomingHttpHeaders;
}

const field = (type: string, id: number, rule?: 'repeated') => ({ type, id, ...(rule && { rule }) });

/** The part of OTLP that tests look at (opentelemetry/proto/collector/trace/v1), in our own words. */
const DEFINITION = fromJSON({
  nested: {
    Traces: { methods: { Export: { requestType: 'Request', responseType: 'Response', comment: '' } } },
    Response: { fields: {} },
    Request: { fields: { resourceSpans: field('ResourceSpans', 1, 'repeated') } },
    ResourceSpans: { fields: { resource: field('Resource', 1), scopeSpans: field('ScopeSpans', 2, 'repeated') } },
    Resource: { fields: { attributes: field('Pair', 1, 'repeated') } },
    ScopeSpans: { fields: { spans: field('Span', 2, 'repeated') } },
    Span: {
      fields: {
        traceId: field('bytes', 1),
        spanId: field('bytes', 2),
        traceState: field('string', 3),
        parentSpanId: field('bytes', 4),
        name: field('string', 5),
        kind: field('int32', 6),
        attributes: field('Pair', 9, 'repeated'),
        links: field('Link', 13, 'repeated'),
        status: field('Status', 15),
      },
    },
    Link: { fields: { traceId: field('bytes', 1), spanId: field('bytes', 2) } },
    Status: { fields: { code: field('int32', 3) } },
    Pair: { fields: { key: field('string', 1), value: field('Value', 2) } },
    Value: {
      oneofs: { value: { oneof: ['stringValue', 'boolValue', 'intValue', 'doubleValue'] } },
      fields: {
        stringValue: field('string', 1),
        boolValue: field('bool', 2),
        intValue: field('int64', 3),
        doubleValue: field('double', 4),
      },
    },
  },
});
const { Export } = DEFINITION.Traces as ServiceDefinition;
const KINDS = ['other', 'internal', 'server', 'client'] as const;

export interface Collector {
  readonly url: string;
  readonly spans: CollectedSpan[];
  /** What it answers from now on. */
  status: number;
  /** Waits for a span. */
  find(what: string, is: (span: CollectedSpan) => boolean): Promise<CollectedSpan>;
  stop(): Promise<void>;
}

/** An OTLP/HTTP collector that takes protobuf, reads it and keeps it. */
export async function startCollector(): Promise<Collector> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const sent = Buffer.concat(chunks);
      const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(sent) : sent;
      if (collector.status === 200) collector.spans.push(...read(body, request.headers));
      response.writeHead(collector.status, { 'Content-Type': 'application/x-protobuf' }).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const collector: Collector = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans: [],
    status: 200,
    find: async (what, is) => {
      await until(`a span of ${what}`, () => collector.spans.some(is));
      return collector.spans.find(is) as CollectedSpan;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return collector;
}

function read(body: Buffer, sentWith: IncomingHttpHeaders): CollectedSpan[] {
  const { resourceSpans = [] } = (Export as NonNullable<typeof Export>).requestDeserialize(body) as WireRequest;
  return resourceSpans.flatMap(({ resource, scopeSpans = [] }) =>
    scopeSpans.flatMap(({ spans = [] }) =>
      spans.map((span) => ({ ...toSpan(span, pairs(resource?.attributes)), sentWith })),
    ),
  );
}

function toSpan(span: WireSpan, resource: Record<string, unknown>): Omit<CollectedSpan, 'sentWith'> {
  return {
    service: String(resource['service.name']),
    resource,
    traceId: hex(span.traceId),
    spanId: hex(span.spanId),
    parentSpanId: hex(span.parentSpanId),
    name: span.name,
    kind: KINDS[span.kind] ?? 'other',
    attributes: pairs(span.attributes),
    links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId: hex(traceId), spanId: hex(spanId) })),
    failed: span.status?.code === 2,
  };
}

function pairs(list: readonly Pair[] = []): Record<string, unknown> {
  return Object.fromEntries(
    list.map(({ key, value: { stringValue, boolValue, intValue, doubleValue } = {} }) => [
      key,
      stringValue ?? boolValue ?? (intValue === undefined ? doubleValue : Number(intValue)),
    ]),
  );
}

function hex(bytes: Buffer | undefined): string {
  return Buffer.from(bytes ?? []).toString('hex');
}
