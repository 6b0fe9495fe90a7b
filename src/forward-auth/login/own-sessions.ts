import type { Context } from 'koa';
import { readForm } from '../../platform/pages/form.ts';
import { COMMON_HEADERS } from '../../platform/pages/page.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { Session } from '../sessions/session.ts';
import { currentSession, type LoginContext, redirect, signInAgain, signInForForm } from './context.ts';
import { formToken, isOwnForm } from './forms.ts';
import { shortAgent, showSessions } from './pages.ts';
import { refuseForm, removeCookie } from './sign-out.ts';

/** GET /_postern/me: who is signed in, for single-page apps. Never a token. */
export async function showMe(login: LoginContext, ctx: Context): Promise<void> {
  const session = await currentSession(login, ctx);
  if (session === undefined) return sendUnauthorized(login, ctx);
  const { identity, provider, createdAt, endsAt } = session;
  const { subject, email, name, groups, issuer } = identity;
  const [since, ends] = [createdAt, endsAt].map((at) => new Date(at).toISOString());
  ctx.set(COMMON_HEADERS);
  ctx.body = { signedIn: true, subject, email, name, groups, issuer, provider, since, endsAt: ends };
}

/** GET /_postern/sessions: one's own, as a page or as JSON. */
export async function listSessions(login: LoginContext, ctx: Context): Promise<void> {
  const session = await currentSession(login, ctx);
  if (session === undefined)
    return wantsJson(ctx) ? sendUnauthorized(login, ctx) : redirect(ctx, 302, signInAgain(SIGN_IN_PATHS.sessions));
  const own = await login.sessions.ofUser(session.identity.issuer, session.identity.subject);
  if (!wantsJson(ctx)) return showSessions(ctx, own, session, formToken(login, session));
  ctx.set(COMMON_HEADERS);
  ctx.body = { sessions: own.map((entry) => describe(entry, session)) };
}

/** POST /_postern/sessions: ends one of one's own by its key, or all but this one. */
export async function endSessions(login: LoginContext, ctx: Context): Promise<void> {
  const form = await readForm(ctx);
  const session = await currentSession(login, ctx);
  if (session === undefined)
    return wantsJson(ctx) ? sendUnauthorized(login, ctx) : redirect(ctx, 303, signInForForm(ctx));
  if (!isOwnForm(login, ctx, session, form)) return refuseForm(ctx);
  const own = await login.sessions.ofUser(session.identity.issuer, session.identity.subject);
  const key = form.get('end');
  const others = form.has('others');
  // By looking among one's own: a key of somebody else's is none.
  const meant = own.filter((entry) => (key === null ? others && entry.key !== session.key : entry.key === key));
  for (const entry of meant) await login.sessions.end(entry.key, 'signed_out');
  const ownEnded = meant.some((entry) => entry.key === session.key);
  if (ownEnded) removeCookie(login, ctx);
  // The list would lead on to the provider, who may sign the person in again at once.
  if (!wantsJson(ctx)) return redirect(ctx, 303, ownEnded ? SIGN_IN_PATHS.signedOut : SIGN_IN_PATHS.sessions);
  ctx.set(COMMON_HEADERS);
  ctx.status = key !== null && meant.length === 0 ? 404 : 200;
  ctx.body = { ended: meant.length };
}

function describe(entry: Session, current: Session) {
  return {
    key: entry.key,
    current: entry.key === current.key,
    device: shortAgent(entry.userAgent),
    address: entry.address,
    provider: entry.provider,
    since: new Date(entry.createdAt).toISOString(),
    endsAt: new Date(entry.endsAt).toISOString(),
  };
}

function wantsJson(ctx: Context): boolean {
  return ctx.accepts('html', 'json') === 'json';
}

function sendUnauthorized({ places, returns }: LoginContext, ctx: Context): void {
  ctx.status = 401;
  ctx.set(COMMON_HEADERS);
  ctx.body = { signedIn: false, sign_in_url: places.originOf(ctx.req) + signInAgain(returns.fallback) };
}
