import { z } from 'zod';
import { isCalled, personIn } from '../../../identity/user.ts';
import { PosternError } from '../../../platform/errors.ts';
import type { RelayMetrics } from '../../../platform/metrics.ts';
import type { ForwardAuthOperator } from '../forward-auth-operator.ts';
import { type ActivityEntry, activityEntry, denialEntry, type RecentActivity } from '../recent-activity.ts';
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

const denialFilters = filters.omit({ event: true }).extend({
  limit: filters.shape.limit.meta({
    description: 'entries of each process about known users, and as many about everybody else',
  }),
});

/** What happened lately at this relay, and what forward-auth refused. */
export function activityOperations(
  activity: RecentActivity,
  metrics: Pick<RelayMetrics, 'rejected' | 'policyDenials'>,
  forwardAuth: Pick<ForwardAuthOperator, 'denials'>,
) {
  return {
    listActivity: new Operation(
      {
        id: 'listActivity',
        method: 'GET',
        path: '/activity',
        summary: 'Recent activity, newest first',
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
        summary: 'What both processes refused recently and why, and how often each reason of the relay since the start',
        input: denialFilters,
        output: z.object({
          reasons: z.array(reasonCount).meta({ description: 'requests, by `postern_relay_rejected_total`' }),
          policy: z
            .array(z.object({ server: z.string(), reason: z.string(), dryRun: z.boolean(), count: z.int().min(0) }))
            .meta({ description: 'of the policy, by `postern_relay_policy_denials_total`' }),
          entries: z.array(denialEntry).meta({
            description: 'newest first: of this replica of the relay, and of the replica of forward-auth that it asked',
          }),
          replicas: z
            .object({ relay: z.string(), forwardAuth: z.string().optional() })
            .meta({ description: 'whose `entries` are: host names, and which worker' }),
          forwardAuthProblem: z
            .string()
            .optional()
            .meta({ description: 'why `entries` has none of forward-auth; absent: it was asked' }),
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
        ...(await denialsOfBoth(activity, forwardAuth, wanted)),
      }),
    ),
  };
}

async function denialsOfBoth(
  { denials }: RecentActivity,
  forwardAuth: Pick<ForwardAuthOperator, 'denials'>,
  wanted: z.output<typeof denialFilters>,
) {
  const own = denials.list(wanted);
  const relay = denials.replica;
  const asked = await listOfForwardAuth(forwardAuth, wanted);
  if ('problem' in asked) return { entries: own, replicas: { relay }, forwardAuthProblem: asked.problem };
  const entries = [...own, ...asked.denials].sort((a, b) => Date.parse(b.time) - Date.parse(a.time));
  return { entries, replicas: { relay, forwardAuth: asked.replica } };
}

const answerOfForwardAuth = z.object({ replica: z.string(), denials: z.array(denialEntry) });

/** Where it cannot be asked, what the relay refused itself is worth seeing all the same. */
async function listOfForwardAuth(
  forwardAuth: Pick<ForwardAuthOperator, 'denials'>,
  { server, user, limit }: z.output<typeof denialFilters>,
): Promise<z.output<typeof answerOfForwardAuth> | { readonly problem: string }> {
  const query = { limit: String(limit), ...(server && { server }), ...(user && { user }) };
  try {
    return answerOfForwardAuth.parse(await forwardAuth.denials(query));
  } catch (error) {
    if (error instanceof PosternError && error.expose) return { problem: error.message };
    return { problem: 'relay.admin.forwardAuth.url answers, but not as auth.internalListen does' };
  }
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
