import type { Socket } from 'node:net';
import { openAuditLog } from '../platform/audit/open-audit-log.ts';
import { drainTimes } from '../platform/config/drain-schema.ts';
import type { Config } from '../platform/config/schema.ts';
import { createHttpServer, drain, endKeepAlive, listen, type RequestHandler } from '../platform/http.ts';
import { createInternalServer } from '../platform/internal-listener.ts';
import type { Logger } from '../platform/log.ts';
import {
  createAuditMetrics,
  createProcessMetrics,
  createRelayMetrics,
  createStoreMetrics,
  createTracingMetrics,
} from '../platform/metrics.ts';
import { OpenedParts } from '../platform/opened-parts.ts';
import { createOperatorApi } from '../platform/operator-api.ts';
import { Readiness } from '../platform/readiness.ts';
import { openSealing } from '../platform/sealing/sealing-keys.ts';
import { openListenerTls } from '../platform/tls.ts';
import { openTracing } from '../platform/tracing/open-tracing.ts';
import { tracedFetch } from '../platform/tracing/traced-fetch.ts';
import { tracedRequests } from '../platform/tracing/traced-requests.ts';
import { EndedCredentials, lifetimeOfEnded } from '../stores/ended-credentials.ts';
import { openStores } from '../stores/open-stores.ts';
import { openWatch } from '../watch/open-watch.ts';
import { openActivity, openAdmin } from './admin/open-admin.ts';
import { openAggregate } from './aggregate/open-aggregate.ts';
import { ALL_SERVERS } from './all-servers.ts';
import { openOutgoing } from './credentials/open-outgoing.ts';
import { publishKeys } from './credentials/published-keys.ts';
import { openBudgets } from './gate/budgets/open-budgets.ts';
import { Gate } from './gate/gate.ts';
import { RateLimitStates } from './gate/rate-limit-states.ts';
import { pinRoutes } from './gate/tools/pin-routes.ts';
import { Tools } from './gate/tools/tools.ts';
import { Intake } from './intake.ts';
import { openUpstream } from './open-upstream.ts';
import { RELAY_AREA } from './operator-area.ts';
import { FORGERIES } from './refusal.ts';
import { openReplicaChannels } from './replicas/replica-channel.ts';
import { spanRoute } from './span-routes.ts';
import { CONNECTION_TIMES, type ConnectionTimes } from './transports/channel/connection.ts';
import { Connections } from './transports/connections.ts';
import { Cors } from './transports/cors.ts';
import { OpenStreams } from './transports/open-streams.ts';
import { StreamableHttpEndpoint } from './transports/streamable-http/endpoint.ts';
import { SessionSeal } from './transports/streamable-http/sealed-session.ts';
import { Callers } from './trust/caller.ts';
import { HeaderScanner } from './trust/headers.ts';
import { MigrationReport } from './trust/migration-report.ts';
import { migrationRoutes } from './trust/migration-routes.ts';
import { createPeers } from './trust/peers.ts';
import { activeProofs, relayTls } from './trust/proofs.ts';
import { logTrustNotices } from './trust/start-notices.ts';
import { TokenResources } from './trust/token-resources.ts';
import { Trust } from './trust/trust.ts';
import { TracedUpstream } from './upstreams/traced-upstream.ts';
import type { Upstream } from './upstreams/upstream.ts';

/** Where the relay listens, and how to end it. */
export interface RunningRelay {
  readonly port: number;
  readonly internalPort: number;
  /** Tells everybody who routes to this process to stop; requests are still taken. */
  announceStop(): void;
  /** Takes no new work, ends standing streams, lets requests end within `drain`, counted from `announceStop`, then cuts them. */
  close(): Promise<void>;
  /** Writes what waits, cuts everything. */
  fail(): Promise<void>;
}

/** Milliseconds that the last audit lines get to reach their sinks. */
const AUDIT_GRACE = 2_000;
/** Milliseconds that the watch gets to look at the last requests. */
const WATCH_GRACE = 2_000;

export interface RelayDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  readonly fetch?: typeof fetch;
  readonly times?: ConnectionTimes;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Starts process two.
 *
 * @throws ConfigurationError where a key does not fit, PosternError where an address is taken
 */
export async function startRelay(config: Config, deps: RelayDependencies): Promise<RunningRelay> {
  const opened = new OpenedParts();
  try {
    return await openRelay(config, deps, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Everything that is opened stands in `opened` at once, so that nothing is left where a later part cannot be opened. */
async function openRelay(config: Config, deps: RelayDependencies, opened: OpenedParts): Promise<RunningRelay> {
  const { log, now = Date.now, times = CONNECTION_TIMES, env = process.env } = deps;
  const { relay } = config;
  const metrics = createRelayMetrics();
  for (const reason of FORGERIES) metrics.rejected.inc({ reason }, 0);
  const processMetrics = createProcessMetrics(metrics.registry, 'relay');
  const storeMetrics = createStoreMetrics(metrics.registry);
  const tracingMetrics = createTracingMetrics(metrics.registry);
  const tracing = await openTracing(config.tracing, { process: 'relay', metrics: tracingMetrics, log });
  if (tracing !== undefined) opened.add(tracing);
  const stores = await openStores(config.redis, {
    log,
    tracing,
    now,
    metrics: storeMetrics,
    memory: { maxSessions: config.auth.sessions.max },
    withoutRedis: config.auth.rateLimitsWithoutRedis,
  });
  opened.add(stores);
  const ended = opened.add(new EndedCredentials({ stores, log, now, lifetime: lifetimeOfEnded(config) }));
  const streams = opened.add(new OpenStreams({ ended, metrics, log, now }));
  const trust = new Trust(config, { now, fetch: tracedFetch(deps.fetch ?? fetch, tracing) });
  const sealing = opened.add(
    openSealing(
      { keys: relay.sessionKey, keysPath: relay.sessionKeyPath },
      { log, shared: stores.kind === 'redis', keysAt: 'relay.sessionKey', what: 'MCP sessions' },
    ),
  );
  const seal = new SessionSeal(sealing);
  const replicas = openReplicaChannels(stores, sealing, log);
  const activity = openActivity(config);
  const audit = await openAuditLog(config.audit, {
    process: 'relay',
    log,
    now,
    metrics: createAuditMetrics(metrics.registry),
    stream: stores.stream,
    memory: activity,
  });
  if (audit !== undefined) opened.addClose(() => audit.close(AUDIT_GRACE));
  const watch = openWatch(config.watch, { process: 'relay', stores, registry: metrics.registry, log, now });
  if (watch !== undefined) opened.addClose(() => watch.close(WATCH_GRACE));
  const budgets = openBudgets(relay, metrics.registry);
  const outgoing = opened.add(await openOutgoing(config, { log, now, env, stores, audit, tracing }));
  const upstreams = new Map<string, Upstream>();
  opened.addClose(() => Promise.all([...upstreams.values()].map((upstream) => upstream.close())));
  const { maxStreams } = relay.budgets.identity;
  for (const [name, server] of Object.entries(relay.servers)) {
    const isListed = (tool: string) => tools.book.get(name, tool) !== undefined;
    const about = { name, url: server.url, isListed };
    const traced = tracing && ((upstream: Upstream) => new TracedUpstream(about, upstream, tracing));
    const channel = replicas && ((about: string) => replicas(`${about} ${name}`));
    const perServer = { outgoing: outgoing.of(name), channel, traced };
    upstreams.set(
      name,
      openUpstream(name, server, { limits: relay.limits, budgets, maxStreams, log, now, env, ...perServer }),
    );
  }
  const tools = opened.add(new Tools(relay, { stores, metrics, audit, log, now }));
  void tools.load().catch((error: unknown) => log.warn({ error }, 'what is pinned is not known yet'));
  const rateLimits = activity && new RateLimitStates(now);
  const channel = relay.callLimits.length > 0 ? replicas?.('open-calls') : undefined;
  const gate = new Gate(config, {
    stores,
    metrics,
    storeMetrics,
    tools,
    rateLimits,
    audit,
    watch,
    log,
    tracing,
    channel,
  });
  const scanner = new HeaderScanner({ identity: trust.identityHeaders, secretHeader: relay.trust.secretHeader });
  const migration = new MigrationReport(relay.migration.remembered, now);
  const resources = TokenResources.of(config);
  const callers = new Callers(config, {
    scanner,
    trust,
    resources,
    ended,
    metrics,
    watch,
    log,
    migration: relay.jwt.enabled ? migration : undefined,
    tracing,
  });
  const pages = outgoing.accounts?.pages(callers);
  const intake = new Intake({ callers, gate, upstreams, metrics, log });
  const endpoint = new StreamableHttpEndpoint(config, { intake, seal, budgets, streams, metrics, log });
  const reached = (name: string, up: boolean) => endpoint.reached(name, up);
  const aggregate = openAggregate(config, {
    upstreams: new Map(upstreams),
    intake,
    mayUse: ({ identity }, server) => gate.mayUse(identity, server),
    budgets,
    sealing,
    metrics,
    log,
    reached,
    times,
  });
  if (aggregate !== undefined) upstreams.set(ALL_SERVERS, aggregate);
  const connections = new Connections(seal, {
    config,
    intake,
    budgets,
    streams,
    metrics,
    log,
    now,
    times,
    reached,
    tracing,
    channel: replicas?.('http-sse'),
  });

  const looked = { callers, scanner, tools, streams, stores, metrics, storeMetrics, audit, watch };
  const admin =
    activity &&
    rateLimits &&
    openAdmin(config, { ...looked, activity, rateLimits, fetch: deps.fetch ?? fetch, log, now });

  const limits = { maxHeaderSize: relay.limits.headers, requestTimeout: relay.limits.requestTime };
  const wanted = relayTls(relay);
  const tls = wanted && openListenerTls(wanted, 'relay.tls', { log, metrics: processMetrics });
  if (tls !== undefined) opened.add(tls);
  const cors = new Cors(config);
  const answer: RequestHandler = (request, response) => {
    const operating = admin?.handle(request, response);
    if (operating !== undefined) return operating;
    if (cors.handle(request, response) || publishKeys(outgoing.keys, request, response)) return undefined;
    const showing = pages?.handle(request, response);
    if (showing !== undefined) return showing;
    if (resources?.handle(request, response)) return undefined;
    return connections.handle(request, response) ?? endpoint.handle(request, response);
  };
  const peers = createPeers(relay.trust.proxies);
  const trusts = (socket: Socket) => peers.hasPeer(socket);
  const server = createHttpServer(
    { ...limits, tls, log },
    tracing === undefined ? answer : tracedRequests(tracing, answer, { trusts, route: spanRoute }),
  );
  connections.listenOn(server);
  const token = relay.operatorToken;
  const operator = createOperatorApi({
    area: RELAY_AREA,
    token,
    routes: [...pinRoutes(tools), ...migrationRoutes(migration)],
    audit,
    log,
    onRefused: (address) => watch?.observe({ kind: 'operator_refused', address }),
  });
  // MCP needs nothing but who asks: without the store limits are counted here alone.
  const readiness = new Readiness(
    { trust: () => trust.ready(), store: () => stores.problem() },
    (states) => states.trust === undefined || relay.jwt.enabled,
  );
  const internal = createInternalServer(metrics.registry, readiness, operator, log);
  const port = await listen(server, relay.listen);
  let grace = 0;
  let deadline: number | undefined;
  const { total } = drainTimes(config.drain);
  opened.addClose(() => drain(internal, 0));
  opened.addClose(() => {
    admin?.endStreams();
    streams.endStanding();
    return Promise.all([drain(server, grace), connections.close(grace)]);
  });
  const internalPort = await listen(internal, relay.internalListen);
  logTrustNotices(config, log);
  warnOfOldNames(config, log);
  if (stores.kind === 'memory' && relay.sessionKey === undefined && relay.sessionKeyPath === undefined)
    log.info('relay.sessionKey is not set: MCP sessions end when the relay restarts and work with one replica only');
  const proofs = activeProofs(relay);
  log.info(
    { port, internalPort, tls: tls !== undefined, servers: Object.keys(relay.servers), proofs },
    'the relay is listening',
  );

  return {
    port,
    internalPort,
    announceStop: () => {
      deadline = performance.now() + total;
      readiness.drain();
      endKeepAlive(server);
    },
    close: () => {
      grace = deadline === undefined ? total : Math.max(0, deadline - performance.now());
      return opened.close();
    },
    fail: async () => {
      await audit?.flush(AUDIT_GRACE);
      await opened.close();
    },
  };
}

/** Keys whose names have changed. */
function warnOfOldNames({ relay }: Config, log: Logger): void {
  if (relay.limits.connections !== undefined)
    log.warn(
      'relay.limits.connections is now relay.budgets.identity.maxStreams: rename it, the old name goes with the next release',
    );
}
