import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { expose } from './exposition.ts';
import { createHttpServer, sendJson } from './http.ts';

/** Answers undefined where the dependency answers, otherwise what is wrong in a few words. */
export type ReadinessCheck = () => Promise<string | undefined> | string | undefined;

/** Takes the requests that it knows. @returns whether this was one, which is then answered */
export type InternalHandler = (request: IncomingMessage, response: ServerResponse) => boolean;

/**
 * `/healthz`, `/readyz` and `/metrics`, on a listener of their own: a proxy that calls an authorizer with the client's
 * path could otherwise be let through by a health check's 200.
 *
 * @param operator what an operator may do there
 */
export function createInternalServer(
  registry: Registry,
  checks: Readonly<Record<string, ReadinessCheck>>,
  operator?: InternalHandler,
): Server {
  return createHttpServer({ maxHeaderSize: 16_384, requestTimeout: 10_000 }, (request, response) => {
    if (operator?.(request, response) === true) return;
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') return sendJson(response, 405, { error: 'use GET' });
    if (path === '/healthz') return sendJson(response, 200, { status: 'ok' });
    if (path === '/readyz')
      return void readiness(checks).then((failing) =>
        sendJson(response, Object.keys(failing).length === 0 ? 200 : 503, {
          status: Object.keys(failing).length === 0 ? 'ready' : 'not ready',
          failing,
        }),
      );
    if (path === '/metrics')
      return void expose(registry, request.headers.accept).then(
        ({ contentType, text }) => {
          response.writeHead(200, { 'Content-Type': contentType, Vary: 'Accept' });
          response.end(text);
        },
        () => sendJson(response, 500, { error: 'metrics could not be collected' }),
      );
    return sendJson(response, 404, { error: 'not found: this listener has /healthz, /readyz and /metrics' });
  });
}

async function readiness(checks: Readonly<Record<string, ReadinessCheck>>): Promise<Record<string, string>> {
  const failing: Record<string, string> = {};
  for (const [name, check] of Object.entries(checks)) {
    try {
      const problem = await check();
      if (problem !== undefined) failing[name] = problem;
    } catch {
      failing[name] = 'does not answer';
    }
  }
  return failing;
}
