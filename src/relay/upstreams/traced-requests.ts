import { isRecord } from '../../platform/is-record.ts';
import { currentSpan, errorType, within } from '../../platform/tracing/current-span.ts';
import type { Attributes, Span, Tracing } from '../../platform/tracing/span.ts';
import { TRACE_FIELDS, validContext } from '../../platform/tracing/trace-context.ts';
import { mcpAttributes, mcpSpanName } from '../mcp-attributes.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { type Message, parseMessage } from '../protocol/message.ts';
import { metaOf } from '../protocol/meta.ts';
import { withTraceMeta } from '../protocol/trace-meta.ts';
import type { ClientRequest } from './mcp-server.ts';
import { TracedHandler } from './traced-handler.ts';
import type { HttpServer, UpstreamRequest } from './upstream.ts';

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
export class TracedRequests {
  readonly #server: TracedServer;
  readonly #tracing: Tracing;
  readonly #about: Attributes;

  constructor(server: TracedServer, tracing: Tracing) {
    this.#server = server;
    this.#tracing = tracing;
    this.#about = { 'postern.server': server.name, ...addressOf(server.url) };
  }

  /** @returns the server, as whoever asks it by HTTP has it */
  overHttp(server: HttpServer): HttpServer {
    return {
      dispatch: (request, handler) => {
        const message = messageOf(request);
        const { span, outer } = this.#begin(message, request.method);
        const told = tell(request, span);
        within(span, () => server.dispatch(told, new TracedHandler(handler, span, outer)));
      },
      close: () => server.close(),
    };
  }

  /** Sends one request in another way. @param send gets the `params` to send @throws what `send` throws */
  async message<T>({ id, method, params }: ClientRequest, send: (params: Json) => Promise<T>): Promise<T> {
    const { span } = this.#begin({ id, method, params });
    const { traceparent, tracestate } = span.context;
    const rest = Object.entries(metaOf(params)).filter(([name]) => !TRACE_FIELDS.has(name.toLowerCase()));
    const meta = { traceparent, ...(tracestate !== undefined && { tracestate }), ...Object.fromEntries(rest) };
    try {
      return await within(span, () => send({ ...params, _meta: meta }));
    } catch (error) {
      span.failed(errorType(error));
      throw error;
    } finally {
      span.end();
    }
  }

  /** @param verb of HTTP */
  #begin(message: Message | undefined, verb?: string): { span: Span; outer: Span } {
    const parent = currentSpan();
    const name = message === undefined ? String(verb) : mcpSpanName(message, this.#server.isListed);
    const span = this.#tracing.begin(name, {
      kind: 'client',
      parent,
      link: message && clientsTrace(message),
      attributes: {
        ...this.#about,
        ...(verb !== undefined && { 'http.request.method': verb }),
        ...(message === undefined ? {} : mcpAttributes(message)),
      },
    });
    return { span, outer: parent ?? span };
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
  return { ...request, headers, body: body === null ? null : withTraceMeta(body, context) };
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
