import type { IncomingMessage, ServerResponse } from 'node:http';
import type Router from '@koa/router';
import Koa from 'koa';
import type { AuditLog } from '../../platform/audit/audit-log.ts';
import { PosternError } from '../../platform/errors.ts';
import { requestId } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';
import { sendAsset } from '../../platform/pages/page.ts';
import type { Gatekeeper } from './access/gatekeeper.ts';
import { NotAdmitted, operatorOf } from './access/operator.ts';
import { sendProblem } from './api/admin-api.ts';
import { API } from './api/openapi.ts';
import { ASSETS } from './pages/assets.ts';
import { showProblem } from './pages/problem-page.ts';
import { ADMIN } from './paths.ts';

export interface AdminSiteParts {
  readonly gatekeeper: Gatekeeper;
  /** Those that are on. */
  readonly routers: readonly Router[];
  readonly audit: AuditLog | undefined;
  readonly log: Logger;
}

/** Plain segments: what another reader could resolve, decode or cut is none of ours. */
const PLAIN_PATH = /^\/admin(?:\/(?!\.{1,2}(?:\/|$))[\w.~-]+)*$/;

/** Of everybody who signs in or out. */
const EXPECTED: ReadonlySet<string> = new Set(['sign_in', 'signed_out']);

/** Everything below `/admin`: nobody gets further than the gatekeeper lets them. */
export class AdminSite {
  readonly #parts: AdminSiteParts;
  readonly #handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;

  constructor(parts: AdminSiteParts) {
    this.#parts = parts;
    const app = new Koa();
    app.use((ctx, next) => this.#guard(ctx, next));
    for (const router of parts.routers) app.use(router.routes() as Koa.Middleware);
    this.#handle = app.callback();
  }

  /** @returns undefined where the request is not for here; otherwise resolves when it has been answered */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void> | undefined {
    const path = (request.url ?? '').split('?', 1)[0] as string;
    if (path !== ADMIN && !path.startsWith(`${ADMIN}/`)) return undefined;
    return this.#handle(request, response);
  }

  async #guard(ctx: Koa.Context, next: Koa.Next): Promise<void> {
    ctx.state.requestId = requestId(ctx.req);
    const asset = ASSETS.get(ctx.path);
    if (asset !== undefined && ctx.method === 'GET') return sendAsset(ctx, asset);
    try {
      ctx.state.operator = await this.#parts.gatekeeper.admit(ctx.req);
      if (!PLAIN_PATH.test(ctx.path)) throw notHere();
      if (ctx.method !== 'GET' && ctx.method !== 'HEAD') this.#recordWhenDone(ctx);
      await next();
      if (ctx.status === 404 && ctx.body == null && ctx.respond !== false) throw notHere();
    } catch (error) {
      this.#fail(ctx, error);
    }
  }

  /** What an operator tried is worth knowing too. */
  #recordWhenDone(ctx: Koa.Context): void {
    const { person, way } = operatorOf(ctx);
    const { method, path, req, res } = ctx;
    res.once('close', () =>
      this.#parts.audit?.record({
        event: 'operator',
        outcome: res.statusCode < 400 ? 'done' : 'refused',
        identity: person,
        via: way,
        action: method,
        object: path,
        reason: res.statusCode < 400 ? undefined : `status ${res.statusCode}`,
        client: req.socket.remoteAddress,
        requestId: requestId(req),
      }),
    );
  }

  #fail(ctx: Koa.Context, error: unknown): void {
    const { log } = this.#parts;
    const { requestId } = ctx.state as { requestId: string };
    const expected = error instanceof NotAdmitted && EXPECTED.has(error.code);
    if (error instanceof NotAdmitted && !expected)
      log.warn({ reason: error.code, peer: ctx.req.socket.remoteAddress, requestId }, 'an operator was not let in');
    else if (!(error instanceof PosternError) || error.status >= 500)
      log.error({ error, requestId }, 'an admin request failed');
    if (ctx.path.startsWith(`${API}/`)) sendProblem(ctx, error);
    else showProblem(ctx, error);
  }
}

function notHere(): PosternError {
  return new PosternError('not_found', 'there is nothing here', { status: 404, expose: true });
}
