import { DependencyUnavailable } from '../../platform/errors.ts';
import { isOutage } from '../../platform/oauth-failures.ts';
import { claimFailure, type TokenClock } from '../../platform/token-failure.ts';

/** What ended a sign-in; decides the page that people see. */
export type SignInProblem = 'refused' | 'not_allowed' | 'provider_error';

/** A sign-in that did not work out, though everybody answered. */
export class SignInFailed extends Error {
  readonly problem: SignInProblem;

  constructor(problem: SignInProblem, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'SignInFailed';
    this.problem = problem;
  }
}

/** An outage as `DependencyUnavailable`, an answer that is wrong as `SignInFailed`. Nothing of the provider's text is kept. */
export function providerFailure(
  provider: string,
  error: unknown,
  clock: TokenClock,
): DependencyUnavailable | SignInFailed {
  if (error instanceof DependencyUnavailable || error instanceof SignInFailed) return error;
  if (isOutage(error)) return new DependencyUnavailable(`the identity provider "${provider}"`, error);
  const why = claimFailure(error, clock) ?? codeOf(error);
  return new SignInFailed('provider_error', `the provider's answer was refused${why === '' ? '' : `: ${why}`}`, error);
}

/** Only a code of a registered shape: it is logged. */
function codeOf(error: unknown): string {
  const { error: named, code } = (error ?? {}) as { error?: unknown; code?: unknown };
  const text = typeof named === 'string' ? named : code;
  return typeof text === 'string' && /^[\w-]{1,64}$/.test(text) ? text : '';
}
