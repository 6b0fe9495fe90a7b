import * as client from 'openid-client';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { isOutage } from '../../platform/oauth-failures.ts';

/**
 * The OAuth error code of a token endpoint's answer (RFC 6749 §5.2); undefined where it did not answer in that form, which
 * says nothing about the grant. A 5xx is an outage whatever it holds.
 */
export function oauthErrorOf(error: unknown): string | undefined {
  if (isOutage(error)) return undefined;
  if (error instanceof client.ResponseBodyError) return error.error;
  // RFC 6749 §5.2: only a client that is not known or not proven is answered by a challenge.
  if (error instanceof client.WWWAuthenticateChallengeError && error.status === 401) return 'invalid_client';
  return error instanceof client.AuthorizationResponseError ? error.error : undefined;
}

/** Characters of a server's own words in the log. */
const MAX_DETAIL = 300;

/** What the authorization server says beside the code, for the log (`error_description`, RFC 6749 §5.2). */
export function oauthDetailOf(error: unknown): string | undefined {
  const described = error instanceof client.ResponseBodyError || error instanceof client.AuthorizationResponseError;
  return described ? error.error_description?.slice(0, MAX_DETAIL) : undefined;
}

export function serverAway(issuer: string, cause: unknown): DependencyUnavailable {
  return cause instanceof DependencyUnavailable
    ? cause
    : new DependencyUnavailable(`the authorization server at ${new URL(issuer).host}`, cause);
}

/** @param secret absent: a public client */
export function clientAuthentication(
  secret: string | undefined,
  method: 'client_secret_basic' | 'client_secret_post',
): client.ClientAuth {
  if (secret === undefined) return client.None();
  return method === 'client_secret_post' ? client.ClientSecretPost(secret) : client.ClientSecretBasic(secret);
}
