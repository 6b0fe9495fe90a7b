import type { Socket } from 'node:net';
import { openAuditLog } from '../platform/audit/open-audit-log.ts';
import { adminSwitches } from '../platform/config/admin-schema.ts';
import { drainTimes } from '../platform/config/drain-schema.ts';
import { restartPaths } from '../platform/config/keys.ts';
import type { Config } from '../platform/config/schema.ts';
import { createHttpServer, drain, endKeepAlive, listen, type RequestHandler } from '../platform/http.ts';
import { createInternalServer, type InternalHandler } from '../platform/internal-listener.ts';
import type { Logger } from '../platform/log.ts';
import {
  createAuditMetrics,
  createProcessMetrics,
  createRelayMetrics,
  createStoreMetrics,
  createTracingMetrics,
} from '../platform/metrics.ts';
import { createOutboundFetch } from '../platform/outbound/connections.ts';
import { unreadableRequestPage } from '../platform/pages/unreadable-request.ts';
import { Readiness } from '../platform/readiness.ts';
import { NEEDS_RESTART, type ReadConfig, Reloading } from '../platform/reloading/reloading.ts';
import { ResourceStack } from '../platform/resource-stack.ts';
import { openSealing, type RotatingSealing } from '../platform/sealing/sealing-keys.ts';
import { openSigningKeys } from '../platform/signing-keys.ts';
import { openListenerTls } from '../platform/tls.ts';
import { openTracing } from '../platform/tracing/open-tracing.ts';
import { tracedRequests } from '../platform/tracing/traced-requests.ts';
import { replicaName, type WorkerPlace } from '../platform/worker-place.ts';
import { openStores } from '../stores/open-stores.ts';
import { RevokedCredentials, revocationLifetime } from '../stores/revoked-credentials.ts';
import type { Stores } from '../stores/stores.ts';
import { suspensionRoutes } from '../stores/suspension-routes.ts';
import { Suspensions } from '../stores/suspensions.ts';
import { openWatch } from '../watch/open-watch.ts';
import { FormTokens } from './admin/access/form-token.ts';
import { LiveStreams } from './admin/api/live-stream.ts';
import { openActivity } from './admin/open-admin.ts';
import { openAggregate } from './aggregate/open-aggregate.ts';
import { ALL_SERVERS } from './all-servers.ts';
import { openSnapshot, type RelayParts } from './config-snapshot.ts';
import { budgetLimits } from './gate/budgets/budget-limits.ts';
import { openBudgets } from './gate/budgets/open-budgets.ts';
import { Gate } from './gate/gate.ts';
import { RateLimitStates } from './gate/rate-limit-states.ts';
import { pinRoutes } from './gate/tools/pin-routes.ts';
import { Tools } from './gate/tools/tools.ts';
import { Intake } from './intake.ts';
import { Outcomes } from './outcomes.ts';
import { FORGERIES } from './refusal.ts';
import { openReplicaChannels } from './replicas/replica-channel.ts';
import { ServerSet } from './servers/server-set.ts';
import { spanRoute } from './span-routes.ts';
import { CONNECTION_TIMES, type ConnectionTimes } from './transports/channel/connection.ts';
import { Connections } from './transports/connections.ts';
import { OpenStreams } from './transports/open-streams.ts';
import { StreamableHttpEndpoint } from './transports/streamable-http/endpoint.ts';
import { SessionSeal } from './transports/streamable-http/sealed-session.ts';
import type { Caller } from './trust/caller.ts';
import { MigrationReport } from './trust/migration-report.ts';
import { migrationRoutes } from './trust/migration-routes.ts';
import { activeProofs, relayTls } from './trust/proofs.ts';
import { logTrustNotices } from './trust/start-notices.ts';

/** Where the relay listens, and how to end it. */
export interface RunningRelay {
  readonly port: number;
  readonly internalPort: number;
  /** Takes another configuration without ending a stream of a server that stays. Never rejects: a wrong one is logged. */
  reload(read: ReadConfig): Promise<void>;
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
  /** Absent: this is no worker, but the process itself. */
  readonly worker?: WorkerPlace | undefined;
  /** Of which file the configuration is; absent: of none. */
  readonly file?: string | undefined;
}

/**
 * Starts process two.
 *
 * @throws ConfigurationError where a key does not fit, PosternError where an address is taken
 */
export async function startRelay(config: Config, deps: RelayDependencies): Promise<RunningRelay> {
  const opened = new ResourceStack();
  try {
    return await openRelay(config, deps, opened);
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Everything that is opened stands in `opened` at once, so that nothing is left where a later part cannot be opened. */
async function openRelay(config: Config, deps: RelayDependencies, opened: ResourceStack): Promise<RunningRelay> {
  const { log, now = Date.now, times = CONNECTION_TIMES, env = process.env, worker } = deps;
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
    memory: { maxSessions: config.auth.sessions.maxSessions },
    withoutRedis: config.auth.rateLimitsWithoutRedis,
  });
  opened.add(stores);
  let running = config;
  const ended = opened.add(new RevokedCredentials({ stores, log, now, lifetime: () => revocationLifetime(running) }));
  const suspensions = opened.add(new Suspensions({ stores, log, now }));
  const streams = opened.add(new OpenStreams({ ended, suspensions, metrics, log, now }));
  const sealing = opened.add(
    openSealing(
      { keys: relay.sessionKey, keysPath: relay.sessionKeyPath },
      { log, shared: stores.kind === 'redis', keysAt: 'relay.sessionKey', what: 'MCP sessions' },
    ),
  );
  const seal = new SessionSeal(sealing);
  const replicas = openReplicaChannels(stores, sealing, log);
  const activity = openActivity(config, replicaName(worker));
  const audit = await openAuditLog(config.audit, {
    process: 'relay',
    names: config.userNames,
    log,
    now,
    metrics: createAuditMetrics(metrics.registry),
    stream: stores.stream,
    memory: activity,
    worker: worker?.number,
  });
  if (audit !== undefined) opened.addClose(() => audit.close(AUDIT_GRACE));
  const watch = openWatch(config.watch, {
    process: 'relay',
    names: config.userNames,
    stores,
    registry: metrics.registry,
    log,
    now,
  });
  if (watch !== undefined) opened.addClose(() => watch.close(WATCH_GRACE));
  const budgets = openBudgets(relay, metrics.registry);
  const servers = opened.add(
    new ServerSet((error) => log.error({ error }, 'a replaced MCP server could not be closed')),
  );
  const tools = opened.add(new Tools(relay, { stores, metrics, audit, log, now }));
  void tools.load().catch((error: unknown) => log.warn({ error }, 'what is pinned is not known yet'));
  const rateLimits = activity && new RateLimitStates(now);
  const channel = replicas?.('open-calls');
  const asked = { stores, metrics, storeMetrics, tools, rateLimits, audit, watch, log, tracing, channel };
  const gate = new Gate(config, asked);
  const migration = new MigrationReport(relay.migration.maxUsers, now);
  const live = activity && new LiveStreams(activity);
  const forms = new FormTokens(sealing, now);
  const own: RelayParts = {
    ...{
      log,
      now,
      env,
      retry: times.retry,
      fetch: deps.fetch ?? createOutboundFetch(),
      fetchInside: deps.fetch ?? fetch,
      stores,
      ended,
      suspensions,
      metrics,
      storeMetrics,
      audit,
      watch,
      tracing,
    },
    ...{ replicas, servers, streams, budgets, tools, migration, rateLimits },
    admin: activity && live && { activity, live, forms },
    signingKeys: once(async () => opened.add(await openSigningKeys(relay.signing, { log, now, at: 'relay.signing' }))),
    accountSealing: once(() => opened.add(openAccountSealing(relay, stores, log))),
    operatorRoutes: [
      ...pinRoutes(tools),
      ...migrationRoutes(migration),
      ...suspensionRoutes({ suspensions, log, now, shared: stores.kind === 'redis', end: async () => 0 }),
    ],
  };
  let current = await openSnapshot(config, own);
  opened.addClose(() => current.close());
  const intake = new Intake({
    callers: { identify: (request) => current.callers.identify(request) },
    refusalPage: (...refused) => current.refusalPage(...refused),
    ...{ gate, servers, metrics, log },
  });
  const limitsNow = () => current.config.relay.limits;
  const outcomes = new Outcomes(metrics, log);
  const shared = { intake, budgets, streams, metrics, outcomes, log };
  const endpoint = new StreamableHttpEndpoint({ ...shared, seal, times, limits: limitsNow });
  const asOne = { servers, intake, budgets, sealing, outcomes, log, times };
  const mayUse = ({ identity }: Pick<Caller, 'identity'>, server: string) => gate.mayUse(identity, server);
  servers.replace(current.servers);
  let aggregate = openAggregate(config, { ...asOne, mayUse });
  servers.aggregate = aggregate;
  const connections = new Connections(seal, {
    get config() {
      return current.config;
    },
    ...{ ...shared, now, times, tracing, channel: replicas?.('http-sse') },
  });
  const apply = async (wanted: Config) => {
    const useRules = gate.prepare(wanted);
    const next = await openSnapshot(wanted, own, current);
    const before = current;
    current = next;
    running = wanted;
    useRules();
    aggregate = openAggregate(wanted, { ...asOne, mayUse }, aggregate);
    tools.reconfigure(wanted.relay);
    budgets.limits = budgetLimits(wanted.relay);
    servers.aggregate = aggregate;
    const { removed, changed } = servers.replace(next.servers);
    for (const name of removed) outcomes.forget(name);
    streams.endOutdated(({ server, identity }) => {
      if (!servers.has(server)) return 'server_removed';
      return server === ALL_SERVERS || gate.mayUse(identity, server) ? undefined : 'access_removed';
    });
    if (removed.length + changed.length > 0) log.info({ removed, changed }, 'MCP servers were configured anew');
    void servers.endRemoved(removed, drainTimes(config.drain).total);
    await before.close(next);
    const admin = adminSwitches(wanted.relay.admin);
    if (activity === undefined && (admin.pages || admin.api)) log.warn({ paths: ['relay.admin'] }, NEEDS_RESTART);
    logTrustNotices(wanted, log);
  };
  const reloading = new Reloading({
    process: 'relay',
    metrics: processMetrics,
    log,
    started: config,
    file: deps.file,
    atStart: restartPaths('relay'),
    apply,
  });

  const limits = { maxHeaderSize: relay.limits.maxHeaders, requestTimeout: relay.limits.requestTimeout };
  const wanted = relayTls(relay);
  const tls = wanted && openListenerTls(wanted, 'relay.tls', { log, metrics: processMetrics });
  if (tls !== undefined) opened.add(tls);
  const answer: RequestHandler = (request, response) => {
    const answered = current.answerOwn(request, response);
    if (answered !== false) return answered === true ? undefined : answered;
    return connections.handle(request, response) ?? endpoint.handle(request, response);
  };
  const trusts = (socket: Socket) => current.peers.hasPeer(socket);
  const server = createHttpServer(
    { ...limits, tls, log, problemPage: (...asked) => unreadableRequestPage(current.site, ...asked) },
    tracing === undefined ? answer : tracedRequests(tracing, answer, { trusts, route: spanRoute }),
  );
  connections.listenOn(server);
  // MCP needs nothing but who asks: without the store limits are counted here alone.
  const readiness = new Readiness(
    { trust: () => current.trust.ready(), store: () => stores.problem() },
    (states) => states.trust === undefined || current.config.relay.jwt.enabled,
  );
  const operator: InternalHandler = (request, response) => current.operator(request, response);
  const configuration = () => reloading.report();
  const internal = createInternalServer(metrics.registry, readiness, {
    ...{ operator, configuration, log },
    ofWorker: worker !== undefined,
  });
  const port = await listen(server, relay.listen, 'relay.listen');
  let grace = 0;
  let deadline: number | undefined;
  const { total } = drainTimes(config.drain);
  opened.addClose(() => drain(internal, 0));
  opened.addClose(() => {
    // Once nobody can connect: whoever connects again at once is to reach another replica.
    return Promise.all([drain(server, grace, () => streams.endStanding()), connections.close(grace)]);
  });
  opened.addClose(() => live?.close());
  const ownListen = worker === undefined ? relay.internalListen : { path: worker.socket };
  const internalPort = await listen(internal, ownListen, 'relay.internalListen');
  logTrustNotices(config, log);
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
    reload: (read) => reloading.reload(read),
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

/** Made when first asked for. */
function once<T>(make: () => T): () => T {
  let made: { readonly part: T } | undefined;
  return () => {
    made ??= { part: make() };
    return made.part;
  };
}

function openAccountSealing({ connections }: Config['relay'], { kind }: Stores, log: Logger): RotatingSealing {
  const about = { keysAt: 'relay.connections.keys', what: 'connected accounts' };
  return openSealing(connections, { log, shared: kind === 'redis', ...about });
}
