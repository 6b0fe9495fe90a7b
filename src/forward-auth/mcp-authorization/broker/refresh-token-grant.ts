import type Provider from 'oidc-provider';
import type { Account, TokenEndpointGrantContext } from 'oidc-provider';
import type { Accounts } from './accounts.ts';
import { oidcErrors } from './oidc-library.ts';
import type { RefreshRotation } from './refresh-rotation.ts';
import type { ResourceServers } from './resource-servers.ts';

const GRANT_TYPE = 'refresh_token';

interface Params {
  readonly refresh_token?: string;
  readonly scope?: string;
  readonly resource?: string | readonly string[];
}
type Context = TokenEndpointGrantContext<Params>;
type Token = InstanceType<Provider['RefreshToken']>;
type Grant = InstanceType<Provider['Grant']>;

export interface RefreshTokenGrantDependencies {
  readonly accounts: Accounts;
  readonly resourceServers: ResourceServers;
  readonly rotation: RefreshRotation;
  /** Ends a grant with its codes and refresh tokens. */
  readonly revoke: (grantId: string) => Promise<void>;
}

/**
 * RFC 6749 §6, in the place of oidc-provider's own grant: that one uses the token up before it has looked at the rest of the request
 * and before the next one is written, so a wrong parameter or an outage in between costs the client its grant.
 */
export function registerRefreshTokenGrant(provider: Provider, deps: RefreshTokenGrantDependencies): void {
  provider.registerGrantType<Params>(
    GRANT_TYPE,
    async (ctx) => {
      const token = await findToken(provider, ctx);
      const grant = await findGrant(provider, ctx, token);
      const account = await findAccount(deps, ctx, token, grant);
      if (await deps.rotation.isTheft(token.jti)) await endStolen(provider, deps, ctx, token);
      const wanted = readWanted(deps, ctx, token, grant);
      const successor = await rotate(provider, deps, ctx, token);
      const accessToken = issueAccessToken(provider, ctx, { token, account, wanted });
      const answer = {
        access_token: await accessToken.save(),
        expires_in: accessToken.expiration,
        id_token: await issueIdToken(provider, ctx, { token, grant, account, scopes: wanted.asked }),
        refresh_token: successor,
        scope: wanted.scope,
        token_type: 'Bearer',
      };
      await deps.rotation.answered(token.jti);
      ctx.body = answer;
    },
    [GRANT_TYPE, 'scope', 'resource'],
  );
}

async function findToken(provider: Provider, ctx: Context): Promise<Token> {
  const { refresh_token: value } = ctx.oidc.params;
  if (value === undefined) throw new (oidcErrors().InvalidRequest)("missing required parameter(s) 'refresh_token'");
  const token = await provider.RefreshToken.find(value, { ignoreExpiration: true });
  if (token === undefined) throw refused('refresh token not found');
  if (token.clientId !== ctx.oidc.client.clientId) throw refused('client mismatch');
  if (token.isExpired) throw refused('refresh token is expired');
  ctx.oidc.entity('RefreshToken', token);
  return token;
}

async function findGrant(provider: Provider, ctx: Context, { grantId, accountId }: Token): Promise<Grant> {
  const grant = grantId === undefined ? undefined : await provider.Grant.find(grantId, { ignoreExpiration: true });
  if (grant === undefined || grant.isExpired) throw refused('grant not found');
  if (grant.clientId !== ctx.oidc.client.clientId || grant.accountId !== accountId) throw refused('grant mismatch');
  ctx.oidc.entity('Grant', grant);
  return grant;
}

/** Asks the provider who the person is now. */
async function findAccount({ accounts }: RefreshTokenGrantDependencies, ctx: Context, token: Token, grant: Grant) {
  const account = await accounts.find(ctx, grant.accountId ?? '', token);
  if (account === undefined) throw refused('account not found');
  ctx.oidc.entity('Account', account);
  return account;
}

async function endStolen(
  provider: Provider,
  { revoke }: RefreshTokenGrantDependencies,
  ctx: Context,
  { grantId = '' }: Token,
): Promise<never> {
  await revoke(grantId);
  provider.emit('grant.revoked', ctx, grantId);
  throw refused('refresh token already used');
}

/** What the client asks for, as far as it was granted. @throws InvalidTarget, InvalidScope: nothing is used up yet */
function readWanted({ resourceServers }: RefreshTokenGrantDependencies, ctx: Context, token: Token, grant: Grant) {
  const { resource: wanted, scope } = ctx.oidc.params;
  const granted = token.resource;
  if (typeof granted !== 'string') throw refused('the token is for no server');
  const same = (indicator: string) => resourceServers.find(indicator)?.uri === resourceServers.find(granted)?.uri;
  if (wanted !== undefined && (typeof wanted !== 'string' || !same(wanted)))
    throw new (oidcErrors().InvalidTarget)(`"resource" is not that of the grant: ${granted}`);
  const words = (text: string | undefined) => (text ?? '').split(' ').filter(Boolean);
  const had = words(token.scope);
  const asked = scope === undefined ? had : words(scope);
  const beyond = asked.filter((name) => !had.includes(name));
  if (beyond.length > 0) throw new (oidcErrors().InvalidScope)('"scope" is beyond that of the grant', beyond.join(' '));
  const server = resourceServers.describe(ctx, granted);
  const offered = server.scope.split(' ');
  const given = grant.getResourceScopeFiltered(
    granted,
    asked.filter((name) => offered.includes(name)),
  );
  // Without the parameter a grant goes on whose scopes the configuration has since given up.
  if (given === '' && scope !== undefined)
    throw new (oidcErrors().InvalidScope)('"scope" names no permission at the server', asked.join(' '));
  return { resource: granted, server, asked, scope: given };
}

async function rotate(
  provider: Provider,
  { rotation }: RefreshTokenGrantDependencies,
  ctx: Context,
  token: Token,
): Promise<string> {
  const { accountId, acr, amr, authTime, claims, expiresWithSession, iiat, grantId, nonce, resource, scope } = token;
  const create = () =>
    new provider.RefreshToken({
      ...{ accountId, acr, amr, authTime, claims, expiresWithSession, iiat, nonce, resource },
      client: ctx.oidc.client,
      grantId: grantId as string,
      gty: withRefresh(token.gty),
      rotations: (token.rotations ?? 0) + 1,
      scope: scope ?? '',
      sessionUid: token.sessionUid,
      sid: token.sid,
    }).save();
  const successor = await rotation.rotate(token.jti, create);
  if (successor === undefined) throw refused('refresh token ended meanwhile');
  return successor;
}

function issueAccessToken(
  provider: Provider,
  ctx: Context,
  { token, account, wanted }: { token: Token; account: Account; wanted: ReturnType<typeof readWanted> },
) {
  const accessToken = new provider.AccessToken({
    accountId: account.accountId,
    client: ctx.oidc.client,
    grantId: token.grantId as string,
    gty: withRefresh(token.gty),
    scope: wanted.scope,
    sessionUid: token.sessionUid,
    sid: token.sid,
  });
  accessToken.resourceServer = new provider.ResourceServer(wanted.resource, wanted.server);
  ctx.oidc.entity('AccessToken', accessToken);
  return accessToken;
}

/** OpenID Connect Core §12.2. */
async function issueIdToken(
  provider: Provider,
  ctx: Context,
  { token, grant, account, scopes }: { token: Token; grant: Grant; account: Account; scopes: readonly string[] },
): Promise<string | undefined> {
  if (!scopes.includes('openid')) return undefined;
  const scope = grant.getOIDCScopeFiltered([...scopes]);
  const claims = await account.claims('id_token', scope, {}, []);
  const idToken = new provider.IdToken(
    { ...claims, acr: token.acr, amr: token.amr, auth_time: token.authTime },
    { ctx },
  );
  Object.assign(idToken, { scope });
  idToken.set('nonce', token.nonce);
  idToken.set('sid', token.sid);
  return idToken.issue({ use: 'idtoken' });
}

function withRefresh(gty: string | undefined): string {
  const before = gty ?? 'authorization_code';
  return before.endsWith(GRANT_TYPE) ? before : `${before} ${GRANT_TYPE}`;
}

function refused(detail: string): Error {
  return new (oidcErrors().InvalidGrant)(detail);
}
