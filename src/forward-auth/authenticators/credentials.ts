import type { Config, LimitedBy } from '../../platform/config/schema.ts';
import type { Logger } from '../../platform/log.ts';
import type { Keep } from '../../platform/reloading/reusable-parts.ts';
import type { RevokedCredentials } from '../../stores/revoked-credentials.ts';
import type { Stores } from '../../stores/stores.ts';
import type { Watcher } from '../../watch/watch.ts';
import { ApiKeys } from '../api-keys/api-keys.ts';
import type { ApiKeyParts } from '../api-keys/key-format.ts';
import type { Authenticate } from '../decision/authentication.ts';
import { DUPLICATED } from '../decision/request.ts';
import type { Queues } from '../limits/overload-queues.ts';
import { UnknownTokens } from '../limits/unknown-tokens.ts';
import type { Sessions } from '../sessions/session.ts';
import { ApiKeyAuthenticator } from './api-key.ts';
import { type Authenticator, inOrder } from './authenticator.ts';
import { ClientCertificateAuthenticator } from './client-certificate.ts';
import { refuseConflicts } from './credential-conflict.ts';
import { GroupNotices } from './group-notices.ts';
import { Introspection } from './introspection.ts';
import { JwtAuthenticator } from './jwt.ts';
import { apiKeyIssuer } from './own-issuers.ts';
import { ProviderKeys } from './provider-keys.ts';
import { SessionAuthenticator } from './session.ts';
import { sessionOnlyWhereAsked } from './session-only.ts';
import type { TokenIssuer } from './token-issuer.ts';

export interface CredentialsDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
  readonly stores: Stores;
  readonly ended: Pick<RevokedCredentials, 'end'>;
  /** Absent where nobody can sign in. */
  readonly sessions: Sessions | undefined;
  readonly queues: Queues;
  readonly onLookup: (outcome: 'hit' | 'miss') => void;
  readonly onLimited: (by: LimitedBy) => void;
  readonly watch: Watcher | undefined;
  readonly onKeys: (provider: string, fetched: boolean) => void;
  readonly keep: Keep;
  /** Issuers of access tokens beside the configured providers. */
  readonly issuers: readonly TokenIssuer[];
}

export interface Credentials {
  readonly authenticate: Authenticate;
  readonly apiKeys: ApiKeys | undefined;
  /** Starts loading keys; requests that come first wait for it. */
  start(): void;
  /** Ids of the providers whose keys have never been loaded. */
  missingKeys(): string[];
}

/** Every kind of credential that is configured. One request carries one of them. */
export function openCredentials(config: Config, dependencies: CredentialsDependencies): Credentials {
  const { auth } = config;
  const { now, sessions, keep, queues } = dependencies;
  const { providers, tokenCache, limits } = auth;
  const groupNotices = new GroupNotices(dependencies.log);
  const apiKeys = auth.apiKeys.enabled
    ? keep('api keys', [auth.apiKeys.cacheLifetime, config.publicUrl, Object.keys(config.relay.servers)], () =>
        openApiKeys(config, dependencies),
      )
    : undefined;
  const keys = new Map(
    providers.map((provider) => {
      const { id, issuer, jwksUri, discoveryUrl } = provider;
      return [
        id,
        keep(`keys of ${id}`, [issuer, jwksUri, discoveryUrl], () => new ProviderKeys(provider, dependencies)),
      ];
    }),
  );
  const bounds = auth.rateLimits.filter(({ by }) => by === 'unknown-token');
  const introspection = keep(
    'introspection',
    [providers, bounds],
    () =>
      new Introspection(auth, {
        ...dependencies,
        groupNotices,
        queue: queues.introspection,
        unknown: new UnknownTokens(bounds, dependencies),
      }),
  );
  const jwt = keep(
    'tokens',
    // What the broker hands out is made anew with whatever it is made of.
    [providers, tokenCache, limits.maxToken, bounds, dependencies.issuers.length === 0 ? undefined : auth],
    () => new JwtAuthenticator(auth, { ...dependencies, groupNotices, queue: queues.tokens, introspection, keys }),
  );
  const session = sessions === undefined ? undefined : new SessionAuthenticator(sessions);
  const authenticators: Authenticator[] = [
    ...(auth.clientCertificates.header === 'none' ? [] : [new ClientCertificateAuthenticator(auth, now)]),
    ...(apiKeys === undefined ? [] : [openApiKeyAuthenticator(config, apiKeys, dependencies)]),
    jwt,
    ...(session === undefined ? [] : [session]),
  ];
  const missing = () => [...keys].filter(([, of]) => !of.loaded);
  return {
    authenticate: sessionOnlyWhereAsked(session, refuseConflicts(auth, inOrder(authenticators), hasSession(sessions))),
    apiKeys,
    start: () => {
      for (const [, of] of missing()) void of.refresh();
    },
    missingKeys: () => missing().map(([id]) => id),
  };
}

function openApiKeys(config: Config, { stores, ended, log, now, queues }: CredentialsDependencies): ApiKeys {
  return new ApiKeys({
    stores,
    ended,
    log,
    now,
    queue: queues.store,
    cacheTtl: config.auth.apiKeys.cacheLifetime,
    issuer: apiKeyIssuer(config.publicUrl),
    servers: Object.keys(config.relay.servers),
  });
}

function openApiKeyAuthenticator(
  { auth, publicUrl }: Config,
  keys: ApiKeys,
  { watch }: CredentialsDependencies,
): ApiKeyAuthenticator {
  const issuer = apiKeyIssuer(publicUrl);
  const ended = async (parts: ApiKeyParts) => {
    const key = await keys.ended(parts);
    return key && { person: { subject: key.subject, issuer }, reason: key.why };
  };
  return new ApiKeyAuthenticator(auth, {
    keys,
    onRefused: (parts, address) => watch?.observe({ kind: 'api_key_refused', ended: () => ended(parts), address }),
  });
}

/** Ours alone are looked for: an application's cookies are no credential here. */
function hasSession(sessions: Sessions | undefined): Parameters<typeof refuseConflicts>[2] {
  if (sessions === undefined) return undefined;
  return ({ headers }) => {
    const header = headers.get('cookie');
    return header === DUPLICATED || (header !== undefined && sessions.carries(header));
  };
}
