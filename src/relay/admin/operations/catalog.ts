import type { RelayMetrics } from '../../../platform/metrics.ts';
import { activityOperations } from './activity-operations.ts';
import type { AnyOperation } from './operation.ts';
import { type ServersDeps, serverOperations } from './server-operations.ts';

export type CatalogDeps = ServersDeps & {
  readonly metrics: RelayMetrics;
};

/** Everything that operators see and do. */
export function createCatalog(deps: CatalogDeps) {
  return {
    ...serverOperations(deps),
    ...activityOperations(deps.activity, deps.metrics),
  };
}

export type Catalog = ReturnType<typeof createCatalog>;

export function allOperations(catalog: Catalog): readonly AnyOperation[] {
  return Object.values(catalog);
}
