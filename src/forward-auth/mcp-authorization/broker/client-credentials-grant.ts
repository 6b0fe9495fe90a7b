import type Provider from 'oidc-provider';
import { oidcErrors } from './oidc-library.ts';
import type { ResourceServers } from './resource-servers.ts';

const GRANT_TYPE = 'client_credentials';

/**
 * Tokens of a client for itself (RFC 6749 §4.4), in the place of oidc-provider's own grant: that one gives a token of no scope to who
 * asks for none, which no rule would let through.
 */
export function registerClientCredentialsGrant(provider: Provider, resourceServers: ResourceServers): void {
  provider.registerGrantType<{ resource?: string | string[]; scope?: string }>(
    GRANT_TYPE,
    async (ctx) => {
      const { client, params } = ctx.oidc;
      if (Array.isArray(params.resource)) throw new (oidcErrors().InvalidTarget)('give one "resource"');
      const indicator = params.resource ?? resourceServers.default();
      const resourceServer = new provider.ResourceServer(indicator, resourceServers.describe(ctx, indicator));
      const allowed = client.scope?.split(' ') ?? [...resourceServer.scopes];
      const asked = params.scope?.split(' ').filter(Boolean) ?? resourceServers.defaultScopes(indicator);
      const given = asked.filter((scope) => resourceServer.scopes.has(scope) && allowed.includes(scope));
      if (given.length === 0)
        throw new (oidcErrors().InvalidScope)('none of these is for this client', asked.join(' '));
      const token = new provider.ClientCredentials({ client, scope: given.join(' ') });
      token.resourceServer = resourceServer;
      ctx.oidc.entity('ClientCredentials', token);
      const value = await token.save();
      ctx.body = { access_token: value, token_type: 'Bearer', expires_in: token.expiration, scope: token.scope };
    },
    ['scope', 'resource'],
    ['resource'],
  );
}
