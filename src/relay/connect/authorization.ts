import * as client from 'openid-client';
import { isOutage } from '../../platform/oauth-failures.ts';
import { serverAway } from '../credentials/oauth-errors.ts';
import type { ConnectTransaction } from './connect-transaction.ts';
import type { UpstreamProvider } from './provider.ts';

type Tokens = client.TokenEndpointResponse & client.TokenEndpointResponseHelpers;

/** Authorization code with PKCE, state, and nonce where there will be an ID token. @throws DependencyUnavailable, PosternError */
export async function authorizationUrl(
  provider: UpstreamProvider,
  attempt: ConnectTransaction,
  state: string,
): Promise<URL> {
  const { scopes, redirectUri, resource } = provider.settings;
  const configuration = await provider.client(attempt.issuer);
  return client.buildAuthorizationUrl(configuration, {
    response_type: 'code',
    redirect_uri: redirectUri,
    state,
    code_challenge: await client.calculatePKCECodeChallenge(attempt.verifier),
    code_challenge_method: 'S256',
    ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    ...(scopes.includes('openid') ? { nonce: attempt.nonce } : {}),
    ...(resource === undefined ? {} : { resource }),
  });
}

/**
 * The issuer is that of the attempt, whatever the server names by now; `iss` of the answer must be the same (RFC 9207).
 *
 * @param query of the callback, still encoded
 * @throws DependencyUnavailable where the provider does not answer, an error of `openid-client` where it says no
 */
export async function exchangeCode(
  provider: UpstreamProvider,
  attempt: ConnectTransaction,
  query: string,
  state: string,
): Promise<{ readonly tokens: Tokens; readonly clientId: string }> {
  const { scopes, redirectUri, resource } = provider.settings;
  const configuration = await provider.client(attempt.issuer);
  try {
    const tokens = await client.authorizationCodeGrant(
      configuration,
      new URL(`${redirectUri}?${query}`),
      {
        expectedState: state,
        pkceCodeVerifier: attempt.verifier,
        ...(scopes.includes('openid') ? { expectedNonce: attempt.nonce, idTokenExpected: true } : {}),
      },
      resource === undefined ? {} : { resource },
    );
    if (tokens.token_type !== 'bearer') throw new Error(`${attempt.issuer} gave a token that is not a bearer token`);
    return { tokens, clientId: configuration.clientMetadata().client_id };
  } catch (error) {
    throw isOutage(error) ? serverAway(attempt.issuer, error) : error;
  }
}
