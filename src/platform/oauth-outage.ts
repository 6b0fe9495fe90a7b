import { AuthorizationResponseError, ClientError, ResponseBodyError } from 'openid-client';

/** Whether an error of `openid-client` says that nobody answered, or not for now: then nothing is known of the grant. */
export function isOutage(error: unknown): boolean {
  if (error instanceof ResponseBodyError) return error.status >= 500 || error.status === 429;
  if (error instanceof AuthorizationResponseError) return false;
  if (error instanceof ClientError) {
    if (error.code === 'OAUTH_TIMEOUT' || error.code === 'OAUTH_ABORT') return true;
    if (error.cause instanceof Response) return error.cause.status >= 500 || error.cause.status === 429;
    return error.code === undefined;
  }
  // `fetch` rejects with a bare TypeError where nobody answers; openid-client's own complaints carry a code.
  return error instanceof TypeError && (error as { code?: unknown }).code === undefined;
}
