import type { Config, ProviderConfig } from '../../platform/config/schema.ts';

/** Issuer of the identities of API keys: this Postern itself. */
export function apiKeyIssuer(publicUrl: string): string {
  return `${publicUrl.replace(/\/+$/, '')}/api-keys`;
}

/** Issuer of the broker's tokens (RFC 8414 §2): the origin, where clients without any metadata look for it as well. */
export function brokerIssuer(publicUrl: string): string {
  return new URL(publicUrl).origin;
}

/** Issuers beside `auth.providers`, by the reserved names under which rules mean them. */
export function ownIssuers({ publicUrl, auth }: Pick<Config, 'publicUrl' | 'auth'>): ReadonlyMap<string, string> {
  return new Map([
    ['api-keys', apiKeyIssuer(publicUrl)],
    ['mtls', auth.clientCertificates.issuer],
    ['mcp-clients', brokerIssuer(publicUrl)],
  ]);
}

/** Providers that the broker stands for. */
export function brokeredProviders({ auth }: Pick<Config, 'auth'>): readonly ProviderConfig[] {
  const { enabled, providers } = auth.broker;
  return auth.providers.filter(
    ({ id, clientId }) => enabled && clientId !== undefined && (providers.length === 0 || providers.includes(id)),
  );
}

/** Where clients get tokens (RFC 9728 §2): from the broker in the place of those it stands for, from the others themselves. */
export function authorizationServers(config: Pick<Config, 'publicUrl' | 'auth'>): string[] {
  const brokered = brokeredProviders(config);
  const others = config.auth.providers.filter((provider) => !brokered.includes(provider)).map(({ issuer }) => issuer);
  return brokered.length === 0 ? others : [brokerIssuer(config.publicUrl), ...others];
}
