import { claimAt } from '../../identity/claim-path.ts';
import { type GroupClaims, readGroups } from '../../identity/group-claims.ts';
import type { Identity } from '../../identity/identity.ts';

export type Claims = Readonly<Record<string, unknown>>;

/** Which claims hold what; a name with dots leads into objects where no claim has the whole name. */
export interface ClaimNames extends GroupClaims {
  readonly subject: string;
  /** Absent: as `USUAL_CLAIMS` has it. */
  readonly username?: string;
  readonly email: string;
  readonly name: string;
}

/** OIDC Core §5.1, and what providers agree on for groups. */
export const USUAL_CLAIMS = {
  subject: 'sub',
  username: 'preferred_username',
  email: 'email',
  name: 'name',
  groups: ['groups'],
  groupName: 'name',
} as const satisfies ClaimNames;

/**
 * The identity of a verified token.
 *
 * @returns undefined where there is no subject, or where it is an address that nobody verified
 */
export function readClaims(claims: Claims, names: ClaimNames): Identity | undefined {
  // OIDC Core §5.1. Whoever may write any address into their account would otherwise become its owner.
  const unverified = claims.email_verified === false || claims.email_verified === 'false';
  const subject = text(claimAt(claims, names.subject));
  if (subject === '' || (unverified && (names.subject === names.email || names.subject === 'email'))) return undefined;
  const username = text(claimAt(claims, names.username ?? USUAL_CLAIMS.username));
  return {
    subject,
    ...(username === '' ? {} : { username }),
    email: unverified ? '' : text(claimAt(claims, names.email)),
    name: text(claimAt(claims, names.name)),
    groups: readGroups(claims, names),
    scopes: text(claims.scope).split(' ').filter(Boolean),
    method: 'bearer',
    issuer: text(claims.iss),
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
