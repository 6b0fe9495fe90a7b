import type { Context } from 'koa';
import { type Html, html } from '../../platform/pages/html.ts';
import type { Session } from '../sessions/session.ts';
import type { LoginContext } from './context.ts';

const PURPOSE = 'form';

/** A hidden field that only a page of this very session can hold. */
export function formToken({ sealing }: LoginContext, session: Session): Html {
  return html`<input type="hidden" name="token" value="${sealing.seal(PURPOSE, session.key)}">`;
}

/**
 * Whether a form came from our own page: by its token, or because the browser says so. Our pages send no `Referrer`, so
 * that older browsers write `Origin: null`; then the token alone decides.
 */
export function isOwnForm(login: LoginContext, ctx: Context, session: Session, form: URLSearchParams): boolean {
  const token = form.get('token') ?? '';
  if (token !== '') return login.sealing.open(PURPOSE, token)?.toString() === session.key;
  const site = ctx.get('sec-fetch-site');
  if (site !== '') return site === 'same-origin';
  return ctx.get('origin') === login.places.originOf(ctx.req);
}
