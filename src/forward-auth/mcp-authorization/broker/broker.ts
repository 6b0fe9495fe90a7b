import { AsyncLocalStorage } from 'node:async_hooks';
import type { Middleware } from 'koa';
import type Provider from 'oidc-provider';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { AuditLog } from '../../../platform/audit/audit-log.ts';
import type { Config } from '../../../platform/config/schema.ts';
import { requestId } from '../../../platform/http.ts';
import type { Logger } from '../../../platform/log.ts';
import type { AuthMetrics } from '../../../platform/metrics.ts';
import { showProblem } from '../../../platform/pages/visit.ts';
import type { Sealing } from '../../../platform/sealing/sealing.ts';
import { trustedPeers } from '../../../platform/trusted-peers.ts';
import type { RevokedCredentials } from '../../../stores/revoked-credentials.ts';
import type { Stores } from '../../../stores/stores.ts';
import type { Watcher } from '../../../watch/watch.ts';
import { brokeredProviders, brokerIssuer } from '../../authenticators/own-issuers.ts';
import { ProviderKeys } from '../../authenticators/provider-keys.ts';
import type { TokenIssuer } from '../../authenticators/token-issuer.ts';
import type { Resources } from '../../decision/resources.ts';
import type { Rules } from '../../decision/rules.ts';
import type { LoginContext } from '../../login/context.ts';
import type { ConnectedApplications } from '../../login/home.ts';
import { RequestOrigins } from '../../login/request-origin.ts';
import { Origins } from '../../login/sign-in-urls.ts';
import type { Sessions } from '../../sessions/session.ts';
import { acceptSeveralSecrets } from './accepted-secrets.ts';
import { Accounts } from './accounts.ts';
import { AuthorizationAudit } from './audit.ts';
import { rememberBadDocuments } from './bad-documents.ts';
import { BrokerLimits } from './broker-limits.ts';
import { brokerRoutes } from './broker-routes.ts';
import { BrokerStores } from './broker-stores.ts';
import { registerClientCredentialsGrant } from './client-credentials-grant.ts';
import { connectedApplications } from './connected-applications.ts';
import { Consents } from './consents.ts';
import { openDocumentFetch } from './document-fetch.ts';
import { Grants } from './grants.ts';
import { registerIdentityAssertionGrant } from './identity-assertion-grant.ts';
import { useInteractionCookies } from './interaction-cookies.ts';
import { brokerTokens } from './issued-tokens.ts';
import { createProvider, loadLibrary } from './oidc-library.ts';
import { providerConfiguration } from './provider-configuration.ts';
import { noteProviderEvents } from './provider-events.ts';
import { RefreshRotation } from './refresh-rotation.ts';
import { registerRefreshTokenGrant } from './refresh-token-grant.ts';
import { markShown, showRefusalsFirst } from './refusal-page.ts';
import { RegisteredClients } from './registered-clients.ts';
import { ResourceServers } from './resource-servers.ts';
import { TokenKeys } from './token-keys.ts';
import { prefixTokens } from './token-prefix.ts';

export interface BrokerDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
  readonly stores: Stores;
  readonly ended: RevokedCredentials;
  readonly sealing: Sealing;
  readonly sessions: Sessions;
  readonly metrics: Pick<AuthMetrics, 'oauthEvents'>;
  readonly audit: Pick<AuditLog, 'record'> | undefined;
  readonly watch?: Watcher | undefined;
  readonly allowAttempt: LoginContext['allowAttempt'];
  readonly resources: Resources;
  readonly rules: Rules;
  /** What people call a server, by its name. */
  readonly titleOf: (server: string) => string;
}

/** Postern as the authorization server of MCP clients. */
export interface Broker {
  /** Issuer identifier (RFC 8414 §2): the origin of `publicUrl`. */
  readonly issuer: string;
  readonly middleware: Middleware;
  /** By which forward-auth knows the tokens, without asking over HTTP. */
  readonly tokens: TokenIssuer;
  readonly grants: Grants;
  readonly clients: RegisteredClients;
  readonly applications: ConnectedApplications;
  close(): void;
}

/** @throws ConfigurationError */
export function openBroker(config: Config, deps: BrokerDependencies): Broker {
  const { auth, publicUrl } = config;
  const { log, now, stores, ended, sealing, sessions, resources, rules, metrics } = deps;
  const { broker } = auth;
  const issuer = brokerIssuer(publicUrl);
  const signInProviders = brokeredProviders(config).map(({ id }) => id);
  const lifetime = broker.accessTokenLifetime;
  const resourceServers = new ResourceServers({
    resources,
    rules,
    defaultResource: broker.defaultResource,
    accessTokenLifetime: lifetime,
  });
  const brokerStores = new BrokerStores(broker, { stores, sealing, now });
  const revoke = (id: string) => brokerStores.revokeGrant(id);
  const audit = new AuthorizationAudit({
    ...{ log, audit: deps.audit },
    count: (event) => metrics.oauthEvents.inc({ event }),
  });
  const prolong = (id: string, until: number) => brokerStores.prolongGrant(id, until);
  const grants = new Grants({ records: brokerStores.grantRecords, ended, sealing, audit, now, revoke, prolong });
  brokerStores.onGrantEnd = (id) => grants.forget(id);
  const subscriptions = [
    sessions.onReplace((from, to) => grants.move(from, to)),
    sessions.onEnd(async (session) => {
      for (const { id } of await grants.ofSession(session)) await grants.end(id, 'session_ended');
    }),
  ];
  const consents = new Consents({ records: brokerStores.consents, sealing, now, remember: broker.consentLifetime });
  const accounts = new Accounts({ sessions, grants, clients: broker.clients });
  const limits = new BrokerLimits(broker, stores);
  const places = new RequestOrigins(trustedPeers(auth), new Origins(config), auth.trustedHops);
  // The library names no request where it fetches a key set.
  const requester = new AsyncLocalStorage<string>();
  const documents = openDocumentFetch(broker.metadataDocuments, (host) => limits.fetch(host, requester.getStore()));
  const keys = new TokenKeys({ stores, sealing, log, now, rotate: broker.rotate, lifetime });

  const rotation = new RefreshRotation({
    records: brokerStores.adapter('RefreshToken'),
    reuseInterval: broker.refreshTokenReuseInterval,
    now,
  });

  const taken = broker.identityAssertions ? auth.providers : [];
  const providerKeys = new Map(taken.map((provider) => [provider.id, new ProviderKeys(provider, deps)]));

  const build = async (): Promise<Provider> => {
    const { interactionPolicy: policies } = await loadLibrary();
    const provider = await createProvider(
      issuer,
      providerConfiguration({
        config: broker,
        keys: { keys: keys.signing() as never },
        adapter: (model: string) => brokerStores.adapter(model),
        accounts,
        resourceServers,
        fetch: documents.fetch,
        allowDocument,
        policies,
        renderError: showError,
        longestSession: auth.sessions.absoluteLifetime,
      }),
    );
    provider.proxy = true;
    prefixTokens(provider);
    rememberBadDocuments(provider, broker.metadataDocuments.minCacheLifetime);
    acceptSeveralSecrets(provider, broker);
    useInteractionCookies(provider, auth.sessions.cookie, now);
    registerRefreshTokenGrant(provider, { accounts, resourceServers, rotation, revoke });
    if (broker.clientCredentials) registerClientCredentialsGrant(provider, resourceServers);
    if (taken.length > 0)
      registerIdentityAssertionGrant(provider, {
        ...{ issuer, accounts, resourceServers, now },
        providers: taken,
        keys: providerKeys,
      });
    provider.use(async (ctx, next) => {
      ctx.state.requestId = requestId(ctx.req);
      await next();
      if (ctx.status === 503) ctx.set('Retry-After', '5');
    });
    showRefusalsFirst(provider, (client) => broker.clients.some(({ id }) => id === client));
    noteProviderEvents(provider, {
      ...{ audit, accounts, log, watch: deps.watch },
      issuers: new Map(auth.providers.map(({ id, issuer: home }) => [id, home])),
      addressOf: (ctx) => places.addressOf(ctx.req),
    });
    provider.on('grant.success', ({ oidc: { client } }) => {
      const used = brokerStores.clients.extend(client?.clientId ?? '', now() + broker.registration.idleLifetime);
      used.catch((error: unknown) => log.warn({ error }, 'the use of a client could not be noted'));
    });
    return provider;
  };
  // oidc-provider's keys are fixed; all else that it knows is in the store.
  let built: { version: number; provider: Promise<Provider> } | undefined;
  const current = async (): Promise<Provider> => {
    await keys.ready();
    if (built?.version !== keys.version) built = { version: keys.version, provider: build() };
    return built.provider;
  };
  return {
    issuer,
    grants,
    applications: connectedApplications(grants, consents),
    clients: new RegisteredClients(brokerStores.clients, grants, consents),
    tokens: brokerTokens({ issuer, providers: auth.providers, keys, ended }),
    middleware: brokerRoutes({
      issuer,
      provider: current,
      resourceServers,
      limits,
      places,
      requester,
      maxRegistration: broker.registration.maxSize,
      originEndpoints: broker.originEndpoints,
      allowAttempt: deps.allowAttempt,
      audit,
      log,
      interaction: {
        provider: current,
        sessions,
        sealing,
        grants,
        consents,
        resourceServers,
        titleOf: deps.titleOf,
        signInProviders,
        audit,
        now,
      },
    }),
    close: () => {
      for (const unsubscribe of subscriptions) unsubscribe();
      keys.close();
      for (const of of providerKeys.values()) of.close();
      documents.close();
    },
  };
}

/** Only by a URL with a path (client ID metadata documents §3). */
async function allowDocument(_ctx: KoaContextWithOIDC | undefined, clientId: string): Promise<boolean> {
  return new URL(clientId).pathname !== '/';
}

function showError(ctx: KoaContextWithOIDC, out: { error: string; error_description?: string | undefined }): void {
  const { error, error_description: description } = out;
  markShown(ctx);
  // Registrations are forgotten when nobody uses them, or with the Redis that held them.
  const forgotten = error === 'invalid_client' && ctx.oidc?.route === 'authorization';
  showProblem(ctx, {
    status: ctx.status,
    problem: forgotten ? 'application_unknown' : 'application_failed',
    values: { reason: description === undefined ? error : `${error}: ${description}` },
  });
}
