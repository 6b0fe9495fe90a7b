import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { version } from './version.ts';

/** Seconds; forward-auth answers from memory in well under a millisecond. */
const DECISION_BUCKETS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];
const REQUEST_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60];

/** Metrics of forward-auth. Every label is one of a fixed set: nothing a client invents becomes a label value. */
export function createAuthMetrics(registry = new Registry()) {
  collectRuntimeMetrics(registry);
  return {
    registry,
    decisions: new Counter({
      name: 'postern_auth_decisions_total',
      help: 'Decisions by proxy, outcome, kind of credential and reason.',
      labelNames: ['proxy', 'decision', 'method', 'reason'] as const,
      registers: [registry],
    }),
    decisionDuration: timesOf(registry, {
      name: 'postern_auth_decision_duration_seconds',
      help: 'Time from the proxy’s question to the answer.',
      labelNames: ['proxy', 'decision'] as const,
      buckets: DECISION_BUCKETS,
    }),
    waitingChecks: new Gauge({
      name: 'postern_auth_waiting_checks',
      help: 'Checks of credentials not seen before that wait for their turn; more than a few mean overload.',
      registers: [registry],
    }),
    tokenCache: new Counter({
      name: 'postern_token_cache_total',
      help: 'Look-ups of verified tokens by outcome (hit, miss).',
      labelNames: ['outcome'] as const,
      registers: [registry],
    }),
    signIns: new Counter({
      name: 'postern_sign_ins_total',
      help: 'Sign-ins by provider and outcome.',
      labelNames: ['provider', 'outcome'] as const,
      registers: [registry],
    }),
    sessions: new Counter({
      name: 'postern_sessions_total',
      help: 'What happened to sessions: begun, refreshed, or why they ended.',
      labelNames: ['event'] as const,
      registers: [registry],
    }),
    oauthEvents: new Counter({
      name: 'postern_oauth_events_total',
      help: 'What the broker gave and refused: tokens, registrations, consents, grants that ended.',
      labelNames: ['event'] as const,
      registers: [registry],
    }),
    providerUp: new Gauge({
      name: 'postern_provider_up',
      help: '1 where the identity provider gave its keys when it was last asked, 0 where it did not.',
      labelNames: ['provider'] as const,
      aggregator: 'min',
      registers: [registry],
    }),
    providerKeysLoaded: new Gauge({
      name: 'postern_provider_keys_loaded_timestamp_seconds',
      help: 'When the keys of the identity provider were last loaded; they go on serving while it is away.',
      labelNames: ['provider'] as const,
      aggregator: 'min',
      registers: [registry],
    }),
  };
}

/** Metrics of the process itself. Both processes have them. */
export function createProcessMetrics(registry: Registry, process: 'forward-auth' | 'relay') {
  new Gauge({
    name: 'postern_build_info',
    help: 'Always 1; the labels say which version runs.',
    labelNames: ['process', 'version'] as const,
    aggregator: 'first',
    registers: [registry],
  }).set({ process, version: version() }, 1);
  return {
    certificateExpiry: new Gauge({
      name: 'postern_certificate_expiry_timestamp_seconds',
      help: 'When the certificate of a listener ends.',
      labelNames: ['listener'] as const,
      aggregator: 'min',
      registers: [registry],
    }),
    reloads: new Counter({
      name: 'postern_config_reloads_total',
      help: 'Configurations read while running, by process and outcome (applied, rejected).',
      labelNames: ['process', 'outcome'] as const,
      registers: [registry],
    }),
    lastReload: new Gauge({
      name: 'postern_config_last_reload_success_timestamp_seconds',
      help: 'When the configuration that runs was read.',
      aggregator: 'min',
      registers: [registry],
    }),
  };
}

/** Metrics of what is kept in Redis, or in memory where there is none. Both processes have them. */
export function createStoreMetrics(registry: Registry) {
  return {
    up: new Gauge({
      name: 'postern_store_up',
      help: '1 where the store answered last, 0 where it did not.',
      aggregator: 'min',
      registers: [registry],
    }),
    duration: timesOf(registry, {
      name: 'postern_store_duration_seconds',
      help: 'Time of an operation of the store.',
      labelNames: ['operation'] as const,
      buckets: REQUEST_BUCKETS,
    }),
    rateLimited: new Counter({
      name: 'postern_rate_limited_total',
      help: 'Requests over a rate limit, by process and by what is counted.',
      labelNames: ['process', 'by'] as const,
      registers: [registry],
    }),
  };
}

/** Metrics of the audit log. Both processes have them. */
export function createAuditMetrics(registry: Registry) {
  return {
    dropped: new Counter({
      name: 'postern_audit_dropped_total',
      help: 'Audit lines that were not recorded, because a sink was full, slow or away.',
      labelNames: ['sink'] as const,
      registers: [registry],
    }),
  };
}

/** Metrics of traces. Both processes have them, also where traces are off. */
export function createTracingMetrics(registry: Registry) {
  const spans = new Counter({
    name: 'postern_trace_spans_total',
    help: 'Spans by what became of them: sent to the collector, failed to reach it, or dropped because too many waited.',
    labelNames: ['outcome'] as const,
    registers: [registry],
  });
  for (const outcome of ['sent', 'failed', 'dropped']) spans.inc({ outcome }, 0);
  return { spans };
}

/** Metrics of the watch. Both processes have them. */
export function createWatchMetrics(registry: Registry) {
  return {
    events: new Counter({
      name: 'postern_security_events_total',
      help: 'Security events by process and kind; the same of one user or address within a window is one.',
      labelNames: ['process', 'kind'] as const,
      registers: [registry],
    }),
    dropped: new Counter({
      name: 'postern_security_observations_dropped_total',
      help: 'Observations that the watch did not look at, because too many came at once.',
      labelNames: ['process'] as const,
      registers: [registry],
    }),
    deliveries: new Counter({
      name: 'postern_security_webhook_deliveries_total',
      help: 'Attempts to deliver a security event: delivered, failed (tried again), dropped (not tried again).',
      labelNames: ['process', 'outcome'] as const,
      registers: [registry],
    }),
    waiting: new Gauge({
      name: 'postern_security_webhook_waiting',
      help: 'Security events that wait to be delivered.',
      labelNames: ['process'] as const,
      registers: [registry],
    }),
  };
}

/** Metrics of the relay. `server` is a configured name, `tool` only one that the server itself has listed. */
export function createRelayMetrics(registry = new Registry()) {
  collectRuntimeMetrics(registry);
  return {
    registry,
    requests: new Counter({
      name: 'postern_relay_requests_total',
      help: 'Relayed requests by server, way of authentication and outcome.',
      labelNames: ['server', 'method', 'outcome'] as const,
      registers: [registry],
    }),
    requestDuration: timesOf(registry, {
      name: 'postern_relay_request_duration_seconds',
      help: 'Time until the MCP server’s answer to a message has ended, streamed or not.',
      labelNames: ['server'] as const,
      buckets: REQUEST_BUCKETS,
    }),
    openStreams: new Gauge({
      name: 'postern_relay_open_streams',
      help: 'Open streams by transport.',
      labelNames: ['transport'] as const,
      registers: [registry],
    }),
    streamsEnded: new Counter({
      name: 'postern_relay_streams_ended_total',
      help: 'Streams that the relay ended because their identity was over or an operator wanted it, by reason.',
      labelNames: ['reason'] as const,
      registers: [registry],
    }),
    rejected: new Counter({
      name: 'postern_relay_rejected_total',
      help: 'Requests refused before any MCP server was asked, by reason.',
      labelNames: ['reason'] as const,
      registers: [registry],
    }),
    toolCalls: new Counter({
      name: 'postern_relay_tool_calls_total',
      help: 'Tool calls by server, tool and outcome; a tool that the server never listed is `unlisted`.',
      labelNames: ['server', 'tool', 'outcome'] as const,
      registers: [registry],
    }),
    policyDenials: new Counter({
      name: 'postern_relay_policy_denials_total',
      help: 'What the policy refused, or in dry run would have refused, by server and reason.',
      labelNames: ['server', 'reason', 'mode'] as const,
      registers: [registry],
    }),
    toolsHeldBack: new Gauge({
      name: 'postern_relay_tools_held_back',
      help: 'Tools whose definition changed or is new and waits for an operator to approve or reject it.',
      labelNames: ['server'] as const,
      aggregator: 'max',
      registers: [registry],
    }),
    upstreamUp: new Gauge({
      name: 'postern_relay_upstream_up',
      help: '1 where the MCP server answered last, 0 where it did not.',
      labelNames: ['server'] as const,
      aggregator: 'min',
      registers: [registry],
    }),
  };
}

/**
 * What the relay holds in memory for its clients. `budget` is one of a fixed set.
 *
 * @param held asked whenever the metrics are read; those whose name ends with `Bytes` are bytes, the others are numbers
 */
export function createBudgetMetrics(registry: Registry, held: () => Readonly<Record<string, number>>) {
  const gauge = (name: string, help: string, isMeant: (budget: string) => boolean) =>
    new Gauge({
      name,
      help,
      labelNames: ['budget'] as const,
      registers: [registry],
      collect() {
        for (const [budget, value] of Object.entries(held())) if (isMeant(budget)) this.set({ budget }, value);
      },
    });
  gauge(
    'postern_relay_budget_held',
    'What is held in memory for all identities together: requests, streams and so on.',
    (budget) => !budget.endsWith('Bytes'),
  );
  gauge(
    'postern_relay_budget_held_bytes',
    'Bytes held in memory for all identities together: of what clients sent, and of what they have not read.',
    (budget) => budget.endsWith('Bytes'),
  );
  return {
    spent: new Counter({
      name: 'postern_relay_budget_spent_total',
      help: 'How often an identity or a session wanted to hold more in memory than it may, by scope and what it was.',
      labelNames: ['scope', 'budget'] as const,
      registers: [registry],
    }),
  };
}

export type AuthMetrics = ReturnType<typeof createAuthMetrics>;
export type ProcessMetrics = ReturnType<typeof createProcessMetrics>;
export type StoreMetrics = ReturnType<typeof createStoreMetrics>;
export type AuditMetrics = ReturnType<typeof createAuditMetrics>;
export type TracingMetrics = ReturnType<typeof createTracingMetrics>;
export type WatchMetrics = ReturnType<typeof createWatchMetrics>;
export type RelayMetrics = ReturnType<typeof createRelayMetrics>;

/** Metrics of Node itself. Of several workers the slowest counts: an average would hide one that stands still. */
function collectRuntimeMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const metric of registry.getMetricsAsArray()) if (metric.aggregator === 'average') metric.aggregator = 'max';
}

/** A histogram with exemplars. Registered by hand, because prom-client refuses them where the older format is read as well. */
function timesOf<T extends string>(
  registry: Registry,
  config: { name: string; help: string; labelNames: readonly T[]; buckets: number[] },
): Histogram<T> {
  const histogram = new Histogram<T>({ ...config, enableExemplars: true, registers: [] });
  registry.registerMetric(histogram);
  return histogram;
}

/** A registry that lets numbers be handed over before they are read. */
export class GatheringRegistry extends Registry {
  beforeRead: () => void = () => {};

  override getMetricsAsArray() {
    this.beforeRead();
    return super.getMetricsAsArray();
  }
}
