import type { RelayMetrics, StoreMetrics } from '../../../platform/metrics.ts';
import type { RecentSecurityEvents } from '../../../watch/recent-events.ts';
import type { RateLimitStates } from '../../gate/rate-limit-states.ts';
import type { OpenStreams } from '../../transports/open-streams.ts';
import type { ForwardAuthOperator } from '../forward-auth-operator.ts';
import { activityOperations } from './activity-operations.ts';
import { limitOperations } from './limit-operations.ts';
import type { AnyOperation } from './operation.ts';
import { pinOperations } from './pin-operations.ts';
import { policyOperations } from './policy-operations.ts';
import { securityOperations } from './security-operations.ts';
import { type ServersDeps, serverOperations } from './server-operations.ts';
import { sessionOperations } from './session-operations.ts';
import { streamOperations } from './stream-operations.ts';

export type CatalogDeps = ServersDeps & {
  readonly metrics: RelayMetrics;
  readonly storeMetrics: Pick<StoreMetrics, 'rateLimited'>;
  readonly rateLimits: RateLimitStates;
  readonly streams: Pick<OpenStreams, 'list' | 'end'>;
  readonly forwardAuth: ForwardAuthOperator;
  /** Undefined: the watch is off. */
  readonly recent: RecentSecurityEvents | undefined;
};

/** Everything that operators see and do. */
export function createCatalog(deps: CatalogDeps) {
  const { config, tools } = deps;
  return {
    ...serverOperations(deps),
    ...activityOperations(deps.activity, deps.metrics, deps.forwardAuth),
    ...streamOperations(deps.streams),
    ...sessionOperations(deps.forwardAuth),
    ...policyOperations(config, tools),
    ...pinOperations(tools),
    ...limitOperations(config, deps.rateLimits, deps.storeMetrics),
    ...securityOperations(deps.recent),
  };
}

export type Catalog = ReturnType<typeof createCatalog>;

export function allOperations(catalog: Catalog): readonly AnyOperation[] {
  return Object.values(catalog);
}
