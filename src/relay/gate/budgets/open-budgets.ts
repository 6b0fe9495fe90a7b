import type { Registry } from 'prom-client';
import type { RelayConfig } from '../../../platform/config/schema.ts';
import { createBudgetMetrics } from '../../../platform/metrics.ts';
import { budgetLimits, type Scope } from './budget-limits.ts';
import { Budgets } from './budgets.ts';

/** The budgets as they are configured, and their metrics. */
export function openBudgets(relay: RelayConfig, registry: Registry): Budgets {
  const limits = budgetLimits(relay);
  const budgets: Budgets = new Budgets({ limits, onSpent: (scope, budget) => spent.inc({ scope, budget }) });
  const { spent } = createBudgetMetrics(registry, () => budgets.totals);
  // From zero on, because of a series that begins with its first event Prometheus sees no increase.
  for (const scope of Object.keys(limits) as Scope[])
    for (const budget of Object.keys(limits[scope])) spent.inc({ scope, budget }, 0);
  return budgets;
}
