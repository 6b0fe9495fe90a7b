import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { AuditLog } from '../platform/audit/audit-log.ts';
import type { PagesConfig } from '../platform/config/pages-schema.ts';
import type { Config } from '../platform/config/schema.ts';
import { presetOf } from '../platform/config/trust-presets.ts';
import { ConfigurationError } from '../platform/errors.ts';
import type { RequestHandler } from '../platform/http.ts';
import type { InternalHandler } from '../platform/internal-listener.ts';
import type { Logger } from '../platform/log.ts';
import type { RelayMetrics, StoreMetrics } from '../platform/metrics.ts';
import { createOperatorApi, type OperatorRoute } from '../platform/operator-api.ts';
import { type Branding, openBranding } from '../platform/pages/branding.ts';
import { PageSite } from '../platform/pages/page.ts';
import { ReusableParts } from '../platform/reloading/reusable-parts.ts';
import type { RotatingSealing } from '../platform/sealing/sealing-keys.ts';
import type { SigningKeys } from '../platform/signing-keys.ts';
import type { Tracing } from '../platform/tracing/span.ts';
import { tracedFetch } from '../platform/tracing/traced-fetch.ts';
import type { RevokedCredentials } from '../stores/revoked-credentials.ts';
import type { Stores } from '../stores/stores.ts';
import type { Suspensions } from '../stores/suspensions.ts';
import type { Watch } from '../watch/watch.ts';
import type { FormTokens } from './admin/access/form-token.ts';
import type { LiveStreams } from './admin/api/live-stream.ts';
import { openAdmin } from './admin/open-admin.ts';
import type { RecentActivity } from './admin/recent-activity.ts';
import { CONNECT_ASSETS } from './connect/paths.ts';
import { openOutgoing } from './credentials/open-outgoing.ts';
import { publishKeys } from './credentials/published-keys.ts';
import { SharedOutgoing } from './credentials/shared-outgoing.ts';
import type { Budgets } from './gate/budgets/budgets.ts';
import type { RateLimitStates } from './gate/rate-limit-states.ts';
import type { Tools } from './gate/tools/tools.ts';
import { RELAY_AREA } from './operator-area.ts';
import type { RefusalPage } from './refusal.ts';
import { createRefusalPage } from './refusal-page.ts';
import type { ReplicaChannel } from './replicas/replica-channel.ts';
import type { ConfiguredServer } from './servers/configured-server.ts';
import { openServers } from './servers/open-servers.ts';
import type { ServerSet } from './servers/server-set.ts';
import { Cors } from './transports/cors.ts';
import type { OpenStreams } from './transports/open-streams.ts';
import { Callers } from './trust/caller.ts';
import { HeaderScanner } from './trust/headers.ts';
import type { MigrationReport } from './trust/migration-report.ts';
import { createPeers } from './trust/peers.ts';
import { TokenResources } from './trust/token-resources.ts';
import { Trust } from './trust/trust.ts';
import type { RetryTimes } from './upstreams/resumable-stream.ts';
import { TracedRequests } from './upstreams/traced-requests.ts';

/** What lives as long as the process, whatever it is configured to. */
export interface RelayParts {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of streams of servers that broke. */
  readonly retry: RetryTimes;
  readonly fetch: typeof fetch;
  /** To the other process, which no proxy of the environment leads to. */
  readonly fetchInside: typeof fetch;
  readonly stores: Stores;
  readonly ended: RevokedCredentials;
  readonly suspensions: Suspensions;
  readonly metrics: RelayMetrics;
  readonly storeMetrics: StoreMetrics;
  readonly audit: AuditLog | undefined;
  readonly watch: Watch | undefined;
  /** Undefined: traces are off. */
  readonly tracing: Tracing | undefined;
  readonly replicas: ((topic: string) => ReplicaChannel) | undefined;
  readonly servers: ServerSet;
  readonly streams: OpenStreams;
  readonly budgets: Budgets;
  readonly tools: Tools;
  readonly migration: MigrationReport;
  readonly rateLimits: RateLimitStates | undefined;
  /** Undefined where nobody looks. */
  readonly admin:
    | { readonly activity: RecentActivity; readonly live: LiveStreams; readonly forms: FormTokens }
    | undefined;
  /** Made when first asked for; they sign in the relay's name. */
  readonly signingKeys: () => Promise<SigningKeys>;
  /** As above, for connected accounts. */
  readonly accountSealing: () => RotatingSealing;
  readonly operatorRoutes: readonly OperatorRoute[];
}

/** Everything that follows from one configuration and holds nothing that must outlive it. */
export interface RelaySnapshot {
  readonly config: Config;
  readonly trust: Trust;
  readonly callers: Callers;
  readonly peers: ReturnType<typeof createPeers>;
  readonly servers: ReadonlyMap<string, ConfiguredServer>;
  readonly operator: InternalHandler;
  readonly site: PageSite;
  readonly refusalPage: RefusalPage;
  readonly parts: ReusableParts;
  readonly outgoing: SharedOutgoing;
  /** Answers what is for no MCP server. */
  readonly answerOwn: (...exchange: Parameters<RequestHandler>) => Promise<void> | boolean;
  /** Ends what no other configuration goes on with. */
  close(next?: RelaySnapshot): Promise<void>;
}

/** Milliseconds that keys of a changed trust may take to be fetched before they are needed. */
const KEYS_AHEAD = 3_000;

/**
 * @param before the snapshot that runs; it goes on unharmed if this one cannot be made
 * @throws ConfigurationError where a key, a secret or a file cannot be used
 */
export async function openSnapshot(config: Config, own: RelayParts, before?: RelaySnapshot): Promise<RelaySnapshot> {
  const parts = new ReusableParts(before?.parts);
  try {
    return await open(config, own, parts, before);
  } catch (error) {
    parts.closeAllBut(before?.parts);
    throw error;
  } finally {
    parts.settle();
  }
}

async function open(
  config: Config,
  own: RelayParts,
  parts: ReusableParts,
  before: RelaySnapshot | undefined,
): Promise<RelaySnapshot> {
  const { relay } = config;
  const { log, ended, suspensions, metrics, watch, tracing, audit, migration } = own;
  const trust = parts.keep('trust', trustSettings(config), () => {
    return new Trust(config, { now: own.now, fetch: tracedFetch(own.fetch, tracing) });
  });
  // A request would otherwise wait for keys that were there a moment ago.
  if (before !== undefined && before.trust !== trust)
    await Promise.race([trust.ready().catch(() => {}), delay(KEYS_AHEAD, undefined, { ref: false })]);
  const scanner = new HeaderScanner({ identity: trust.identityHeaders, secretHeader: relay.trust.secretHeader });
  const resources = TokenResources.of(config);
  const callers = new Callers(config, {
    ...{ scanner, trust, resources, ended, suspensions, metrics, watch, log, tracing },
    migration: relay.jwt.enabled ? migration : undefined,
  });
  const outgoing = await openSharedOutgoing(config, own, before);
  const release = outgoing.retain();
  try {
    const { admin: shown, rateLimits } = own;
    const admin = shown && rateLimits && openAdmin(config, { ...own, ...shown, rateLimits, callers, scanner });
    const site = new PageSite(
      CONNECT_ASSETS,
      brandingHere(config.auth.pages, own.log),
      presetOf(relay.trust) === 'postern',
    );
    const pages = outgoing.accounts?.pages(callers, site);
    const cors = new Cors(config);
    const servers = await openServers(config, {
      ...own,
      outgoing,
      running: own.servers,
      channel: own.replicas,
      traced:
        tracing &&
        ((about) => {
          const isListed = (tool: string) => own.tools.book.get(about.name, tool) !== undefined;
          return new TracedRequests({ ...about, isListed }, tracing);
        }),
    });
    return {
      ...{ config, trust, callers, servers, site, parts, outgoing },
      refusalPage: createRefusalPage(config, site),
      peers: createPeers(relay.trust.proxies),
      operator: createOperatorApi({
        area: RELAY_AREA,
        token: relay.operatorToken,
        routes: own.operatorRoutes,
        audit,
        log,
        onRefused: (address) => watch?.observe({ kind: 'operator_refused', address }),
      }),
      answerOwn: (request, response) => {
        const operating = admin?.(request, response);
        if (operating !== undefined) return operating;
        if (cors.handle(request, response) || publishKeys(outgoing.keys, request, response)) return true;
        return pages?.handle(request, response) ?? resources?.handle(request, response) ?? false;
      },
      close: async (next) => {
        parts.closeAllBut(next?.parts);
        await release();
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}

/** With the keys that are read from files once. */
function trustSettings({ publicUrl, relay }: Config): unknown {
  const { trust, jwt, migration, authRequired, limits } = relay;
  const { publicKeyPath } = jwt;
  const publicKey = jwt.enabled && publicKeyPath !== undefined ? contentOf(publicKeyPath) : undefined;
  return [publicUrl, trust, jwt, migration, authRequired, limits.maxIdentity, publicKey];
}

/** Tokens and connected accounts go on where nothing about credentials has changed. */
async function openSharedOutgoing(
  config: Config,
  own: RelayParts,
  before: RelaySnapshot | undefined,
): Promise<SharedOutgoing> {
  const settings = JSON.stringify(outgoingSettings(config));
  if (before !== undefined && settings === JSON.stringify(outgoingSettings(before.config))) return before.outgoing;
  return new SharedOutgoing(await openOutgoing(config, own));
}

function outgoingSettings({ publicUrl, relay }: Config): unknown {
  const { passthrough, signing, authorizationServers, connections, trust } = relay;
  const { secretHeader, userHeader, headers } = trust;
  const servers = Object.entries(relay.servers).filter(
    ([, server]) =>
      passthrough.enabled || server.credential !== undefined || server.assertion || server.identityHeaders,
  );
  return [
    ...[publicUrl, passthrough, signing, authorizationServers, connections, secretHeader, userHeader, headers],
    servers,
  ];
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Logo and texts are files of forward-auth's machine, which this one need not have: a few pages without them are no reason not to start. */
function brandingHere(pages: PagesConfig, log: Logger): Branding {
  try {
    return openBranding(pages);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    log.warn({ problems: error.problems }, 'pages of the relay have neither logo nor texts of auth.pages');
    const { logoPath: _logo, textsPath: _texts, ...rest } = pages;
    return openBranding(rest);
  }
}
