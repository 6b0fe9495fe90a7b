import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { createHttpServer, sendJson } from './http.ts';
import type { Logger } from './log.ts';
import { expose } from './openmetrics.ts';
import type { Readiness, ReadinessReport } from './readiness.ts';

/** Takes the requests that it knows. @returns undefined where this is none; otherwise resolves when it has been answered */
export type InternalHandler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | undefined;

export interface InternalParts {
  /** What an operator may do there. */
  readonly operator?: InternalHandler;
  /** What the process has read of its configuration, without any of its values. */
  readonly configuration?: () => object;
  readonly log?: Pick<Logger, 'error' | 'warn' | 'info'>;
  /** The primary of several workers alone reaches this one, and says who asked it. */
  readonly ofWorker?: boolean;
}

/**
 * `/healthz`, `/readyz`, `/metrics` and `/configz`, on a listener of their own: a proxy that calls an authorizer with the client's
 * path could otherwise be let through by a health check's 200.
 */
export function createInternalServer(
  registry: Registry,
  readiness: Readiness,
  { operator, configuration, log, ofWorker = false }: InternalParts = {},
): Server {
  const logChange = readinessLog(log);
  return createHttpServer(
    { maxHeaderSize: 16_384, requestTimeout: 10_000, ...(log && { log }) },
    (request, response) => {
      if (ofWorker)
        Object.defineProperty(request.socket, 'remoteAddress', { value: request.headers['x-forwarded-for'] });
      const operating = operator?.(request, response);
      if (operating !== undefined) return operating;
      const [path, query] = request.url?.split('?') ?? [];
      if (request.method !== 'GET' && request.method !== 'HEAD') return sendJson(response, 405, { error: 'use GET' });
      if (path === '/healthz') return sendJson(response, 200, { status: 'ok' });
      if (path === '/readyz') {
        const strict = new URLSearchParams(query).has('strict');
        return readiness.report(strict).then(({ ready, ...body }) => {
          if (!strict) logChange(body);
          return sendJson(response, ready ? 200 : 503, body);
        });
      }
      if (path === '/configz' && configuration !== undefined) return sendJson(response, 200, configuration());
      if (path === '/metrics')
        return expose(registry, request.headers.accept).then(
          ({ contentType, text }) => {
            response.writeHead(200, { 'Content-Type': contentType, Vary: 'Accept' });
            response.end(text);
          },
          () => sendJson(response, 500, { error: 'metrics could not be collected' }),
        );
      return sendJson(response, 404, {
        error: 'not found: this listener has /healthz, /readyz, /metrics and /configz',
      });
    },
  );
}

/** Logs why the process is not ready, once for each reason, and that it is ready after that. */
function readinessLog(log: InternalParts['log']): (report: Pick<ReadinessReport, 'status' | 'dependencies'>) => void {
  let logged: string | undefined;
  return ({ status, dependencies }) => {
    if (log === undefined || status === 'draining') return;
    if (status === 'ready') {
      if (logged !== undefined) log.info('ready');
      logged = undefined;
      return;
    }
    const reason = JSON.stringify(dependencies);
    if (reason === logged) return;
    logged = reason;
    log.warn({ dependencies }, 'not ready');
  };
}
