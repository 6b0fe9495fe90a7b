import type { ClientMetadata } from 'oidc-provider';
import type { BrokerConfig } from '../../../platform/config/schema.ts';

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** The clients of the configuration, as oidc-provider has them. */
export function preRegistered(clients: BrokerConfig['clients']): ClientMetadata[] {
  return clients.map(({ id, name, secret, redirectUris, clientCredentials, identityAssertions, scopes }) => {
    const forPeople = redirectUris.length > 0;
    return {
      client_id: id,
      client_name: name ?? id,
      ...(secret === undefined
        ? { token_endpoint_auth_method: 'none' as const }
        : { client_secret: secret[0], token_endpoint_auth_method: 'client_secret_basic' as const }),
      redirect_uris: [...redirectUris],
      response_types: forPeople ? ['code'] : [],
      grant_types: [
        ...(forPeople ? ['authorization_code', 'refresh_token'] : []),
        ...(clientCredentials ? ['client_credentials'] : []),
        ...(identityAssertions ? [JWT_BEARER] : []),
      ],
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
    };
  });
}
