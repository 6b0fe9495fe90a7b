import { USER_NAMES } from '../identity/user.ts';
import type { AuditEntry } from '../platform/audit/audit-entry.ts';
import { auditLine } from '../platform/audit/audit-line.ts';
import { openAuditLog } from '../platform/audit/open-audit-log.ts';
import { type DenialLine, RecentDenials } from '../platform/audit/recent-denials.ts';
import { restartPaths } from '../platform/config/keys.ts';
import type { Config } from '../platform/config/schema.ts';
import type { Logger } from '../platform/log.ts';
import {
  createAuditMetrics,
  createAuthMetrics,
  createProcessMetrics,
  createStoreMetrics,
  createTracingMetrics,
  GatheringRegistry,
} from '../platform/metrics.ts';
import { createOutboundFetch } from '../platform/outbound/connections.ts';
import { Readiness } from '../platform/readiness.ts';
import { type ReadConfig, Reloading } from '../platform/reloading/reloading.ts';
import { ResourceStack } from '../platform/resource-stack.ts';
import { openSigningKeys } from '../platform/signing-keys.ts';
import { exemplarLabels } from '../platform/tracing/current-span.ts';
import { openTracing } from '../platform/tracing/open-tracing.ts';
import { tracedFetch } from '../platform/tracing/traced-fetch.ts';
import { replicaName, type WorkerPlace } from '../platform/worker-place.ts';
import { openStores } from '../stores/open-stores.ts';
import { RevokedCredentials, revocationLifetime } from '../stores/revoked-credentials.ts';
import type { Stores } from '../stores/stores.ts';
import { Suspensions } from '../stores/suspensions.ts';
import { openWatch } from '../watch/open-watch.ts';
import { DecisionMeter } from './check/decision-meter.ts';
import { type ConfigSnapshot, openConfigSnapshot } from './config-snapshot.ts';
import { openQueues } from './limits/overload-queues.ts';
import { type Listeners, openListeners } from './listeners.ts';

export interface ForwardAuthDependencies {
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now?: () => number;
  readonly fetch?: typeof fetch;
  /** Absent: this is no worker, but the process itself. */
  readonly worker?: WorkerPlace | undefined;
  /** Of which file the configuration is; absent: of none. */
  readonly file?: string | undefined;
}

export interface RunningForwardAuth extends Listeners {
  /** Takes another configuration without missing a request. Never rejects: a wrong one is logged, and the one before goes on. */
  reload(read: ReadConfig): Promise<void>;
  /** Writes what waits and gives back what is open; its ports end with the process. */
  fail(): Promise<void>;
}

/** Milliseconds that the last audit lines get to reach their sinks. */
const AUDIT_GRACE = 2_000;
/** Milliseconds that the watch gets to look at the last requests. */
const WATCH_GRACE = 2_000;
/** Denials of known users that are kept to be shown, and as many of others. */
const MAX_DENIALS = 500;

/** Process one, wired. @throws ConfigurationError where keys cannot be used, PosternError where a port is taken */
export async function startForwardAuth(config: Config, deps: ForwardAuthDependencies): Promise<RunningForwardAuth> {
  const { auth } = config;
  const { log } = deps;
  const registry = new GatheringRegistry();
  const metrics = {
    ...createAuthMetrics(registry),
    ...createStoreMetrics(registry),
    ...createAuditMetrics(registry),
    ...createProcessMetrics(registry, 'forward-auth'),
  };
  const tracing = await openTracing(config.tracing, {
    process: 'forward-auth',
    metrics: createTracingMetrics(registry),
    log,
  });
  const common = {
    log,
    now: deps.now ?? Date.now,
    fetch: tracedFetch(deps.fetch ?? createOutboundFetch(), tracing),
    tracing,
  };
  const meter = new DecisionMeter(metrics, tracing && exemplarLabels);
  const queues = openQueues(auth.limits.queueTimeout);
  registry.beforeRead = () => {
    meter.flush();
    metrics.waitingChecks.set(queues.length);
  };

  const opened = new ResourceStack();
  opened.addClose(async () => queues.close());
  if (tracing !== undefined) opened.add(tracing);
  try {
    const keys = opened.add(await openSigningKeys(auth.assertion, { ...common, at: 'auth.assertion' }));
    const memory = { maxSessions: auth.sessions.maxSessions, maxSessionBytes: auth.sessions.maxBytes };
    const withoutRedis = auth.rateLimitsWithoutRedis;
    const stores = opened.add(await openStores(config.redis, { ...common, metrics, memory, withoutRedis }));
    let running = config;
    const lifetime = () => revocationLifetime(running);
    const ended = opened.add(new RevokedCredentials({ ...common, stores, lifetime }));
    const suspensions = opened.add(new Suspensions({ ...common, stores }));
    const { stream } = stores;
    const { userNames: names } = config;
    const worker = deps.worker?.number;
    const audit = await openAuditLog(config.audit, {
      process: 'forward-auth',
      names,
      ...common,
      metrics,
      stream,
      worker,
    });
    if (audit !== undefined) opened.addClose(() => audit.close(AUDIT_GRACE));
    const watch = openWatch(config.watch, { process: 'forward-auth', names, ...common, stores, registry });
    if (watch !== undefined) opened.addClose(() => watch.close(WATCH_GRACE));
    const denials = new RecentDenials(MAX_DENIALS, replicaName(deps.worker));
    const onDenial = (entry: AuditEntry) =>
      denials.put(
        JSON.parse(auditLine(entry, { process: 'forward-auth', names: USER_NAMES, now: common.now })) as DenialLine,
      );
    const records = { meter, audit, denials, onDenial, watch };
    const own = { ...common, ...records, queues, stores, ended, suspensions, keys, metrics };
    let current: ConfigSnapshot = await openConfigSnapshot(config, own);
    opened.addClose(() => current.parts.closeAllBut());
    const apply = async (wanted: Config) => {
      const before = current;
      current = await openConfigSnapshot(wanted, own, before);
      running = wanted;
      current.start();
      before.parts.closeAllBut(current.parts);
    };
    const reloading = new Reloading({
      process: 'forward-auth',
      metrics,
      log,
      started: config,
      file: deps.file,
      atStart: restartPaths('forward-auth'),
      apply,
    });
    const listeners = await openListeners(config, {
      current: () => current,
      registry,
      metrics,
      log,
      tracing,
      worker: deps.worker,
      configuration: () => reloading.report(),
      readiness: openReadiness(stores, () => current),
    });
    current.start();
    const { port, internalPort } = listeners;
    log.info({ port, internalPort, rules: auth.rules.length, store: stores.kind }, 'forward-auth is ready');
    return {
      ...listeners,
      reload: (read) => reloading.reload(read),
      close: async () => {
        await listeners.close();
        await opened.close();
      },
      fail: async () => {
        await audit?.flush(AUDIT_GRACE);
        await opened.close();
      },
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/**
 * Sessions need the store, bearer tokens the keys of their provider. Until the keys of any provider were loaded once the process is
 * starting, so that a roll-out with a wrong provider stops there; afterwards they go on serving while the provider is away.
 */
function openReadiness(stores: Pick<Stores, 'problem'>, current: () => ConfigSnapshot): Readiness {
  let loaded = false;
  const providers = () => {
    const missing = current().missingKeys();
    loaded ||= missing.length < current().providers;
    return missing.length === 0 ? undefined : `keys never loaded: ${missing.join(', ')}`;
  };
  return new Readiness({ providers, store: () => stores.problem() }, ({ store }) => {
    const { providers: configured, signsIn } = current();
    return loaded || configured === 0 || (signsIn && store === undefined);
  });
}
