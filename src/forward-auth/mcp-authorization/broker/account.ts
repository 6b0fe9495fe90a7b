import type { Identity } from '../../../identity/identity.ts';

/**
 * The broker's name for a person (`sub`): the provider's id and the subject there, because subjects are unique within one
 * provider only (OpenID Connect Core §5.7) and a token's `sub` within its issuer.
 */
export function accountId(provider: string, subject: string): string {
  return `${provider}|${subject}`;
}

/** @returns undefined where it is no name of a person */
export function readAccountId(text: unknown): { readonly provider: string; readonly subject: string } | undefined {
  const [, provider, subject] = (typeof text === 'string' && /^([a-z0-9-]+)\|(.+)$/s.exec(text)) || [];
  return provider === undefined || subject === undefined ? undefined : { provider, subject };
}

/** Of a person or a client. */
export type KnownIdentity = Pick<Identity, 'username' | 'email' | 'name' | 'groups'>;

/** What an access token says of a person or a client beside `sub`, `scope` and the rest of RFC 9068. */
export function identityClaims({ username = '', email, name, groups }: KnownIdentity): object {
  return {
    // RFC 7662 §2.2; `preferred_username` is what applications tell people apart by, and stays the subject.
    ...(username === '' ? {} : { username }),
    ...(email === '' ? {} : { email }),
    ...(name === '' ? {} : { name }),
    ...(groups.length === 0 ? {} : { groups: [...groups] }),
  };
}
