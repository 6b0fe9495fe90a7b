import type { Credential } from '../../identity/credential.ts';
import type { Identity } from '../../identity/identity.ts';
import type { ChallengeReason, DenyReason, Limit } from './decision.ts';
import type { CheckRequest } from './request.ts';
import type { Resource } from './resources.ts';
import type { Rule } from './rules.ts';

/** No credential of this kind in the request: "not mine", the next one may look. */
export interface Absent {
  readonly kind: 'absent';
}

export interface Authenticated {
  readonly kind: 'identity';
  readonly identity: Identity;
  /** What the identity rests on, as far as it can end; absent: it has no end. */
  readonly credential?: Credential;
  /** `Set-Cookie` values for the browser. */
  readonly cookies?: readonly string[];
  /** Id of the API key, where it was one; for its rate limit. */
  readonly apiKey?: string;
}

/** A credential that is worth nothing. */
export type Rejected =
  | {
      readonly kind: 'rejected';
      readonly status: 401;
      readonly reason: Exclude<ChallengeReason, 'no_credential'>;
      readonly description: string;
      /** `Set-Cookie` values that remove a cookie which is worth nothing any more. */
      readonly cookies?: readonly string[];
    }
  | {
      readonly kind: 'rejected';
      /** The request itself is wrong: a better credential would not help (RFC 6750 §3.1 `invalid_request`). */
      readonly status: 400 | 403 | 431;
      readonly reason: Extract<DenyReason, `credential_${string}` | 'certificate_untrusted'>;
      readonly description: string;
    };

/** `Limit`: what the credential is worth may not be asked so often. */
export type Authentication = Absent | Authenticated | Rejected | Limit;

/**
 * Who is asking, by a credential that is good for this resource. Synchronous where the answer is at hand, because a
 * promise costs more than a cached look-up.
 *
 * @throws (or rejects with) an error where a dependency is needed and does not answer
 */
export type Authenticate = (
  request: CheckRequest,
  resource: Resource,
  rule: Pick<Rule, 'issuers' | 'sessionOnly'>,
) => Authentication | Promise<Authentication>;

export const ABSENT: Absent = { kind: 'absent' };
