import type { Config } from '../platform/config/schema.ts';

/** Issuer of the identities of API keys: this Postern itself. */
export function apiKeyIssuer(publicUrl: string): string {
  return `${publicUrl.replace(/\/+$/, '')}/api-keys`;
}

/** Issuers beside `auth.providers`, by the reserved names under which rules mean them. */
export function ownIssuers({ publicUrl, auth }: Pick<Config, 'publicUrl' | 'auth'>): ReadonlyMap<string, string> {
  return new Map([
    ['api-keys', apiKeyIssuer(publicUrl)],
    ['mtls', auth.clientCertificates.issuer],
  ]);
}
