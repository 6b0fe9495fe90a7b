import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { html } from '../../../platform/pages/html.ts';
import { requestLine, showPage, visitOf } from '../../../platform/pages/visit.ts';
import { redirectPlace } from './redirect-uris.ts';

/** What oidc-provider refuses or cannot do, by request. */
const refusals = new WeakMap<object, Error & { readonly statusCode?: number; readonly error_description?: string }>();
/** Requests that {@link showError} has answered already. */
const shown = new WeakSet<object>();

/**
 * Shows our own page before a refusal leads to an address that nobody vouches for: anybody can register one, so a request that must
 * fail (a wrong scope, `prompt=none`) would send whoever follows a link of ours straight on to it (RFC 9700 §4.11.2). After our
 * consent page, which names the address, the person has chosen.
 *
 * @param isTrusted whether the operator has written down the client's redirects
 */
export function showRefusalsFirst(provider: Provider, isTrusted: (client: string) => boolean): void {
  const remember = (ctx: KoaContextWithOIDC, error: Error) => void refusals.set(ctx.req, error);
  provider.on('authorization.error', remember);
  provider.on('server_error', remember);
  provider.use(async (context, next) => {
    await next();
    const ctx = context as KoaContextWithOIDC;
    const refusal = refusals.get(ctx.req);
    if (refusal === undefined || shown.has(ctx.req) || ctx.oidc?.route !== 'authorization') return;
    const { client } = ctx.oidc;
    if (client !== undefined && isTrusted(client.clientId)) return;
    showRefusal(ctx, refusal, client?.clientName);
  });
}

/** The page in the place of a redirect has been shown. */
export function markShown(ctx: KoaContextWithOIDC): void {
  shown.add(ctx.req);
}

type Refusal = NonNullable<ReturnType<typeof refusals.get>>;

function showRefusal(
  ctx: KoaContextWithOIDC,
  { message, error_description, statusCode = 500 }: Refusal,
  name?: string,
) {
  const { say } = visitOf(ctx);
  const application = html`<strong>${name ?? say('application_refused.unnamed')}</strong>`;
  // None with `response_mode=form_post`, whose page would send itself.
  const onwards = ctx.response.get('Location') || undefined;
  ctx.remove('Location');
  const why = error_description === undefined ? message : `${message}: ${error_description}`;
  const link =
    onwards === undefined
      ? undefined
      : html`<p><a class="button secondary" rel="noreferrer" href="${onwards}">${say('return.link', { application: redirectPlace(onwards) })}</a></p>`;
  showPage(
    ctx,
    say('failed.title'),
    html`<p role="alert">${say('application_refused.text', { application, reason: why })}</p>
<p>${say('application_refused.nothing')}</p>${link}${requestLine(ctx)}`,
    { status: statusCode >= 400 ? statusCode : 400 },
  );
}
