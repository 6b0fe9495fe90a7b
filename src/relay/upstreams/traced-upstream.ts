import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import { currentSpan, within } from '../../platform/tracing/current-span.ts';
import type { Attributes, Span, Tracing } from '../../platform/tracing/span.ts';
import { TRACE_FIELDS, validContext } from '../../platform/tracing/trace-context.ts';
import { mcpAttributes, mcpSpanName } from '../mcp-attributes.ts';
import { type Message, parseMessage } from '../protocol/message.ts';
import { withTraceMeta } from '../protocol/trace-meta.ts';
import { TracedHandler } from './traced-handler.ts';
import type { Upstream, UpstreamRequest } from './upstream.ts';

export interface TracedServer {
  readonly name: string;
  /** Undefined: a program. */
  readonly url: string | undefined;
  /** Whether the server itself has named the tool. */
  readonly isListed: (tool: string) => boolean;
}

/**
 * A span for each request to one MCP server (OpenTelemetry's conventions for MCP clients), and the trace told to it: as header
 * fields, and in the `_meta` of requests, because a pipe has no headers.
 */
export class TracedUpstream implements Upstream {
  readonly #server: TracedServer;
  readonly #upstream: Upstream;
  readonly #tracing: Tracing;
  readonly #about: Attributes;

  constructor(server: TracedServer, upstream: Upstream, tracing: Tracing) {
    this.#server = server;
    this.#upstream = upstream;
    this.#tracing = tracing;
    this.#about = { 'postern.server': server.name, ...addressOf(server.url) };
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const { span, outer, told } = this.#begin(request);
    within(span, () => this.#upstream.dispatch(told, new TracedHandler(handler, span, outer)));
  }

  close(): Promise<void> {
    return this.#upstream.close();
  }

  #begin(request: UpstreamRequest): { span: Span; outer: Span; told: UpstreamRequest } {
    const message = messageOf(request);
    const parent = currentSpan();
    const span = this.#tracing.begin(
      message === undefined ? request.method : mcpSpanName(message, this.#server.isListed),
      {
        kind: 'client',
        parent,
        link: message && clientsTrace(message),
        attributes: {
          ...this.#about,
          'http.request.method': request.method,
          ...(message === undefined ? {} : mcpAttributes(message)),
        },
      },
    );
    return { span, outer: parent ?? span, told: tell(request, span) };
  }
}

function tell(request: UpstreamRequest, span: Span): UpstreamRequest {
  const { context } = span;
  const headers: string[] = [];
  for (let index = 0; index < request.headers.length; index += 2) {
    const name = request.headers[index] as string;
    if (!TRACE_FIELDS.has(name.toLowerCase())) headers.push(name, request.headers[index + 1] as string);
  }
  headers.push('traceparent', context.traceparent);
  if (context.tracestate !== undefined) headers.push('tracestate', context.tracestate);
  const { body } = request;
  return { ...request, headers, body: body === null ? null : withTraceMeta(body, context), message: undefined };
}

function messageOf({ body }: UpstreamRequest): Message | undefined {
  if (body === null) return undefined;
  const parsed = parseMessage(body);
  return 'message' in parsed ? parsed.message : undefined;
}

/** A client's own trace is no parent that could be believed, but worth a link. */
function clientsTrace({ params }: Message): ReturnType<typeof validContext> {
  const meta = params._meta;
  return isRecord(meta) ? validContext(meta.traceparent, meta.tracestate) : undefined;
}

function addressOf(address: string | undefined): Attributes {
  if (address === undefined) return { 'network.transport': 'pipe' };
  const { hostname, port, protocol } = new URL(address);
  return {
    'network.transport': 'tcp',
    'network.protocol.name': protocol.startsWith('ws') ? 'websocket' : 'http',
    'server.address': hostname,
    'server.port': Number(port || (/s:$/.test(protocol) ? 443 : 80)),
  };
}
