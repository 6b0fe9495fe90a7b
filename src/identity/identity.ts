import type { Person } from './user.ts';

/** How the caller proved who they are. Sent as `X-Authenticated-Method`. */
export type IdentityMethod = 'session' | 'bearer' | 'api-key' | 'mtls' | 'anonymous';

/**
 * Who is calling. Every field is always present: an empty string or list says "no value", so that the headers made
 * from it always overwrite whatever a client sent.
 */
export interface Identity {
  /** Stable subject of the issuer (OIDC Core §2 `sub`); empty for anonymous. */
  readonly subject: string;
  /** What people and operators call them; absent where nobody says. No rule goes by it: some providers let people choose it. */
  readonly username?: string;
  readonly email: string;
  readonly name: string;
  readonly groups: readonly string[];
  /** OAuth scopes granted to this credential (RFC 6749 §3.3). */
  readonly scopes: readonly string[];
  readonly method: IdentityMethod;
  /** Issuer identifier (RFC 8414 §2); empty for anonymous. */
  readonly issuer: string;
}

export const ANONYMOUS: Identity = Object.freeze({
  subject: '',
  email: '',
  name: '',
  groups: Object.freeze([]),
  scopes: Object.freeze([]),
  method: 'anonymous',
  issuer: '',
});

/** Who a person is by a credential of whom only some is known. */
export function identityOf(
  { issuer, subject, username, email = '', name = '' }: Person,
  { method, groups = [], scopes = [] }: Pick<Identity, 'method'> & Partial<Pick<Identity, 'groups' | 'scopes'>>,
): Identity {
  return { issuer, subject, ...(username && { username }), email, name, groups, scopes, method };
}

const METHODS: ReadonlySet<string> = new Set<IdentityMethod>(['session', 'bearer', 'api-key', 'mtls', 'anonymous']);

export function isIdentityMethod(value: string): value is IdentityMethod {
  return METHODS.has(value);
}

/** Two credentials of one person are the same owner: subjects are unique per issuer only (OIDC Core §5.7). */
export function ownerKey(identity: Identity): string {
  return JSON.stringify([identity.method === 'anonymous' ? 'anonymous' : '', identity.issuer, identity.subject]);
}

/** What people call themselves, or are called by their provider. */
export function displayName({ name, email, subject }: Pick<Identity, 'name' | 'email' | 'subject'>): string {
  return name || email || subject;
}
