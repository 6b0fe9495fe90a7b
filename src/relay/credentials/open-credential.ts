import type { RelayConfig } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import { openSecret } from '../../platform/secret-source.ts';
import type { Accounts } from '../connect/open-accounts.ts';
import type { Credential } from './credential.ts';
import { type GrantDependencies, grantedCredential } from './granted-credential.ts';
import type { RelayAssertions } from './identity-fields.ts';
import { staticCredential } from './static-credential.ts';

type ServerConfig = RelayConfig['servers'][string];

export interface CredentialParts extends GrantDependencies {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Logger;
  readonly assertions: RelayAssertions | undefined;
  readonly accounts: Accounts | undefined;
}

/** The one credential that is configured for a server. @throws ConfigurationError where a secret cannot be used */
export function openCredential(name: string, server: ServerConfig, parts: CredentialParts): Credential | undefined {
  const { bearer, basic, header, clientCredentials, tokenExchange, connection } = server.credential ?? {};
  const at = `relay.servers.${name}.credential`;
  if (bearer !== undefined) return staticCredential({ kind: 'bearer' }, openSecret(bearer, `${at}.bearer`, parts));
  if (basic !== undefined)
    return staticCredential(
      { kind: 'basic', user: basic.user },
      openSecret(basic.password, `${at}.basic.password`, parts),
    );
  if (header !== undefined)
    return staticCredential(
      { kind: 'header', name: header.name },
      openSecret(header.value, `${at}.header.value`, parts),
    );
  if (connection !== undefined) return parts.accounts?.credentialOf(name);
  const client = clientCredentials ?? tokenExchange;
  if (client === undefined) return undefined;
  const where = `${at}.${tokenExchange === undefined ? 'clientCredentials' : 'tokenExchange'}.clientSecret`;
  return grantedCredential(
    {
      ...client,
      server: name,
      secret: client.clientSecret && openSecret(client.clientSecret, where, parts),
      resource: client.sendResource ? (server.resource ?? server.url) : undefined,
      audience: tokenExchange?.audience,
      exchange: tokenExchange && parts.assertions,
    },
    parts,
  );
}
