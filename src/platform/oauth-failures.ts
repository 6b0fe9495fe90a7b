import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client';
import { isRecord } from './is-record.ts';

/** Codes by which a server says, at whatever status, that it cannot answer now (RFC 6749 §4.1.2.1). */
const PASSING = new Set(['server_error', 'temporarily_unavailable']);

/** Whether an error of `openid-client` says that nobody answered, or not for now: then nothing is known of the grant. */
export function isOutage(error: unknown): boolean {
  if (error instanceof ResponseBodyError) return isPassing(error.status) || PASSING.has(error.error);
  if (error instanceof WWWAuthenticateChallengeError) return isPassing(error.status);
  if (error instanceof AuthorizationResponseError) return false;
  if (error instanceof ClientError) {
    if (error.code === 'OAUTH_TIMEOUT' || error.code === 'OAUTH_ABORT') return true;
    if (error.cause instanceof Response) return isPassing(error.cause.status);
    return error.code === undefined;
  }
  // `fetch` rejects with a bare TypeError where nobody answers; openid-client's own complaints carry a code.
  return error instanceof TypeError && (error as { code?: unknown }).code === undefined;
}

/**
 * The code by which a token endpoint refuses a refresh token for good. RFC 6749 §5.2 asks for `invalid_grant`, but servers in use
 * answer a dead token by other codes as well: Dex says `invalid_request`. So every OAuth error counts that blames neither the
 * moment nor our own client.
 *
 * @returns undefined where the answer says nothing of the token: an outage, a refusal of our client, or an answer that is no
 *   OAuth error, such as the 404 page of a reverse proxy whose backend restarts
 */
export function refusedRefresh(error: unknown): string | undefined {
  if (isOutage(error) || isClientRefused(error)) return undefined;
  if (error instanceof ResponseBodyError) return error.error;
  // A challenge beside the answer (RFC 6750 §3) hides the answer from whoever asks by `openid-client`.
  if (error instanceof WWWAuthenticateChallengeError) return codeOf(error) ?? `status_${error.status}`;
  return undefined;
}

function codeOf({ cause }: WWWAuthenticateChallengeError): string | undefined {
  const codes = cause.map(({ parameters }) => parameters.error);
  return codes.find((code) => code !== undefined && /^[\w-]{1,64}$/.test(code));
}

/** Whether the server knows or believes our client no longer (RFC 6749 §5.2, `invalid_client`): a mistake in the configuration. */
export function isClientRefused(error: unknown): boolean {
  if (error instanceof ResponseBodyError) return error.status === 401 || error.error === 'invalid_client';
  return error instanceof WWWAuthenticateChallengeError && error.status === 401;
}

/**
 * Whether no key that is known has signed a token: the server may have new ones, under new ids, under the ids of those that they
 * replace, or without any.
 */
export function isUnknownKey(error: unknown): boolean {
  if (!(error instanceof ClientError)) return false;
  return error.code === 'OAUTH_KEY_SELECTION_FAILED' || isWrongSignature(error.cause);
}

/** `oauth4webapi` tells it from other faults of a JWT by what it names as their cause. */
function isWrongSignature(error: unknown): boolean {
  return error instanceof Error && isRecord(error.cause) && error.cause.signature instanceof Uint8Array;
}

function isPassing(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}
