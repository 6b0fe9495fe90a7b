import type { Context } from 'koa';
import { html } from '../../platform/pages/html.ts';
import type { LoginContext } from './context.ts';
import { showPage } from './pages.ts';

/**
 * GET /_postern/wrong-address: for somebody who came by an address at which no session would count, such as an alias, the host
 * without its port, or http where `publicUrl` is https.
 */
export function showWrongAddress(login: LoginContext, ctx: Context): void {
  const from = new URLSearchParams(ctx.querystring).get('from') ?? '';
  const url = /^https?:\/\//i.test(from) && URL.canParse(from) ? new URL(from) : undefined;
  const { returns } = login;
  nameRightAddress(
    ctx,
    url?.origin,
    url === undefined ? returns.fallback : returns.acceptOrFallback(url.pathname + url.search),
  );
}

/** @param asked origin, for the eyes only: whoever made a link to this page chose it */
export function nameRightAddress(ctx: Context, asked: string | undefined, right: string): void {
  const { origin, host } = new URL(right);
  const came = asked === undefined ? 'You came by another address' : `You came by ${asked}`;
  // The browser may well show https: then what stands before the proxy speaks http to it, and the proxy does not say otherwise.
  const sameHost = asked !== undefined && URL.canParse(asked) && new URL(asked).host === host;
  const hint = sameHost
    ? html`<p class="quiet">For the administrator: the proxy describes the request by X-Forwarded-Proto, and publicUrl says otherwise.</p>`
    : undefined;
  const { requestId } = ctx.state as { requestId: string };
  showPage(
    ctx,
    'The address is another one',
    html`<p role="alert">${came}. Sign-in works at ${origin} only.</p>
<p><a class="button" href="${right}">Go to ${right.length > 100 ? origin : right}</a></p>${hint}<p class="quiet">Request ${requestId}</p>`,
    { status: 404 },
  );
}
