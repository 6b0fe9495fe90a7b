import type { RequestListener } from 'node:http';
import type { ListDelimiter } from '../identity/headers.ts';
import type { Identity } from '../identity/identity.ts';
import { PresetHeaders } from '../identity/presets.ts';
import type { AuditEntry } from '../platform/audit/audit-entry.ts';
import type { AuditLog } from '../platform/audit/audit-log.ts';
import type { RecentDenials } from '../platform/audit/recent-denials.ts';
import type { Config, LimitedBy, ProviderConfig } from '../platform/config/schema.ts';
import type { InternalHandler } from '../platform/internal-listener.ts';
import type { Logger } from '../platform/log.ts';
import type { AuthMetrics, StoreMetrics } from '../platform/metrics.ts';
import { createOperatorApi } from '../platform/operator-api.ts';
import { openBranding } from '../platform/pages/branding.ts';
import { PageSite } from '../platform/pages/page.ts';
import { providerFetch } from '../platform/provider-fetch.ts';
import { ReusableParts } from '../platform/reloading/reusable-parts.ts';
import type { SigningKeys } from '../platform/signing-keys.ts';
import type { Tracing } from '../platform/tracing/span.ts';
import { trustedPeers } from '../platform/trusted-peers.ts';
import type { RevokedCredentials } from '../stores/revoked-credentials.ts';
import type { Stores } from '../stores/stores.ts';
import { suspensionRoutes } from '../stores/suspension-routes.ts';
import { keepsOut, type Suspension, type Suspensions } from '../stores/suspensions.ts';
import type { Watcher } from '../watch/watch.ts';
import { SignedAnswers } from './assertions/signed-answers.ts';
import { openCredentials } from './authenticators/credentials.ts';
import { authorizationServers } from './authenticators/own-issuers.ts';
import { createCheck, type Peers } from './check/check.ts';
import type { DecisionMeter } from './check/decision-meter.ts';
import { createRefusalPage } from './check/refusal-page.ts';
import { tracedAuthenticate, tracedCheck } from './check/traced-check.ts';
import { SIGN_IN_PATHS } from './decision/own-endpoints.ts';
import type { RunCheck } from './decision/proxy-check.ts';
import type { Queues } from './limits/overload-queues.ts';
import { RateLimits } from './limits/rate-limits.ts';
import { createRoute } from './listeners.ts';
import { openBrowserSessions } from './login/browser-sessions.ts';
import type { HomeParts } from './login/home.ts';
import { type Broker, openBroker } from './mcp-authorization/broker/broker.ts';
import { ProviderMetadata } from './mcp-authorization/provider-metadata.ts';
import { apiKeyRoutes } from './operator/api-key-routes.ts';
import { denialRoutes } from './operator/denial-routes.ts';
import { oauthRoutes } from './operator/oauth-routes.ts';
import { peopleRoutes } from './operator/people.ts';
import { sessionRoutes } from './operator/session-routes.ts';
import { compilePolicy } from './policy.ts';
import { createPublicEndpoints } from './public-endpoints.ts';
import { allSessions } from './sessions/all-sessions.ts';
import type { Sessions } from './sessions/session.ts';

/** What lives as long as the process, whatever it is configured to. */
export interface ProcessParts {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly fetch: typeof fetch;
  readonly stores: Stores;
  readonly ended: RevokedCredentials;
  readonly suspensions: Suspensions;
  readonly keys: SigningKeys;
  readonly metrics: AuthMetrics & StoreMetrics;
  readonly meter: DecisionMeter;
  readonly queues: Queues;
  readonly audit: AuditLog | undefined;
  readonly denials: RecentDenials;
  /** Keeps one in `denials`. */
  readonly onDenial: (entry: AuditEntry) => void;
  /** Undefined: traces are off. */
  readonly tracing: Tracing | undefined;
  readonly watch: Watcher | undefined;
}

/**
 * Everything that follows from one configuration. A request is answered by the generation that took it, from start to end;
 * nothing that one decided is remembered by the next, apart from parts whose settings are the same.
 */
export interface ConfigSnapshot {
  readonly peers: Peers;
  readonly runCheck: RunCheck;
  /** The whole HTTP listener: checks and pages. */
  readonly answer: RequestListener;
  readonly operator: InternalHandler;
  readonly site: PageSite;
  readonly parts: ReusableParts;
  /** How many identity providers there are. */
  readonly providers: number;
  /** Whether people can sign in with a browser. */
  readonly signsIn: boolean;
  /** Ids of the providers whose keys have never been loaded. */
  missingKeys(): string[];
  /** Starts loading keys; requests that come first wait for it. */
  start(): void;
}

/**
 * @param before the generation that runs; it goes on unharmed where this one cannot be made
 * @throws ConfigurationError where a key or a secret cannot be used
 */
export async function openConfigSnapshot(
  config: Config,
  own: ProcessParts,
  before?: ConfigSnapshot,
): Promise<ConfigSnapshot> {
  const parts = new ReusableParts(before?.parts);
  try {
    return await open(config, own, parts);
  } catch (error) {
    parts.closeAllBut(before?.parts);
    throw error;
  } finally {
    parts.settle();
  }
}

async function open(config: Config, own: ProcessParts, parts: ReusableParts): Promise<ConfigSnapshot> {
  const { auth, publicUrl } = config;
  const { log, now, stores, keys, metrics, meter, audit, watch, tracing } = own;
  const common = { ...own, keep: parts.keep };
  const policy = compilePolicy(config);
  const presets = new PresetHeaders(policy.rules.emitted, auth.emit.groupsDelimiter as ListDelimiter);
  const answers = new SignedAnswers(
    keys,
    { ...auth.assertion, issuer: publicUrl, names: config.userNames },
    now,
    presets,
  );
  const onLimited = (by: LimitedBy) => metrics.rateLimited.inc({ process: 'forward-auth', by });
  const limits = new RateLimits(auth, { stores, resources: policy.resources, log, onLimited });
  const allowAttempt = (address: string) => limits.allowSignIn(address);
  const site = new PageSite(SIGN_IN_PATHS.assets, openBranding(auth.pages));
  const titleOf = (server: string) => config.relay.servers[server]?.title ?? server;
  const titles = Object.keys(config.relay.servers).map((server) => [server, titleOf(server)]);
  const home: HomeParts = {
    ...policy,
    titleOf,
    accountsUrl: connectsAccounts(config) ? new URL('/connect', publicUrl).href : undefined,
    applications: () => broker?.applications,
  };
  const browsers = await openBrowserSessions(config, { ...common, allowAttempt, site, home });
  const { sessions, sealing } = browsers;
  const broker: Broker | undefined = auth.broker.enabled
    ? parts.keep('broker', [publicUrl, auth, titles, config.relay.aggregate], () =>
        openBroker(config, { ...own, ...policy, sessions, sealing, allowAttempt, titleOf }),
      )
    : undefined;
  const credentials = openCredentials(config, {
    ...common,
    issuers: broker === undefined ? [] : [broker.tokens],
    sessions: browsers.enabled ? browsers.sessions : undefined,
    onLimited,
    onLookup: (outcome) => meter.lookup(outcome),
    onKeys: (provider, fetched) => {
      metrics.providerUp.set({ provider }, fetched ? 1 : 0);
      if (fetched) metrics.providerKeysLoaded.set({ provider }, now() / 1000);
    },
  });
  const { apiKeys } = credentials;
  const authenticate =
    tracing === undefined ? credentials.authenticate : tracedAuthenticate(credentials.authenticate, tracing);
  const { suspensions } = own;
  const isSuspended = (identity: Identity) => suspensions.find(identity) !== undefined;
  const complete = { ...policy, limits, isSuspended, ...browsers.policy };
  const personOf = async (cookie: string) => (browsers.enabled ? (await sessions.find(cookie))?.identity : undefined);
  const refusalPage = createRefusalPage({ config, policy: complete, site, titleOf, personOf });
  const plain = createCheck({
    ...{ policy: complete, authenticate, answers, refusalPage },
    ...{ meter, audit, watch, onDenial: own.onDenial, log },
  });
  const runCheck = tracing === undefined ? plain : tracedCheck(plain);
  const peers = { trusted: trustedPeers(auth), trustedHops: auth.trustedHops, log };
  const originMetadata = auth.providers.find(({ id }) => id === auth.originMetadata);
  const pages = createPublicEndpoints({
    ...policy,
    issuers: authorizationServers(config),
    broker: broker?.middleware,
    providerMetadata:
      originMetadata &&
      new ProviderMetadata(originMetadata.issuer, { ...own, log, fetch: providerFetch(originMetadata, own.fetch) }),
    publishedKeys: () => keys.published(),
    signIn: browsers.middleware,
    log,
  });
  const routes = [
    ...sessionRoutes(browsers.sessions),
    ...denialRoutes(own.denials),
    ...peopleRoutes({
      sessions: browsers.sessions,
      granting: async () => (await broker?.grants.list()) ?? [],
      ofApiKeys: async () => (await apiKeys?.people()) ?? [],
      isSuspended,
    }),
    ...suspensionRoutes({
      ...{ suspensions, log, now, shared: stores.kind === 'redis' },
      end: (suspended) => endSessions(browsers.sessions, suspended, auth.providers),
    }),
    ...(broker === undefined ? [] : oauthRoutes(broker)),
    ...(apiKeys === undefined ? [] : apiKeyRoutes(apiKeys, stores.kind === 'redis')),
  ];
  return {
    peers,
    runCheck,
    site,
    answer: createRoute(peers, runCheck, pages),
    operator: createOperatorApi({
      token: auth.operatorToken,
      audit,
      log,
      routes,
      onRefused: (address) => watch?.observe({ kind: 'operator_refused', address }),
    }),
    parts,
    providers: auth.providers.length,
    signsIn: browsers.enabled,
    missingKeys: () => credentials.missingKeys(),
    start: () => credentials.start(),
  };
}

function connectsAccounts({ relay }: Config): boolean {
  return Object.values(relay.servers).some(({ credential }) => credential?.connection !== undefined);
}

/** Those by subject; where that is none, those of everybody who is called so. */
async function endSessions(
  sessions: Pick<Sessions, 'ofUser' | 'page' | 'end'>,
  suspended: Suspension,
  providers: readonly ProviderConfig[],
): Promise<number> {
  const { user, issuer } = suspended;
  const keys = new Set<string>();
  for (const at of new Set(issuer === undefined ? providers.map((provider) => provider.issuer) : [issuer]))
    for (const { key } of await sessions.ofUser(at, user)) keys.add(key);
  if (issuer === undefined || keys.size === 0)
    for await (const { key, identity } of allSessions(sessions)) if (keepsOut(suspended, identity)) keys.add(key);
  let ended = 0;
  for (const key of keys) if (await sessions.end(key, 'operator')) ended += 1;
  return ended;
}
