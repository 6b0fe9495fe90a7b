import type { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import type { Context, Middleware } from 'koa';
import type Provider from 'oidc-provider';
import { PosternError } from '../../../platform/errors.ts';
import { requestId } from '../../../platform/http.ts';
import type { Logger } from '../../../platform/log.ts';
import { showNotFound, showProblem } from '../../../platform/pages/visit.ts';
import { OAUTH_PATH, type OAuthTarget, oauthTarget } from '../../decision/oauth-endpoints.ts';
import type { LoginContext } from '../../login/context.ts';
import type { RequestOrigins } from '../../login/request-origin.ts';
import type { AuthorizationAudit } from './audit.ts';
import type { BrokerLimits } from './broker-limits.ts';
import { type InteractionContext, interact } from './interaction.ts';
import { readRegistration } from './registration-request.ts';
import type { ResourceServers } from './resource-servers.ts';

/** Characters of all parameters of an authorization, and of one, such as `state`. */
const MAX_QUERY = 8_192;
const MAX_PARAMETER = 4_096;

export interface BrokerRoutesContext {
  readonly issuer: string;
  readonly provider: () => Promise<Provider>;
  readonly interaction: InteractionContext;
  readonly resourceServers: ResourceServers;
  readonly limits: BrokerLimits;
  readonly places: Pick<RequestOrigins, 'addressOf'>;
  /** Address of the request that the library answers. */
  readonly requester: AsyncLocalStorage<string>;
  /** Bytes of what a client registers. */
  readonly maxRegistration: number;
  readonly originEndpoints: boolean;
  /** Bounds how often an address may begin an authorization, as it does sign-ins. */
  readonly allowAttempt: LoginContext['allowAttempt'];
  readonly audit: AuthorizationAudit;
  readonly log: Logger;
}

/** Answers at the broker's endpoints; everything else goes on. The library sees only what matched one of them exactly. */
export function brokerRoutes(context: BrokerRoutesContext): Middleware {
  return async (ctx, next) => {
    const target = oauthTarget(ctx.path, context.originEndpoints);
    if (target === undefined) return ctx.path.startsWith(`${OAUTH_PATH}/`) ? notFound(ctx) : next();
    ctx.state.requestId = requestId(ctx.req);
    let provider: Provider;
    try {
      if (target.endpoint === 'interaction') return await interactAt(context, ctx);
      if (target.endpoint === 'registration' && !(await mayRegister(context, ctx))) return;
      if (target.endpoint === 'authorization' && !(await mayAuthorize(context, ctx))) return;
      provider = await context.provider();
    } catch (error) {
      return showFailure(context, ctx, error);
    }
    const address = context.places.addressOf(ctx.req);
    const req = target.endpoint === 'registration' ? await registrationOf(context, ctx) : ctx.req;
    if (req === undefined) return;
    prepare(req, target, context);
    ctx.respond = false;
    await context.requester.run(address, () => provider.callback()(req, ctx.res));
  };
}

function notFound(ctx: Context): void {
  if (showNotFound(ctx)) return;
  ctx.status = 404;
  ctx.set('Cache-Control', 'no-store');
  ctx.body = { error: 'not_found', error_description: 'no endpoint of the authorization server has this path' };
}

async function interactAt({ interaction }: BrokerRoutesContext, ctx: Context): Promise<void> {
  if (ctx.method === 'GET' || ctx.method === 'POST') return interact(interaction, ctx);
  ctx.status = 405;
  ctx.set('Allow', 'GET, POST');
}

/** @returns undefined where it is answered already */
async function registrationOf(
  { maxRegistration, audit, places }: BrokerRoutesContext,
  ctx: Context,
): Promise<IncomingMessage | undefined> {
  if (ctx.method !== 'POST') return ctx.req;
  const address = places.addressOf(ctx.req);
  const read = await readRegistration(ctx.req, maxRegistration);
  if (!('description' in read)) return read;
  const { status, description } = read;
  const error = 'invalid_client_metadata';
  audit.note('registration_refused', { address, error, reason: description }, 'a registration was refused');
  ctx.status = status;
  ctx.set('Cache-Control', 'no-store');
  // A connection that is closed with something unread is reset, and the answer lost.
  ctx.req.resume();
  ctx.body = { error, error_description: description };
  return undefined;
}

/** Each leaves a record for a quarter of an hour, and anybody can begin one. */
async function mayAuthorize({ allowAttempt, places, audit }: BrokerRoutesContext, ctx: Context): Promise<boolean> {
  const address = places.addressOf(ctx.req);
  const long = tooLong(ctx.querystring);
  if (long !== undefined) {
    audit.note('authorization_refused', { address, error: 'invalid_request', reason: long }, 'a request is too long');
    showProblem(ctx, {
      status: 400,
      problem: 'application_failed',
      values: { reason: `invalid_request: ${long}` },
    });
    return false;
  }
  const limit = await allowAttempt(address);
  if (limit === undefined) return true;
  audit.note('authorization_refused', { address, error: 'too_many_requests' }, 'too many authorizations');
  showProblem(ctx, {
    status: 429,
    problem: 'application_attempts',
    retryAfter: Math.max(1, Math.ceil(limit.resetIn / 1_000)),
  });
  return false;
}

/** All of it is kept until the person has answered. */
function tooLong(query: string): string | undefined {
  if (query.length > MAX_QUERY) return `the parameters are longer than ${MAX_QUERY} characters`;
  const [name] = [...new URLSearchParams(query)].find(([, value]) => value.length > MAX_PARAMETER) ?? [];
  return name === undefined ? undefined : `"${name.slice(0, 64)}" is longer than ${MAX_PARAMETER} characters`;
}

/** Browser-based clients register too, and oidc-provider answers no preflight there. */
async function mayRegister({ limits, places, audit }: BrokerRoutesContext, ctx: Context): Promise<boolean> {
  ctx.set('Access-Control-Allow-Origin', '*');
  ctx.res.setHeader('Access-Control-Allow-Origin', '*');
  if (ctx.method === 'OPTIONS') {
    ctx.set({ 'Access-Control-Allow-Methods': 'POST', 'Access-Control-Allow-Headers': 'Content-Type, Authorization' });
    ctx.status = 204;
    return false;
  }
  if (ctx.method !== 'POST') return true;
  const address = places.addressOf(ctx.req);
  const wait = await limits.registration(address);
  if (wait === undefined) return true;
  audit.note('registration_refused', { address, error: 'too_many_requests' }, 'too many registrations');
  ctx.status = 429;
  ctx.set({ 'Retry-After': String(Math.max(1, Math.ceil(wait / 1_000))), 'Cache-Control': 'no-store' });
  ctx.body = { error: 'too_many_requests', error_description: 'too many registrations; try again later' };
  return false;
}

/** Addresses are made of the configured origin, never of what a client or a proxy says it asked. */
function prepare(
  req: IncomingMessage,
  { endpoint, path }: OAuthTarget,
  { issuer, resourceServers }: BrokerRoutesContext,
): void {
  const origin = new URL(issuer);
  const url = new URL(req.url ?? '/', origin);
  url.pathname = path;
  req.headers.host = origin.host;
  req.headers['x-forwarded-proto'] = origin.protocol.slice(0, -1);
  delete req.headers['x-forwarded-host'];
  if (endpoint === 'authorization') completeScope(url.searchParams, resourceServers);
  req.url = url.pathname + url.search;
}

/** RFC 6749 §3.3: who asks for no scope that there is gets the default, and is told so by the answer. */
function completeScope(query: URLSearchParams, resourceServers: ResourceServers): void {
  const scopes = query.getAll('scope');
  const indicators = query.getAll('resource');
  if (scopes.length > 1 || indicators.length > 1) return;
  const asked = (scopes[0] ?? '').split(' ').filter(Boolean);
  const offered = resourceServers.allScopes();
  if (asked.some((scope) => offered.includes(scope))) return;
  query.set('scope', [...asked, ...resourceServers.defaultScopes(indicators[0])].join(' '));
}

function showFailure({ log }: BrokerRoutesContext, ctx: Context, error: unknown): void {
  const known = error instanceof PosternError ? error : new PosternError('internal', 'something went wrong');
  const away = known.status === 503;
  log[known.status >= 500 ? 'error' : 'info']({ error, path: ctx.path, requestId: ctx.state.requestId }, 'no consent');
  ctx.remove('Set-Cookie');
  showProblem(ctx, {
    status: known.status,
    problem: away ? 'away' : 'failed',
    ...(known.expose && { advice: `${known.message}.` }),
    ...(away && { retryAfter: 5 }),
  });
}
