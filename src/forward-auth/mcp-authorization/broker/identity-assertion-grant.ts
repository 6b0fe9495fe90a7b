import { createHash, randomUUID } from 'node:crypto';
import type Provider from 'oidc-provider';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import type { ProviderConfig } from '../../../platform/config/schema.ts';
import type { Stores } from '../../../stores/stores.ts';
import { type CompactJws, parseJws, verifySignature } from '../../authenticators/jws.ts';
import type { ProviderKeys } from '../../authenticators/provider-keys.ts';
import { checkClaims, normalType, readIdentity } from '../../authenticators/token-claims.ts';
import { mayThey } from '../../login/session-identity.ts';
import { accountId } from './account.ts';
import type { Accounts } from './accounts.ts';
import { orUnavailable } from './oauth-unavailable.ts';
import { oidcErrors } from './oidc-library.ts';
import { JWT_BEARER } from './pre-registered-clients.ts';
import type { ResourceServers } from './resource-servers.ts';

/** Header type of an Identity Assertion JWT Authorization Grant (draft-ietf-oauth-identity-assertion-authz-grant §3). */
const TYPE = 'oauth-id-jag+jwt';
/** Characters. */
const MAX_ASSERTION = 16_384;
/** Milliseconds that an assertion may still be good for: what is longer, no replica could remember. */
const LONGEST = 60 * 60_000;

type Claims = CompactJws['payload'];
type Context = TokenEndpointGrantContext<{ assertion?: string; scope?: string }>;

export interface IdentityAssertionDependencies {
  /** The broker's own. */
  readonly issuer: string;
  /** Whose assertions are taken. */
  readonly providers: readonly ProviderConfig[];
  /** Keys of a provider, by its id. */
  readonly keys: ReadonlyMap<string, ProviderKeys>;
  readonly locks: Stores['locks'];
  readonly resourceServers: ResourceServers;
  readonly accounts: Accounts;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/**
 * Enterprise-managed authorization: the provider has decided that this client may act for this person at this server, and says so in
 * an assertion, which is exchanged for an access token (RFC 7523 §2.1). There is no refresh token: the provider is asked anew.
 */
export function registerIdentityAssertionGrant(provider: Provider, deps: IdentityAssertionDependencies): void {
  provider.registerGrantType<{ assertion?: string; scope?: string }>(
    JWT_BEARER,
    async (ctx) => {
      const { home, claims } = await verifyAssertion(deps, ctx);
      const resource = resourceOf(deps, claims);
      const scopes = scopesOf(deps, ctx, claims, resource);
      const identity = readIdentity(claims, home);
      if (identity === undefined || !mayThey(claims, identity, home)) throw refusal('the person may not sign in here');
      await useUp(deps, home, claims);
      await issue(deps, provider, ctx, { account: accountId(home.id, identity.subject), identity, resource, scopes });
    },
    ['assertion', 'scope'],
  );
}

async function verifyAssertion(deps: IdentityAssertionDependencies, ctx: Context) {
  const { assertion } = ctx.oidc.params;
  if (typeof assertion !== 'string' || assertion.length > MAX_ASSERTION) throw refusal('give one "assertion"');
  const jws = parseJws(assertion);
  const home = deps.providers.find(({ issuer }) => issuer === jws?.payload.iss);
  if (jws === undefined || home === undefined) throw refusal('the assertion is of no provider that is known here');
  const { alg, kid, typ, crit, b64 } = jws.header;
  if (normalType(typ) !== TYPE) throw refusal(`the assertion is not of type ${TYPE}`);
  if (crit !== undefined || b64 !== undefined || !home.algorithms.some((allowed) => allowed === alg))
    throw refusal('the signature algorithm of the assertion is not accepted');
  const keys = deps.keys.get(home.id) as ProviderKeys;
  const id = typeof kid === 'string' ? kid : undefined;
  const known = keys.find(id, alg as string);
  const candidates = known.length > 0 ? known : await keys.search(id, alg as string);
  if (candidates.length === 0 && (!keys.loaded || keys.failing)) throw unavailable(home);
  if (!candidates.some((key) => verifySignature(jws, alg as string, key)))
    throw refusal('the signature of the assertion is wrong');
  checkContents(deps, ctx, jws, home);
  return { home, claims: jws.payload };
}

/** Made for this server, this client and now. */
function checkContents(
  deps: IdentityAssertionDependencies,
  ctx: Context,
  { payload, header }: CompactJws,
  home: ProviderConfig,
) {
  const problem = checkClaims(payload, header, home, deps.now());
  if (problem !== undefined) throw refusal(problem.description);
  if ((payload.exp as number) * 1_000 > deps.now() + LONGEST) throw refusal('the assertion is good for too long');
  if (payload.aud !== deps.issuer) throw refusal(`the assertion is not for ${deps.issuer}`);
  if (payload.client_id !== ctx.oidc.client.clientId) throw refusal('the assertion is for another client');
  if (typeof payload.jti !== 'string' || payload.jti === '') throw refusal('the assertion has no id');
  if (payload.iat === undefined) throw refusal('the assertion does not say when it was made');
}

function resourceOf({ resourceServers }: IdentityAssertionDependencies, { resource }: Claims): string {
  if (typeof resource === 'string' && resourceServers.find(resource) !== undefined) return resource;
  throw new (oidcErrors().InvalidTarget)('the "resource" of the assertion names no server here');
}

/** No more than the provider said, where it says something (§4.3). */
function scopesOf(deps: IdentityAssertionDependencies, ctx: Context, { scope }: Claims, indicator: string): string[] {
  const words = (text: unknown) => (typeof text === 'string' ? text.split(' ').filter(Boolean) : undefined);
  const resource = deps.resourceServers.find(indicator);
  const offered = resource === undefined ? [] : deps.resourceServers.scopesOf(resource);
  const allowed =
    words(scope)?.filter((name) => offered.includes(name)) ?? deps.resourceServers.defaultScopes(indicator);
  const asked = words(ctx.oidc.params.scope) ?? allowed;
  const beyond = asked.filter((name) => !allowed.includes(name));
  if (beyond.length > 0 || asked.length === 0)
    throw new (oidcErrors().InvalidScope)('the assertion does not allow this scope', beyond.join(' '));
  return asked;
}

/** RFC 7523 §3: once. Last of all, so that what is refused for another reason can be sent again. */
async function useUp(
  { locks, now }: IdentityAssertionDependencies,
  home: ProviderConfig,
  { jti, exp }: Claims,
): Promise<void> {
  const name = createHash('sha256')
    .update(JSON.stringify([home.issuer, jti]))
    .digest('base64url');
  const lifetime = (exp as number) * 1_000 + 2 * home.clockTolerance - now();
  if (!(await orUnavailable(locks.once(`identity-assertion:${name}`, lifetime))))
    throw refusal('the assertion was used before');
}

async function issue(
  { accounts, resourceServers }: IdentityAssertionDependencies,
  provider: Provider,
  ctx: Context,
  given: {
    readonly account: string;
    readonly identity: Parameters<Accounts['vouchedFor']>[1];
    readonly resource: string;
    readonly scopes: readonly string[];
  },
): Promise<void> {
  const { client } = ctx.oidc;
  ctx.oidc.entity('Account', accounts.vouchedFor(given.account, given.identity));
  const token = new provider.AccessToken({
    accountId: given.account,
    client,
    gty: JWT_BEARER,
    // Nothing is granted beyond this token, which ends by itself.
    grantId: randomUUID(),
    scope: given.scopes.join(' '),
  });
  token.resourceServer = new provider.ResourceServer(given.resource, resourceServers.describe(ctx, given.resource));
  ctx.oidc.entity('AccessToken', token);
  const value = await token.save();
  ctx.body = { access_token: value, token_type: 'Bearer', expires_in: token.expiration, scope: token.scope };
}

function refusal(description: string): Error {
  return Object.assign(new (oidcErrors().InvalidGrant)(description), { error_description: description });
}

function unavailable({ id }: ProviderConfig): Error {
  const error = new (oidcErrors().CustomOIDCProviderError)(
    'temporarily_unavailable',
    `the identity provider "${id}" does not answer; try again shortly`,
  );
  return Object.assign(error, { status: 503, statusCode: 503 });
}
