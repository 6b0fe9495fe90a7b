import type { KoaContextWithOIDC, Provider } from 'oidc-provider';
import { DEVELOPMENT_SCOPES, findAccountByName, isEntitled, signIn } from './development-accounts.ts';
import { consentPage, type Page, signInPage } from './development-pages.ts';

const PATH = /^\/interaction\/([\w-]{1,64})$/;
const MAX_FORM_BYTES = 4096;

/** Address of the pages for one interaction (oidc-provider's `interactions.url`). */
export function interactionUrl(uid: string): string {
  return `/interaction/${uid}`;
}

/**
 * Sign-in and consent. The interaction's cookie, which oidc-provider sets for exactly this path with SameSite=Lax, is what
 * binds a form to the browser that got it: another site's form comes without.
 */
export function signInPages(provider: Provider) {
  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    if (!PATH.test(ctx.path)) return next();
    const interaction = await provider.interactionDetails(ctx.req, ctx.res);
    const form = ctx.method === 'POST' ? await readForm(ctx) : undefined;
    if (interaction.prompt.name === 'login') return login(provider, ctx, interaction, form);
    return consent(provider, ctx, interaction, form);
  };
}

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

async function login(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  interaction: Interaction,
  form: URLSearchParams | undefined,
): Promise<void> {
  const account = form && signIn(form.get('username'), form.get('password'));
  if (account === undefined) {
    const redirectUri = text(interaction.params.redirect_uri);
    return show(ctx, signInPage(ctx.path, redirectUri, form !== undefined), form === undefined ? 200 : 401);
  }
  await finish(provider, ctx, { login: { accountId: account.name, remember: true } });
}

async function consent(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  interaction: Interaction,
  form: URLSearchParams | undefined,
): Promise<void> {
  const { details } = interaction.prompt;
  const accountId = interaction.session?.accountId ?? '';
  const account = findAccountByName(accountId);
  const client = await provider.Client.find(String(interaction.params.client_id));
  if (account === undefined || client === undefined) return ctx.throw(400, 'unknown account or client');

  const oidcScopes = (details.missingOIDCScope ?? []) as string[];
  const resourceScopes = (details.missingResourceScopes ?? {}) as Record<string, string[]>;
  if (form === undefined) {
    const asked = new Set([...oidcScopes, ...Object.values(resourceScopes).flat()]);
    return show(
      ctx,
      consentPage(ctx.path, text(interaction.params.redirect_uri) ?? '', {
        client: client.clientName ?? client.clientId,
        account: account.displayName,
        scopes: DEVELOPMENT_SCOPES.filter((scope) => asked.has(scope) && isEntitled(account, scope)),
        resources: Object.keys(resourceScopes),
      }),
    );
  }
  if (form.get('answer') !== 'allow')
    return finish(provider, ctx, { error: 'access_denied', error_description: 'the user said no' });

  const existing = interaction.grantId === undefined ? undefined : await provider.Grant.find(interaction.grantId);
  const grant = existing ?? new provider.Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope(oidcScopes.filter((scope) => isEntitled(account, scope)).join(' '));
  grant.rejectOIDCScope(oidcScopes.filter((scope) => !isEntitled(account, scope)).join(' '));
  grant.addOIDCClaims((details.missingOIDCClaims ?? []) as string[]);
  for (const [resource, scopes] of Object.entries(resourceScopes)) {
    grant.addResourceScope(resource, scopes.filter((scope) => isEntitled(account, scope)).join(' '));
    grant.rejectResourceScope(resource, scopes.filter((scope) => !isEntitled(account, scope)).join(' '));
  }
  await finish(provider, ctx, { consent: { grantId: await grant.save() } });
}

async function finish(provider: Provider, ctx: KoaContextWithOIDC, result: object): Promise<void> {
  const mergeWithLastSubmission = !('error' in result);
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result as never, { mergeWithLastSubmission }));
  ctx.status = 303;
}

function show(ctx: KoaContextWithOIDC, { html, headers }: Page, status = 200): void {
  ctx.status = status;
  ctx.set({ ...headers });
  ctx.body = html;
}

async function readForm(ctx: KoaContextWithOIDC): Promise<URLSearchParams> {
  let body = '';
  for await (const chunk of ctx.req) {
    body += chunk;
    if (body.length > MAX_FORM_BYTES) ctx.throw(413, 'the form is too large');
  }
  return new URLSearchParams(body);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
