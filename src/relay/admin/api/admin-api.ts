import Router from '@koa/router';
import type Koa from 'koa';
import type { z } from 'zod';
import { PosternError } from '../../../platform/errors.ts';
import { isRecord } from '../../../platform/is-record.ts';
import { readJson } from '../../../platform/operator-api.ts';
import { COMMON_HEADERS } from '../../../platform/pages/page.ts';
import { operatorOf } from '../access/operator.ts';
import type { AnyOperation } from '../operations/operation.ts';
import type { LiveStreams } from './live-stream.ts';
import { API, openApiDocument } from './openapi.ts';
import { type problem, shownError } from './problem.ts';

/** The operations by HTTP, each at the path of its description. */
export function apiRouter(operations: readonly AnyOperation[], live: LiveStreams): Router {
  const router = new Router({ prefix: API });
  const document = openApiDocument(operations);
  router.get('/openapi.json', (ctx) => sendObject(ctx, document));
  router.get('/activity/stream', (ctx) => {
    live.begin(ctx.res);
    ctx.respond = false;
  });
  for (const operation of operations) {
    const { method, path } = operation.description;
    router.register(path.replace(/\{(\w+)\}/g, ':$1'), [method], async (ctx: Koa.Context) => {
      const given = method === 'POST' ? await bodyOf(ctx) : ctx.query;
      sendObject(ctx, await operation.run({ ...given, ...ctx.params }, operatorOf(ctx)));
    });
  }
  return router;
}

export function sendProblem(ctx: Koa.Context, error: unknown): void {
  const { status, code, detail, headers } = shownError(error);
  const body: z.output<typeof problem> = {
    type: 'about:blank',
    status,
    title: code,
    detail,
    requestId: ctx.state.requestId as string,
  };
  sendObject(ctx, body, 'application/problem+json');
  ctx.status = status;
  ctx.set({ ...headers });
}

function sendObject(ctx: Koa.Context, body: object, type = 'application/json'): void {
  ctx.set({ ...COMMON_HEADERS, 'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'" });
  ctx.status = 200;
  ctx.body = JSON.stringify(body);
  ctx.set('Content-Type', type);
}

/** A form of another site cannot send JSON without asking first, and nobody here would say yes. */
async function bodyOf(ctx: Koa.Context): Promise<Record<string, unknown>> {
  if (!ctx.is('application/json'))
    throw new PosternError('content_type', 'send application/json', { status: 415, expose: true });
  const body = await readJson(ctx.req);
  if (isRecord(body)) return body;
  throw new PosternError('invalid_request', 'the body must be a JSON object', { status: 400, expose: true });
}
