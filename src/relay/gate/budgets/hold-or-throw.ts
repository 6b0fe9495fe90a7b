import { SERVER_ERROR } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Charge } from './budget-limits.ts';
import type { Budget, Hold } from './budgets.ts';

/** For whoever answers by errors. @throws ServerError where the budget is spent */
export function holdOrThrow(budget: Budget, charge: Charge): Hold {
  const hold = budget.take(charge);
  if (!('status' in hold)) return hold;
  throw new ServerError(SERVER_ERROR, hold.message, hold.data);
}
