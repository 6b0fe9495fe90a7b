import type { Context } from 'koa';
import { html } from '../../platform/pages/html.ts';
import { requestLine, showPage, visitOf } from '../../platform/pages/visit.ts';
import type { LoginContext } from './context.ts';

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
  const { say } = visitOf(ctx);
  const { origin, host } = new URL(right);
  // The browser may well show https: then what stands before the proxy speaks http to it, and the proxy does not say otherwise.
  const sameHost = asked !== undefined && URL.canParse(asked) && new URL(asked).host === host;
  const came =
    asked === undefined
      ? say('address.came_otherwise', { right: origin })
      : say('address.came', { address: asked, right: origin });
  showPage(
    ctx,
    say('address.title'),
    html`<p role="alert">${came}</p>
<p><a class="button" href="${right}">${say('address.go', { address: right.length > 100 ? origin : right })}</a></p>
${sameHost ? html`<p class="quiet">${say('address.hint')}</p>` : undefined}${requestLine(ctx)}`,
    { status: 404 },
  );
}
