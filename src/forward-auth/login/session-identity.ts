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
  const pointed =
    typeof names === 'object' && names !== null && provider.claims.groups.some((claim) => Object.hasOwn(names, claim));
  return pointed || claims.hasgroups === true || claims.hasgroups === 'true';
}

/** Why an address does not let its owner sign in, and what an operator can do about it; neither names the address. */
export interface AddressRefusal {
  readonly reason: 'email_missing' | 'email_unverified' | 'email_not_listed';
  readonly fix: string;
}

/**
 * By the provider's lists. An address counts only where the provider says that it is verified, or where the operator says so of all
 * of its addresses.
 */
export function refusedAddress(
  claims: Claims,
  identity: Identity,
  provider: ProviderConfig,
): AddressRefusal | undefined {
  const { id, allowedEmails, allowedDomains, trustEmails } = provider;
  if (allowedEmails.length === 0 && allowedDomains.length === 0) return undefined;
  const { email_verified: verified } = claims;
  if (verified === undefined && !trustEmails)
    return {
      reason: 'email_unverified',
      fix: `the provider sends no email_verified: set trustEmails of the provider "${id}" in auth.providers, if users cannot choose their own address there`,
    };
  if (verified !== undefined && verified !== true && verified !== 'true')
    return { reason: 'email_unverified', fix: 'the provider says that the address is not verified' };
  if (identity.email === '')
    return {
      reason: 'email_missing',
      fix: `no address in the claim "${provider.claims.email}": ask for the scope "email", or set claims.email of the provider "${id}" in auth.providers`,
    };
  const email = identity.email.toLowerCase();
  const domain = email.slice(email.indexOf('@') + 1);
  const listed =
    allowedEmails.some((allowed) => allowed.toLowerCase() === email) ||
    allowedDomains.some((allowed) => allowed.toLowerCase() === domain);
  if (listed) return undefined;
  return {
    reason: 'email_not_listed',
    fix: `add the address or its domain to allowedEmails or allowedDomains of the provider "${id}" in auth.providers`,
  };
}
