import type { Identity } from '../../identity/identity.ts';
import type { ProviderConfig } from '../../platform/config/schema.ts';
import { readPerson } from '../authenticators/token-claims.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** @returns undefined where the claims name no subject */
export function sessionIdentity(
  claims: Claims,
  provider: ProviderConfig,
  scopes: readonly string[],
): Identity | undefined {
  const identity = readPerson(claims, provider);
  return identity && { ...identity, scopes, method: 'session' };
}

/**
 * The token only points to the groups, because they are too many for it: OpenID Connect Core §5.6.2 (distributed claims),
 * and Entra's `hasgroups` in tokens that travel in addresses.
 */
export function isGroupOverage(claims: Claims, provider: ProviderConfig): boolean {
  const names = claims._claim_names;
  const pointed = typeof names === 'object' && names !== null && Object.hasOwn(names, provider.claims.groups);
  return pointed || claims.hasgroups === true || claims.hasgroups === 'true';
}

/** By the provider's lists. An address counts only where the provider says that it is verified. */
export function mayThey(claims: Claims, identity: Identity, provider: ProviderConfig): boolean {
  const { allowedEmails, allowedDomains } = provider;
  if (allowedEmails.length === 0 && allowedDomains.length === 0) return true;
  const verified = claims.email_verified === true || claims.email_verified === 'true';
  if (!verified || identity.email.split('@').length !== 2) return false;
  const email = identity.email.toLowerCase();
  const domain = email.slice(email.indexOf('@') + 1);
  return (
    allowedEmails.some((allowed) => allowed.toLowerCase() === email) ||
    allowedDomains.some((allowed) => allowed.toLowerCase() === domain)
  );
}
