import { z } from 'zod';
import { isCalled, type Person, readUser } from '../../../identity/user.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import { type ActivityEntry, activityEntry, type RecentActivity } from '../recent-activity.ts';
import { Operation } from './operation.ts';
import { userFilter } from './user-fields.ts';

const MAX_LISTED = 1_000;

const filters = z.object({
  event: z.string().max(64).optional().meta({ description: 'such as `tool_call`, `message`, `denial`, `operator`' }),
  server: z.string().max(256).optional(),
  user: userFilter.optional(),
  limit: z.coerce.number().int().min(1).max(MAX_LISTED).default(100),
});

const reasonCount = z.object({ reason: z.string(), count: z.int().min(0) });

/** What happened lately at this relay. */
export function activityOperations(
  activity: RecentActivity,
  metrics: Pick<RelayMetrics, 'rejected' | 'policyDenials'>,
) {
  return {
    listActivity: new Operation(
      {
        id: 'listActivity',
        method: 'GET',
        path: '/activity',
        summary: 'What happened lately, newest first',
        input: filters,
        output: z.object({ entries: z.array(activityEntry) }),
      },
      (wanted) => ({ entries: matching(activity.list(), wanted) }),
    ),
    listDenials: new Operation(
      {
        id: 'listDenials',
        method: 'GET',
        path: '/denials',
        summary: 'What was refused lately and why, and how often each reason since the start',
        input: filters.omit({ event: true }),
        output: z.object({
          reasons: z.array(reasonCount).meta({ description: 'requests, by `postern_relay_rejected_total`' }),
          policy: z
            .array(z.object({ server: z.string(), reason: z.string(), dryRun: z.boolean(), count: z.int().min(0) }))
            .meta({ description: 'of the policy, by `postern_relay_policy_denials_total`' }),
          entries: z.array(activityEntry),
        }),
      },
      async (wanted) => ({
        reasons: (await metrics.rejected.get()).values
          .filter(({ value }) => value > 0)
          .map(({ labels, value }) => ({ reason: String(labels.reason), count: value }))
          .sort((a, b) => b.count - a.count),
        policy: (await metrics.policyDenials.get()).values.map(({ labels, value }) => ({
          server: String(labels.server),
          reason: String(labels.reason),
          dryRun: labels.mode === 'dry_run',
          count: value,
        })),
        entries: matching(activity.list(), { ...wanted, event: 'denial' }),
      }),
    ),
  };
}

/** A line names nobody whom its configuration leaves out. */
function personIn({ user = '', username, email, name }: ActivityEntry): Person {
  return { ...readUser(user), username, email, name };
}

function matching(entries: readonly ActivityEntry[], wanted: z.output<typeof filters>): ActivityEntry[] {
  const { event, server, user, limit } = wanted;
  return entries
    .filter((entry) => (event ?? entry.event) === entry.event)
    .filter(
      (entry) => (server ?? entry.server) === entry.server && (user === undefined || isCalled(personIn(entry), user)),
    )
    .slice(0, limit);
}
