import { randomUUID } from 'node:crypto';
import type Provider from 'oidc-provider';
import type { TokenEndpointGrantContext } from 'oidc-provider';
import type { ProviderConfig } from '../../../platform/config/schema.ts';
import { type CompactJws, issuedAt, parseJws, verifySignature } from '../../authenticators/jws.ts';
import type { ProviderKeys } from '../../authenticators/provider-keys.ts';
import { checkClaims, normalType, readPerson } from '../../authenticators/token-claims.ts';
import { refusedAddress } from '../../login/session-identity.ts';
import { accountId } from './account.ts';
import type { Accounts } from './accounts.ts';
import { oidcErrors } from './oidc-library.ts';
import { JWT_BEARER } from './pre-registered-clients.ts';
import type { ResourceServers } from './resource-servers.ts';

/** By which it is advertised (`authorization_grant_profiles_supported`). */
export const ID_JAG_PROFILE = 'urn:ietf:params:oauth:grant-profile:id-jag';
/** Header type of an Identity Assertion JWT Authorization Grant (draft-ietf-oauth-identity-assertion-authz-grant). */
const TYPE = 'oauth-id-jag+jwt';
/** Characters. */
const MAX_ASSERTION = 16_384;
/** Milliseconds that an assertion may still be good for: until then nobody asks the provider again. */
const LONGEST = 60 * 60_000;

/** Limits what the assertion is good for in a way that we would have to heed, and do not know. */
const BEYOND = ['authorization_details', 'tenant', 'cnf'];

type Claims = CompactJws['payload'];
type Context = TokenEndpointGrantContext<{ assertion?: string; scope?: string }>;

export interface IdentityAssertionDependencies {
  /** The broker's own. */
  readonly issuer: string;
  /** Whose assertions are taken. */
  readonly providers: readonly ProviderConfig[];
  /** Keys of a provider, by its id. */
  readonly keys: ReadonlyMap<string, ProviderKeys>;
  readonly resourceServers: ResourceServers;
  readonly accounts: Accounts;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/**
 * Enterprise-managed authorization: the provider has decided that this client may act for this person at this server, and says so in
 * an assertion, which is exchanged for an access token (RFC 7523 §2.1). It stands in the place of a refresh token: until it ends,
 * the same client may bring it again, and then asks the provider anew.
 */
export function registerIdentityAssertionGrant(provider: Provider, deps: IdentityAssertionDependencies): void {
  provider.registerGrantType<{ assertion?: string; scope?: string }>(
    JWT_BEARER,
    async (ctx) => {
      const { home, claims } = await verifyAssertion(deps, ctx);
      const resource = resourceOf(deps, claims);
      const scopes = scopesOf(deps, ctx, claims, resource);
      const identity = readPerson(claims, home);
      if (identity === undefined || refusedAddress(claims, identity, home) !== undefined)
        throw refusal('the person may not sign in here');
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
  const candidates = known.length > 0 ? known : await keys.search(id, alg as string, issuedAt(jws));
  if (candidates === undefined) throw unavailable(home);
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
  const audience: unknown = Array.isArray(payload.aud) && payload.aud.length === 1 ? payload.aud[0] : payload.aud;
  if (audience !== deps.issuer) throw refusal(`the assertion is not for ${deps.issuer}`);
  if (ctx.oidc.client.clientAuthMethod === 'none')
    throw refusal('a client without a secret cannot exchange assertions');
  if (payload.client_id !== ctx.oidc.client.clientId) throw refusal('the assertion is for another client');
  // RFC 7523 §3: without a subject the client would get a token for itself, as a person.
  if (typeof payload.sub !== 'string' || payload.sub === '' || payload.sub === payload.client_id)
    throw refusal('the assertion names no person by "sub"');
  if (typeof payload.jti !== 'string' || payload.jti === '') throw refusal('the assertion has no id');
  const beyond = BEYOND.find((name) => payload[name] !== undefined);
  if (beyond !== undefined) throw refusal(`the assertion has "${beyond}", which is not understood here`);
  if (payload.iat === undefined) throw refusal('the assertion does not say when it was made');
}

function resourceOf({ resourceServers }: IdentityAssertionDependencies, claims: Claims): string {
  const resource: unknown =
    Array.isArray(claims.resource) && claims.resource.length === 1 ? claims.resource[0] : claims.resource;
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
  ctx.body = {
    access_token: value,
    token_type: 'Bearer',
    expires_in: token.expiration,
    scope: token.scope,
    resource: given.resource,
  };
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
