import type { RelayConfig } from '../../../platform/config/schema.ts';
import type { Refusal } from '../../refusal.ts';

/** What is counted, and two pools of bytes: what clients sent, and what servers said. */
export const MEASURES = [
  'requests',
  'requestBytes',
  'streams',
  'sessions',
  'subscriptions',
  'questions',
  'messages',
  'keptBytes',
] as const;
export type Measure = (typeof MEASURES)[number];
export type Scope = 'identity' | 'session';

/** How much of what. */
export type Charge = Readonly<Partial<Record<Measure, number>>>;
/** What is not in it has no bound of its own. */
export type BudgetLimits = Readonly<Partial<Record<Measure, number>>>;

/** The limits as they are configured. */
export function budgetLimits({ budgets }: Pick<RelayConfig, 'budgets'>): Readonly<Record<Scope, BudgetLimits>> {
  const { identity, session } = budgets;
  return {
    identity: { ...measured(identity), streams: identity.maxStreams },
    session: measured(session),
  };
}

function measured(configured: RelayConfig['budgets']['session']): BudgetLimits {
  const byKey: Readonly<Record<string, number | undefined>> = configured;
  return Object.fromEntries(
    MEASURES.flatMap((measure) => {
      const limit = byKey[keyOf(measure)];
      return limit === undefined ? [] : [[measure, limit]];
    }),
  );
}

/** The configuration key of a limit. */
function keyOf(measure: Measure): string {
  return `max${measure[0]?.toUpperCase()}${measure.slice(1)}`;
}

/** Seconds after which some of it is usually free again. */
const RETRY_AFTER = 1;

const WHAT: Readonly<Record<Measure, string>> = {
  requests: 'requests wait for their answers',
  requestBytes: 'bytes of requests are on their way',
  streams: 'streams are open',
  sessions: 'sessions are open',
  subscriptions: 'resources are subscribed to',
  questions: 'requests of servers wait for answers',
  messages: 'messages of servers wait to be read',
  keptBytes: 'bytes of messages wait to be read',
};

/** @param limit that would be passed @param more what was asked for; more than the limit never passes */
export function budgetSpent(scope: Scope, measure: Measure, limit: number, more: number): Refusal {
  const whose = scope === 'identity' ? 'you' : 'this session';
  if (more > limit)
    return {
      status: 413,
      reason: 'budget_spent',
      message: `too much in one message: more ${WHAT[measure]} than ${whose} may have at all (${limit}), each object, list and string in it counted with what it takes in memory; send less at once`,
      fix: `raise relay.budgets.${scope}.${keyOf(measure)} if honest clients need more`,
    };
  return {
    status: 429,
    reason: 'budget_spent',
    message: `too much at once: as many ${WHAT[measure]} as ${whose} may have (${limit}); finish some, then try again`,
    fix: `raise relay.budgets.${scope}.${keyOf(measure)} if honest clients need more`,
    data: { retryAfter: RETRY_AFTER },
    headers: { 'Retry-After': String(RETRY_AFTER) },
  };
}
