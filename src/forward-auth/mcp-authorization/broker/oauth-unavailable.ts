import { DependencyUnavailable } from '../../../platform/errors.ts';
import { oidcErrors } from './oidc-library.ts';

/**
 * As OAuth says it (RFC 6749 §4.1.2.1): nothing is refused, the client keeps what it has and tries again.
 *
 * @throws CustomOIDCProviderError 503 in the place of `DependencyUnavailable`
 */
export async function orUnavailable<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof DependencyUnavailable)) throw error;
    throw Object.assign(new (oidcErrors().CustomOIDCProviderError)('temporarily_unavailable', error.message), {
      status: 503,
      statusCode: 503,
      cause: error,
    });
  }
}
