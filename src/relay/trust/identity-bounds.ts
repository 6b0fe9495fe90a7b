import type { Identity } from '../../identity/identity.ts';
import { identitySize } from '../../identity/identity-size.ts';
import type { Refusal } from '../refusal.ts';

/**
 * What no honest proxy says of a person: a subject with control characters, which breaks whatever reads a line, or more
 * than fits into anybody's memory and headers.
 *
 * @param limit bytes of all texts together
 */
export function identityProblem(identity: Identity, limit: number): Refusal | undefined {
  if (/\p{Cc}/u.test(identity.subject))
    return {
      status: 401,
      reason: 'identity_malformed',
      message: 'the identity of the request could not be verified',
      fix: 'the user holds control characters; look at what the proxy or the provider makes of its names',
    };
  const size = identitySize(identity);
  if (size <= limit) return undefined;
  return {
    status: 431,
    reason: 'identity_too_large',
    message: 'there is too much in the identity of the request',
    fix: `${size} bytes with ${identity.groups.length} groups: let the proxy send fewer groups, or raise relay.limits.maxIdentity`,
  };
}
