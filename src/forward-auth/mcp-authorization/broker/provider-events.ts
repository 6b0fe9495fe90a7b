import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Logger } from '../../../platform/log.ts';
import type { Watcher } from '../../../watch/watch.ts';
import { readAccountId } from './account.ts';
import type { About, AuthorizationAudit, Refusable } from './audit.ts';
import { grantHandle } from './grants.ts';
import { oidcErrors } from './oidc-library.ts';

export interface ProviderEventsDependencies {
  readonly audit: AuthorizationAudit;
  readonly watch: Watcher | undefined;
  readonly addressOf: (ctx: KoaContextWithOIDC) => string;
  readonly log: Logger;
}

/** What oidc-provider gives and refuses: who asked, for what, and why not. */
export function noteProviderEvents(provider: Provider, deps: ProviderEventsDependencies): void {
  const { audit, log } = deps;
  provider.on('grant.success', (ctx) => {
    const grant = ctx.oidc.entities.Grant?.jti;
    const more = grant === undefined ? {} : { grant: grantHandle(grant) };
    audit.note('token_issued', { ...about(ctx), ...more }, 'tokens issued');
  });
  provider.on('registration_create.success', (_ctx, { clientId: client, clientName: name, redirectUris: redirects }) =>
    audit.note('client_registered', { client, name, redirects }, 'a client registered'),
  );
  provider.on('grant.revoked', (ctx, grant) =>
    audit.note('grant_revoked', { ...about(ctx), grant: grantHandle(grant) }, 'a grant was taken back'),
  );
  const refused = (what: Refusable) => (ctx: KoaContextWithOIDC, error: Error) =>
    audit.note(`${what}_refused`, { ...about(ctx), ...reasonOf(error) }, `a request was refused: ${what}`);
  provider.on('grant.error', (ctx, error) => {
    refused('token')(ctx, error);
    observeReuse(deps, ctx, error);
  });
  provider.on('authorization.error', refused('authorization'));
  provider.on('registration_create.error', refused('registration'));
  provider.on('revocation.error', refused('revocation'));
  provider.on('introspection.error', refused('introspection'));
  provider.on('server_error', (ctx, error) => log.error({ error, path: ctx.path }, 'the authorization server failed'));
}

/** By what oidc-provider says of a thing that was used before; it takes back what that was good for (RFC 9700 §4.14.2). */
const REUSES: ReadonlyMap<unknown, 'refresh_token' | 'authorization_code'> = new Map([
  ['refresh token already used', 'refresh_token'],
  ['authorization code already consumed', 'authorization_code'],
]);

function observeReuse({ watch, addressOf }: ProviderEventsDependencies, ctx: KoaContextWithOIDC, error: Error): void {
  const reason = error instanceof oidcErrors().OIDCProviderError ? REUSES.get(error.error_detail) : undefined;
  if (reason === undefined) return;
  // Of a code the library does not say whose it was; the line `grant_revoked` names the grant.
  const { subject } = readAccountId(ctx.oidc.entities.Account?.accountId) ?? {};
  const person = subject === undefined ? undefined : { user: subject };
  watch?.observe({ kind: 'token_reuse', person, reason, address: addressOf(ctx) });
}

function reasonOf(error: Error): object {
  if (!(error instanceof oidcErrors().OIDCProviderError)) return { error: error.name };
  return { error: error.error, reason: error.error_description, detail: error.error_detail };
}

function about({ oidc, path, state }: KoaContextWithOIDC): About {
  const params = (oidc.params ?? {}) as Record<string, unknown>;
  return {
    path,
    requestId: state.requestId as string | undefined,
    client: oidc.client?.clientId ?? shown(params.client_id),
    subject: oidc.entities.Account?.accountId,
    grantType: shown(params.grant_type),
    resource: shown(params.resource),
  };
}

/** What a stranger sends is kept short. */
function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 256);
}
