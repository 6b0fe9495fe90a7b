import type { Configuration, interactionPolicy, JWKS, KoaContextWithOIDC } from 'oidc-provider';
import type { BrokerConfig } from '../../../platform/config/schema.ts';
import { INTERACTION_PATH, OAUTH_PATHS } from '../../decision/oauth-endpoints.ts';
import { identityClaims } from './account.ts';
import type { Accounts } from './accounts.ts';
import { checkClientMetadata } from './client-metadata.ts';
import { ID_JAG_PROFILE } from './identity-assertion-grant.ts';
import { LIBRARY_COOKIES } from './interaction-cookies.ts';
import { preRegistered } from './pre-registered-clients.ts';
import { type ResourceServers, SIGNING_ALGORITHM } from './resource-servers.ts';

/** Seconds: a code is used at once. */
const CODE_LIFETIME = 60;
/** Seconds for signing in and consenting. */
const INTERACTION_LIFETIME = 15 * 60;

export interface ProviderConfigurationContext {
  readonly config: BrokerConfig;
  readonly keys: JWKS;
  readonly adapter: Configuration['adapter'];
  readonly accounts: Accounts;
  readonly resourceServers: ResourceServers;
  /** Fetches documents of clients, and only what anybody may see. */
  readonly fetch: NonNullable<Configuration['fetch']>;
  readonly allowDocument: (ctx: KoaContextWithOIDC | undefined, clientId: string) => Promise<boolean>;
  readonly renderError: NonNullable<Configuration['renderError']>;
  readonly policies: typeof interactionPolicy;
  /** Milliseconds after which no session, and so no grant, lives on. */
  readonly longestSession: number;
}

export function providerConfiguration(context: ProviderConfigurationContext): Configuration {
  const { config, resourceServers, accounts } = context;
  const seconds = (milliseconds: number) => Math.max(1, Math.floor(milliseconds / 1_000));
  return {
    adapter: context.adapter,
    jwks: context.keys,
    clients: preRegistered(config.clients),
    clientDefaults: {
      application_type: 'native',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      id_token_signed_response_alg: SIGNING_ALGORITHM,
    },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    extraClientMetadata: {
      properties: ['software_id', 'software_version'],
      validator: (_ctx, key, _value, metadata) => {
        if (key === 'software_id') checkClientMetadata(metadata, config);
      },
    },
    responseTypes: ['code'],
    scopes: ['openid', 'offline_access', 'profile', 'email', ...resourceServers.allScopes()],
    claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    // Between the grant's reading and the look at the resource, whose texts are compared.
    findAccount: (ctx, id, source) => {
      resourceServers.asGranted(ctx.oidc.params, source);
      return accounts.find(ctx, id, source);
    },
    extraTokenClaims: (ctx, token) => {
      const { Account } = ctx.oidc.entities;
      const known =
        token.kind === 'AccessToken' ? accounts.identityOf(Account) : accounts.clientIdentity(token.clientId);
      const grant = token.kind === 'AccessToken' ? token.grantId : undefined;
      return { ...(known && identityClaims(known)), ...(grant === undefined ? {} : { grant }) };
    },
    // MCP clients keep people signed in without asking for offline_access.
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    interactions: { policy: policy(context.policies), url: (_ctx, { uid }) => `${INTERACTION_PATH}/${uid}` },
    // Each authorization is asked for anew: what oidc-provider remembers of the browser is used for one of them.
    loadExistingGrant: async ({ oidc }) => {
      const id = oidc.result?.consent?.grantId;
      return id === undefined ? undefined : oidc.provider.Grant.find(id);
    },
    clientBasedCORS: () => true,
    cookies: { names: LIBRARY_COOKIES },
    routes: OAUTH_PATHS,
    fetch: context.fetch,
    fetchResponseBodyLimits: {
      'client_id metadata document': config.metadataDocuments.maxSize,
      jwks_uri: config.metadataDocuments.maxSize,
      sector_identifier_uri: config.metadataDocuments.maxSize,
    },
    renderError: context.renderError,
    ...(config.identityAssertions ? { discovery: { authorization_grant_profiles_supported: [ID_JAG_PROFILE] } } : {}),
    features: features(context),
    ttl: {
      AccessToken: seconds(config.accessTokenLifetime),
      ClientCredentials: seconds(config.accessTokenLifetime),
      AuthorizationCode: CODE_LIFETIME,
      IdToken: seconds(config.accessTokenLifetime),
      Interaction: INTERACTION_LIFETIME,
      Session: INTERACTION_LIFETIME,
      RefreshToken: seconds(Math.min(config.refreshTokenLifetime, context.longestSession)),
      Grant: seconds(context.longestSession),
    },
  };
}

function features(context: ProviderConfigurationContext): NonNullable<Configuration['features']> {
  const { config, resourceServers, allowDocument } = context;
  const { registration, metadataDocuments } = config;
  return {
    devInteractions: { enabled: false },
    userinfo: { enabled: false },
    rpInitiatedLogout: { enabled: false },
    dPoP: { enabled: false },
    pushedAuthorizationRequests: { enabled: false },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId },
    introspection: {
      enabled: true,
      // Anybody can register: of others' tokens only those learn whom the operator has given a secret.
      allowedPolicy: (_ctx, client, token) =>
        token.clientId === client.clientId ||
        config.clients.some(({ id, secret }) => id === client.clientId && secret !== undefined),
    },
    registration: { enabled: registration.enabled, initialAccessToken: registration.initialAccessToken?.[0] ?? false },
    clientCredentials: { enabled: config.clientCredentials },
    clientIdMetadataDocument: {
      enabled: metadataDocuments.enabled,
      ack: 'draft-02',
      allowFetch: allowDocument,
      cacheDuration: {
        min: Math.ceil(metadataDocuments.minCacheLifetime / 1_000),
        max: Math.floor(metadataDocuments.maxCacheLifetime / 1_000),
      },
    },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resourceServers.default(),
      getResourceServerInfo: (ctx, indicator) => resourceServers.describe(ctx, indicator),
      useGrantedResource: () => true,
    },
  };
}

/** Always our own page first: it knows whether a person is signed in and what they have consented to. */
function policy({ base, Check, Prompt }: typeof interactionPolicy): interactionPolicy.DefaultPolicy {
  const ours = base();
  ours.clear();
  ours.add(new Prompt({ name: 'login', requestable: true }));
  ours.add(
    new Prompt(
      { name: 'consent', requestable: true },
      new Check('consent_page', 'the person must consent', 'interaction_required', ({ oidc }) =>
        oidc.result?.consent === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    ),
  );
  return ours;
}
