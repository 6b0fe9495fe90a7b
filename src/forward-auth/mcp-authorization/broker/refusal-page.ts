import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { html } from '../../../platform/pages/html.ts';
import { showPage } from '../../login/pages.ts';
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
    showRefusal(ctx, refusal, client?.clientName ?? 'The application');
  });
}

/** The page in the place of a redirect has been shown. */
export function markShown(ctx: KoaContextWithOIDC): void {
  shown.add(ctx.req);
}

type Refusal = NonNullable<ReturnType<typeof refusals.get>>;

function showRefusal(ctx: KoaContextWithOIDC, { message, error_description, statusCode = 500 }: Refusal, name: string) {
  // None with `response_mode=form_post`, whose page would send itself.
  const onwards = ctx.response.get('Location') || undefined;
  ctx.remove('Location');
  const why = error_description === undefined ? message : `${message}: ${error_description}`;
  const link =
    onwards === undefined
      ? undefined
      : html`<p><a class="button secondary" rel="noreferrer" href="${onwards}">Return to ${redirectPlace(onwards)}</a></p>`;
  showPage(
    ctx,
    'That did not work',
    html`<p role="alert"><strong>${name}</strong> sent a request that cannot be served (${why}).</p>
<p>Nothing was given to it. Return only if you have just started it yourself: the address is not verified.</p>${link}
<p class="quiet">Request ${ctx.state.requestId as string}</p>`,
    { status: statusCode >= 400 ? statusCode : 400 },
  );
}
