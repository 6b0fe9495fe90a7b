import { errors } from 'jose';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { claimFailure, type TokenClock } from '../../platform/token-failure.ts';

/** What jose throws because of the token itself. Everything else means that the keys could not be had. */
const TOKEN_ERRORS = [
  errors.JWTClaimValidationFailed,
  errors.JWTExpired,
  errors.JWTInvalid,
  errors.JWSInvalid,
  errors.JWSSignatureVerificationFailed,
  errors.JOSEAlgNotAllowed,
  errors.JOSENotSupported,
  errors.JWKSNoMatchingKey,
  errors.JWKSMultipleMatchingKeys,
];

/**
 * Says in a few words why a token is bad.
 *
 * @throws DependencyUnavailable where the token is not to blame: an outage must be neither a pass nor a sign-out
 */
export function describeTokenFailure(error: unknown, dependency: string, clock: TokenClock): string {
  if (error instanceof DependencyUnavailable) throw error;
  if (!(error instanceof errors.JOSEError) || !TOKEN_ERRORS.some((kind) => error instanceof kind))
    throw new DependencyUnavailable(dependency, error);
  return claimFailure(error, clock) ?? error.message;
}
