import type { Registry } from 'prom-client';
import type { UserName } from '../identity/user.ts';
import type { WatchConfig } from '../platform/config/schema.ts';
import { SECURITY_EVENT_KINDS, type SecurityEventKind } from '../platform/config/watch-schema.ts';
import type { Logger } from '../platform/log.ts';
import { createWatchMetrics, type WatchMetrics } from '../platform/metrics.ts';
import type { Stores } from '../stores/stores.ts';
import type { Detector } from './detector.ts';
import { denialsOfUser } from './detectors/denials.ts';
import { deniedToolsOfUser } from './detectors/denied-tools.ts';
import { failedSignInsOfClient } from './detectors/failed-sign-ins.ts';
import { NetworksOfUserDetector } from './detectors/networks-of-user.ts';
import { OldApiKeysDetector } from './detectors/old-api-keys.ts';
import { refusedCredentialsOfClient } from './detectors/refused-credentials.ts';
import { requestsOfUser } from './detectors/request-rate.ts';
import { signInsOfUser } from './detectors/sign-ins.ts';
import { SingleDetector } from './detectors/single.ts';
import { type Count, ThresholdDetector } from './detectors/threshold.ts';
import { Histories } from './histories.ts';
import { RecentEvents } from './recent-events.ts';
import { Reports } from './reports.ts';
import type { SecurityEvent } from './security-event.ts';
import { openSharedWatch, type SharedWatch } from './shared-watch.ts';
import { Watch } from './watch.ts';
import { Webhook } from './webhook/webhook.ts';

export interface OpenWatchDependencies {
  readonly process: 'forward-auth' | 'relay';
  readonly stores: Pick<Stores, 'kind' | 'documents' | 'locks' | 'recent'>;
  readonly registry: Registry;
  readonly log: Logger;
  /** Which names of a user are told; absent: none. */
  readonly names?: readonly UserName[];
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/** The watch as configured; undefined where it is off. */
export function openWatch(config: WatchConfig, deps: OpenWatchDependencies): Watch | undefined {
  if (!config.enabled) return undefined;
  const { process, stores, registry, log, names = [], now } = deps;
  const metrics = createWatchMetrics(registry);
  startAtZero(metrics, process);
  const shared = openSharedWatch(config, { stores, log });
  const recent = new RecentEvents(config.maxEvents, shared);
  const webhook = config.webhook && new Webhook(config.webhook, { process, log, metrics });
  const tell = webhook && ((event: SecurityEvent) => webhook.tell(event));
  const reports = new Reports(config, { process, log, names, metrics, recent, shared, tell });
  const detectors = detectorsOf(config, shared, now);
  return new Watch({ process, log, metrics, now, recent, webhook, reports, detectors });
}

/** Of a series that begins with its first event Prometheus sees no increase. */
function startAtZero(metrics: WatchMetrics, process: OpenWatchDependencies['process']): void {
  for (const kind of SECURITY_EVENT_KINDS) metrics.events.inc({ process, kind }, 0);
  for (const outcome of ['delivered', 'failed', 'dropped']) metrics.deliveries.inc({ process, outcome }, 0);
  metrics.dropped.inc({ process }, 0);
  metrics.waiting.set({ process }, 0);
}

function detectorsOf(config: WatchConfig, shared: SharedWatch | undefined, now: () => number): Detector[] {
  const { detectors, maxRemembered } = config;
  const thresholds: ReadonlyArray<readonly [SecurityEventKind, WatchConfig['detectors']['manyDenials'], Count]> = [
    ['request_rate', detectors.requestRate, requestsOfUser],
    ['many_sign_ins', detectors.manySignIns, signInsOfUser],
    ['many_denials', detectors.manyDenials, denialsOfUser],
    ['many_denied_tools', detectors.manyDeniedTools, deniedToolsOfUser],
    ['failed_sign_ins', detectors.failedSignIns, failedSignInsOfClient()],
    ['refused_credentials', detectors.refusedCredentials, refusedCredentialsOfClient()],
  ];
  const singles: ReadonlyArray<readonly [SecurityEventKind, { readonly enabled: boolean }]> = [
    ['spoof_attempt', detectors.spoofAttempt],
    ['refresh_token_reuse', detectors.refreshTokenReuse],
    ['removed_provider', detectors.removedProvider],
    ['operator_refused', detectors.operatorRefused],
  ];
  const { newNetwork, concurrentNetworks } = detectors;
  const histories = new Histories({
    shared,
    max: maxRemembered,
    forget: newNetwork.idleLifetime,
    // Somebody who is active is seen to be by other replicas before they count as away.
    refresh: concurrentNetworks.within / 2,
    now,
  });
  return [
    ...thresholds
      .filter(([, { enabled }]) => enabled)
      .map(([kind, settings, count]) => new ThresholdDetector(kind, count, { ...settings, remembered: maxRemembered })),
    new SingleDetector(new Set(singles.filter(([, { enabled }]) => enabled).map(([kind]) => kind))),
    ...(detectors.oldApiKey.enabled ? [new OldApiKeysDetector()] : []),
    ...(newNetwork.enabled || concurrentNetworks.enabled ? [new NetworksOfUserDetector(config, histories)] : []),
  ];
}
