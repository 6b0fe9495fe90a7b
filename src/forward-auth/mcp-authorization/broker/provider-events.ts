import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Person } from '../../../identity/user.ts';
import type { Logger } from '../../../platform/log.ts';
import type { Watcher } from '../../../watch/watch.ts';
import { readAccountId } from './account.ts';
import type { Accounts } from './accounts.ts';
import type { About, AuthorizationAudit, Refusable } from './audit.ts';
import { grantHandle } from './grants.ts';
import { oidcErrors } from './oidc-library.ts';

export interface ProviderEventsDependencies {
  readonly audit: AuthorizationAudit;
  readonly accounts: Pick<Accounts, 'identityOf'>;
  /** Issuers by the id of the provider. */
  readonly issuers: ReadonlyMap<string, string>;
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
    audit.note('token_issued', { ...about(ctx, deps), ...more }, 'tokens issued');
  });
  provider.on('registration_create.success', (_ctx, { clientId: client, clientName: name, redirectUris: redirects }) =>
    audit.note('client_registered', { client, name, redirects }, 'a client registered'),
  );
  provider.on('grant.revoked', (ctx, grant) =>
    audit.note('grant_revoked', { ...about(ctx, deps), grant: grantHandle(grant) }, 'a grant was taken back'),
  );
  const refused = (what: Refusable) => (ctx: KoaContextWithOIDC, error: Error) =>
    audit.note(`${what}_refused`, { ...about(ctx, deps), ...reasonOf(error) }, `a request was refused: ${what}`);
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

function observeReuse(deps: ProviderEventsDependencies, ctx: KoaContextWithOIDC, error: Error): void {
  const reason = error instanceof oidcErrors().OIDCProviderError ? REUSES.get(error.error_detail) : undefined;
  if (reason === undefined) return;
  // Of a code the library does not say whose it was; the line `grant_revoked` names the grant.
  deps.watch?.observe({ kind: 'token_reuse', person: personIn(ctx, deps), reason, address: deps.addressOf(ctx) });
}

/** Whose grant or token it is, as everything else has them: by the provider's issuer, not by its id. */
function personIn({ oidc }: KoaContextWithOIDC, { accounts, issuers }: ProviderEventsDependencies): Person | undefined {
  const { Account: account } = oidc.entities;
  const read = readAccountId(account?.accountId);
  return read && { ...accounts.identityOf(account), issuer: issuers.get(read.provider) ?? '', subject: read.subject };
}

function reasonOf(error: Error): object {
  if (!(error instanceof oidcErrors().OIDCProviderError)) return { error: error.name };
  return { error: error.error, reason: error.error_description, detail: error.error_detail };
}

function about(ctx: KoaContextWithOIDC, deps: ProviderEventsDependencies): About {
  const { oidc, path, state } = ctx;
  const params = (oidc.params ?? {}) as Record<string, unknown>;
  return {
    path,
    requestId: state.requestId as string | undefined,
    client: oidc.client?.clientId ?? shown(params.client_id),
    identity: personIn(ctx, deps),
    grantType: shown(params.grant_type),
    resource: shown(params.resource),
  };
}

/** What a stranger sends is kept short. */
function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 256);
}
