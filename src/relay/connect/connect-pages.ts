import type { IncomingMessage, ServerResponse } from 'node:http';
import Router from '@koa/router';
import Koa from 'koa';
import { displayName, ownerKey } from '../../identity/identity.ts';
import { PosternError } from '../../platform/errors.ts';
import { requestId } from '../../platform/http.ts';
import type { Logger } from '../../platform/log.ts';
import { readForm } from '../../platform/pages/form.ts';
import { type PageSite, sendAsset } from '../../platform/pages/page.ts';
import { beginVisit, visitOf } from '../../platform/pages/visit.ts';
import { namedKey } from '../../stores/limit-key.ts';
import type { Limiter } from '../../stores/stores.ts';
import { oauthErrorOf } from '../credentials/oauth-errors.ts';
import { causeFields } from '../refusal.ts';
import type { Caller, Callers } from '../trust/caller.ts';
import type { AccountConnections } from './account-connections.ts';
import { authorizationUrl, exchangeCode } from './authorization.ts';
import type { ConnectTransactions } from './connect-transaction.ts';
import { showList, showOnwards, showProblem, showServer } from './pages.ts';
import { CONNECT, callbackPath, serverPath } from './paths.ts';

export interface ConnectPagesDependencies {
  readonly callers: Callers;
  /** By MCP server. */
  readonly connections: ReadonlyMap<string, AccountConnections>;
  readonly attempts: ConnectTransactions;
  /** Counts what a person begins. */
  readonly limiter: Limiter;
  readonly site: PageSite;
  readonly log: Logger;
}

/** Where people connect and disconnect the accounts with which MCP servers act for them. */
export class ConnectPages {
  readonly #deps: ConnectPagesDependencies;
  readonly #handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;

  constructor(deps: ConnectPagesDependencies) {
    this.#deps = deps;
    const router = new Router();
    router.get(CONNECT, (ctx) => this.#list(ctx));
    router.get(serverPath(':server'), (ctx) => this.#show(ctx, this.#connections(ctx.params.server)));
    router.post(serverPath(':server'), (ctx) => this.#act(ctx, this.#connections(ctx.params.server)));
    router.get(callbackPath(':server'), (ctx) => this.#finish(ctx, this.#connections(ctx.params.server)));
    const app = new Koa();
    app.use((ctx, next) => this.#guard(ctx, next)).use(router.routes() as Koa.Middleware);
    this.#handle = app.callback();
  }

  /** @returns undefined where the request is not for these pages; otherwise resolves when it has been answered */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void> | undefined {
    const path = (request.url ?? '').split('?', 1)[0] as string;
    if (path !== CONNECT && !path.startsWith(`${CONNECT}/`)) return undefined;
    return this.#handle(request, response);
  }

  /** Who asks, by the same proofs as everywhere; nothing of the pages is for the anonymous. */
  async #guard(ctx: Koa.Context, next: Koa.Next): Promise<void> {
    ctx.state.requestId = requestId(ctx.req);
    const { site } = this.#deps;
    beginVisit(ctx, site);
    const asset = site.assets.get(ctx.path);
    if (asset !== undefined && ctx.method === 'GET') return sendAsset(ctx, asset);
    try {
      // A HEAD would spend the code of a callback.
      if (ctx.method !== 'GET' && ctx.method !== 'POST')
        throw new PosternError('method', 'use GET or POST', { status: 405, expose: true });
      const caller = await this.#deps.callers.identify(ctx.req);
      if ('status' in caller) {
        this.#deps.log.info(
          { reason: caller.reason, ...causeFields(caller), requestId: ctx.state.requestId },
          caller.message,
        );
        throw new PosternError('identity', caller.message, { status: caller.status, expose: true });
      }
      if (caller.identity.method === 'anonymous')
        throw new PosternError('anonymous', 'sign in to connect an account', { status: 403, expose: true });
      ctx.state.caller = caller;
      visitOf(ctx).person = displayName(caller.identity);
      await next();
      if (ctx.status === 404 && ctx.body == null) throw notFound();
    } catch (error) {
      this.#fail(ctx, error);
    }
  }

  async #list(ctx: Koa.Context): Promise<void> {
    const { identity } = callerOf(ctx);
    const listed = await Promise.all(
      [...this.#deps.connections].map(async ([server, connections]) => ({
        server,
        name: connections.provider.settings.name,
        connection: await connections.read(identity),
      })),
    );
    showList(ctx, identity, listed);
  }

  async #show(ctx: Koa.Context, connections: AccountConnections): Promise<void> {
    const { identity } = callerOf(ctx);
    const { server, name } = connections.provider.settings;
    const connection = await connections.read(identity);
    showServer(ctx, identity, { server, name, connection }, this.#deps.attempts.formToken(identity, server));
  }

  async #act(ctx: Koa.Context, connections: AccountConnections): Promise<void> {
    const { attempts, limiter } = this.#deps;
    const { identity } = callerOf(ctx);
    const { provider } = connections;
    const { server, name } = provider.settings;
    const form = await readForm(ctx);
    if (!attempts.isOwnForm(form.get('token') ?? '', identity, server)) return this.#strangeForm(ctx, server);
    if (form.get('action') === 'disconnect') {
      await connections.disconnect(identity);
      return seeOther(ctx, serverPath(server));
    }
    const { allowed } = await limiter.consume(namedKey(ownerKey(identity)));
    if (!allowed) throw new PosternError('attempts', 'too many attempts: wait a minute', { status: 429, expose: true });
    const issuer = await provider.issuer();
    const { attempt, state } = attempts.begin(identity, server, issuer);
    showOnwards(ctx, name, await authorizationUrl(provider, attempt, state));
  }

  async #finish(ctx: Koa.Context, connections: AccountConnections): Promise<void> {
    const { attempts, log } = this.#deps;
    const { identity } = callerOf(ctx);
    const { provider } = connections;
    const { server, name } = provider.settings;
    const state = new URLSearchParams(ctx.querystring).get('state') ?? '';
    const opened = await attempts.open(state, identity, server);
    if (opened.kind !== 'good') {
      log.info({ server, identity, attempt: opened.kind, requestId: ctx.state.requestId }, 'not connected');
      connections.record(identity, 'refused', undefined, `attempt_${opened.kind}`);
      const problem = opened.kind === 'foreign' ? 'account_foreign' : 'account_over';
      return showProblem(ctx, { status: 400, problem, again: serverPath(server) });
    }
    try {
      const { tokens, clientId } = await exchangeCode(provider, opened.attempt, ctx.querystring, state);
      await connections.connect(identity, opened.attempt.issuer, clientId, tokens);
    } catch (error) {
      const code = oauthErrorOf(error);
      if (error instanceof PosternError) throw error;
      log.warn({ server, identity, error, requestId: ctx.state.requestId }, 'an account was not connected');
      const found =
        code === 'access_denied'
          ? ({ status: 403, problem: 'account_denied' } as const)
          : ({ status: 502, problem: 'account_failed' } as const);
      return showProblem(ctx, { ...found, values: { account: name }, again: serverPath(server) });
    }
    seeOther(ctx, serverPath(server));
  }

  #strangeForm(ctx: Koa.Context, server: string): void {
    showProblem(ctx, { status: 403, problem: 'account_form', again: serverPath(server) });
  }

  #connections(server: string | undefined): AccountConnections {
    const found = this.#deps.connections.get(server ?? '');
    if (found === undefined) throw notFound();
    return found;
  }

  #fail(ctx: Koa.Context, error: unknown): void {
    const known = error instanceof PosternError ? error : new PosternError('internal', 'something went wrong');
    if (known.status >= 500)
      this.#deps.log.error({ error, requestId: ctx.state.requestId }, 'a page of connections failed');
    showProblem(ctx, {
      status: known.status,
      problem: known.status === 503 ? 'away' : 'failed',
      ...(known.expose && { advice: `${known.message}.` }),
    });
  }
}

function callerOf(ctx: Koa.Context): Caller {
  return ctx.state.caller as Caller;
}

function notFound(): PosternError {
  return new PosternError('not_found', 'there is no such page', { status: 404, expose: true });
}

/** To a path of ours, never to what a request says. */
function seeOther(ctx: Koa.Context, path: string): void {
  ctx.status = 303;
  ctx.set({ Location: path, 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' });
  ctx.body = null;
  ctx.status = 303;
}
