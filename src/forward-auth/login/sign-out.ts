import type { Context } from 'koa';
import { readForm } from '../../platform/pages/form.ts';
import { html } from '../../platform/pages/html.ts';
import { COMMON_HEADERS } from '../../platform/pages/page.ts';
import { showProblem, visitOf } from '../../platform/pages/visit.ts';
import { SIGN_IN_PATHS } from '../decision/own-endpoints.ts';
import type { Session } from '../sessions/session.ts';
import { currentSession, type LoginContext, redirect, signInAgain } from './context.ts';
import { formToken, isOwnForm } from './forms.ts';
import { showSignedOut, showSignOut } from './pages.ts';

const PURPOSE = 'signed-out';

/** GET /_postern/sign-out: asks first, because a link or an image of another site could lead here. */
export async function askToSignOut(login: LoginContext, ctx: Context): Promise<void> {
  const back = login.returns.acceptOrFallback(new URLSearchParams(ctx.querystring).get('rd') ?? undefined);
  const session = await currentSession(login, ctx);
  if (session === undefined) return showSignedOut(ctx, signInAgain(back));
  const leadsTo = await endSessionUrl(login, ctx, session, back);
  const hidden = html`${formToken(login, session)}<input type="hidden" name="rd" value="${back}">`;
  showSignOut(ctx, session, hidden, leadsTo === undefined ? [] : [new URL(leadsTo).origin]);
}

/** POST /_postern/sign-out: ends the session in the store, then in the browser, then at the provider. */
export async function signOut(login: LoginContext, ctx: Context): Promise<void> {
  const form = await readForm(ctx);
  const back = login.returns.acceptOrFallback(form.get('rd') ?? undefined);
  const session = await currentSession(login, ctx);
  if (session !== undefined && !isOwnForm(login, ctx, session, form)) return refuseForm(ctx);
  if (session !== undefined) {
    await login.sessions.end(session.key, 'signed_out');
    login.log.info({ provider: session.provider, identity: session.identity }, 'user signed out');
    removeCookie(login, ctx);
    visitOf(ctx).person = undefined;
  }
  const leadsTo = session === undefined ? undefined : await endSessionUrl(login, ctx, session, back);
  redirect(ctx, 303, leadsTo ?? `${SIGN_IN_PATHS.signedOut}?${new URLSearchParams({ rd: back })}`);
}

/** GET /_postern/signed-out, where the provider leads back to. */
export function showEnd(login: LoginContext, ctx: Context): void {
  const query = new URLSearchParams(ctx.querystring);
  const state = login.sealing.open(PURPOSE, query.get('state') ?? '')?.toString();
  showSignedOut(ctx, signInAgain(login.returns.acceptOrFallback(state ?? query.get('rd') ?? undefined)));
}

/**
 * GET /_postern/frontchannel-logout (OpenID Connect Front-Channel Logout 1.0 §3), in a frame of the provider. Only the
 * session that both parameters name ends; anybody can open this address.
 */
export async function frontChannelLogout(login: LoginContext, ctx: Context): Promise<void> {
  const query = new URLSearchParams(ctx.querystring);
  const session = await currentSession(login, ctx);
  const sid = query.get('sid');
  if (session?.providerSession !== undefined && session.providerSession === sid) {
    if (session.identity.issuer === query.get('iss')) {
      await login.sessions.end(session.key, 'provider_logout');
      removeCookie(login, ctx);
    }
  }
  const issuers = [...login.providers.values()].map(({ config }) => new URL(config.issuer).origin);
  ctx.set(COMMON_HEADERS);
  ctx.set('Content-Security-Policy', `default-src 'none'; frame-ancestors ${issuers.join(' ')}`);
  ctx.type = 'html';
  ctx.body = '<!doctype html><html lang="en"><title>Signed out</title></html>';
}

/** The form is on the page at the address that it went to. */
export function refuseForm(ctx: Context): void {
  showProblem(ctx, { status: 403, problem: 'foreign_form', again: ctx.path, againText: 'page.try_again' });
}

export function removeCookie(login: LoginContext, ctx: Context): void {
  const { hostname } = new URL(login.places.originOf(ctx.req));
  for (const cookie of login.sessions.removal(hostname)) ctx.append('Set-Cookie', cookie);
}

async function endSessionUrl(
  login: LoginContext,
  ctx: Context,
  session: Session,
  back: string,
): Promise<string | undefined> {
  const after = login.places.originOf(ctx.req) + SIGN_IN_PATHS.signedOut;
  return login.providers.get(session.provider)?.endSessionUrl(session, after, login.sealing.seal(PURPOSE, back));
}
