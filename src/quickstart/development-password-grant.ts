import type { errors, Provider, ResourceServer } from 'oidc-provider';
import { isEntitled, signIn } from './development-accounts.ts';

/** The public client that may use it. */
export const DEMO_CLIENT = 'demo';

/**
 * The resource owner password grant (RFC 6749 §4.3), so that one printed command can get a token. OAuth 2.1 removes it for
 * good reasons; it exists in the development identity provider only, for accounts whose password is their name.
 */
export function registerPasswordGrant(
  provider: Provider,
  { InvalidGrant, InvalidTarget }: typeof errors,
  describeResource: (resource: string) => ResourceServer,
): void {
  interface Parameters {
    username?: string;
    password?: string;
    scope?: string;
    resource?: string | string[];
  }
  const parameters = ['username', 'password', 'scope', 'resource'];
  provider.registerGrantType<Parameters>(
    'password',
    async (ctx) => {
      const { client, params } = ctx.oidc;
      const account = signIn(params.username, params.password);
      if (account === undefined) throw new InvalidGrant('this name and password do not belong together');
      const { resource } = params;
      if (typeof resource !== 'string' || !URL.canParse(resource) || new URL(resource).hash !== '')
        throw new InvalidTarget('name exactly one resource, an absolute URL without fragment (RFC 8707 §2)');

      const server = new provider.ResourceServer(resource, describeResource(resource));
      const scope = (params.scope ?? '')
        .split(' ')
        .filter((name) => server.scopes.has(name) && isEntitled(account, name))
        .join(' ');
      const grant = new provider.Grant({ accountId: account.name, clientId: client.clientId });
      grant.addResourceScope(resource, scope);
      const token = new provider.AccessToken({
        accountId: account.name,
        client,
        grantId: await grant.save(),
        gty: 'password',
        scope,
        resourceServer: server,
      });
      const value = await token.save();
      ctx.body = { access_token: value, token_type: token.tokenType, expires_in: token.expiration, scope };
    },
    parameters,
  );
}
