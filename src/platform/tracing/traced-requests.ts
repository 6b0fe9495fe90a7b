import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { RequestHandler } from '../http.ts';
import { within } from './current-span.ts';
import type { Tracing } from './span.ts';
import { readTraceContext } from './trace-context.ts';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

export interface TracedListener {
  /** Whether the peer is a proxy whose `traceparent` may be believed. */
  readonly trusts: (socket: Socket) => boolean;
  /** The address without what varies: one of a bounded set; undefined where it is none of ours. */
  readonly route: (path: string) => string | undefined;
}

/** A span for each request (OpenTelemetry's conventions for HTTP servers), in which everything happens that answers it. */
export function tracedRequests(tracing: Tracing, answer: RequestHandler, listener: TracedListener): RequestHandler {
  return (request, response) => {
    const method = METHODS.has(request.method ?? '') ? (request.method as string) : '_OTHER';
    const route = listener.route(pathOf(request));
    const span = tracing.begin(route === undefined ? method : `${method} ${route}`, {
      kind: 'server',
      remote: listener.trusts(request.socket) ? readTraceContext(request.rawHeaders) : undefined,
      attributes: {
        'http.request.method': method,
        'url.scheme': 'encrypted' in request.socket ? 'https' : 'http',
        ...(route === undefined ? {} : { 'http.route': route }),
        ...(request.socket.remoteAddress === undefined ? {} : { 'network.peer.address': request.socket.remoteAddress }),
      },
    });
    response.once('close', () => {
      const { statusCode, headersSent, writableFinished } = response;
      if (headersSent) span.set({ 'http.response.status_code': statusCode });
      if (!writableFinished) span.set({ 'postern.client_gone': true });
      if (headersSent && statusCode >= 500) span.failed(String(statusCode));
      else if (headersSent && isRefusal(statusCode)) span.keep();
      span.end();
    });
    return within(span, () => answer(request, response));
  };
}

/** 401 is how every client begins, and 405 how one learns that there is no stream: whoever refuses by them says so. */
function isRefusal(status: number): boolean {
  return status >= 400 && status !== 401 && status !== 405;
}

function pathOf({ url = '' }: IncomingMessage): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
