import { z } from 'zod';
import { USER_NAMES, userFields } from '../../../identity/user.ts';
import type { Config } from '../../../platform/config/schema.ts';
import type { StoreMetrics } from '../../../platform/metrics.ts';
import type { RateLimitStates } from '../../gate/rate-limit-states.ts';
import { Operation } from './operation.ts';
import { userFieldsShape } from './user-fields.ts';

const limitedBy = z.enum(['user', 'server', 'tool']);

/** How much of the rate limits is used. */
export function limitOperations(
  config: Pick<Config, 'relay'>,
  states: RateLimitStates,
  metrics: Pick<StoreMetrics, 'rateLimited'>,
) {
  return {
    listRateLimits: new Operation(
      {
        id: 'listRateLimits',
        method: 'GET',
        path: '/rate-limits',
        summary: 'The rate limits of the relay, and who is near them',
        input: z.object({}),
        output: z.object({
          limits: z.array(
            z.object({
              by: limitedBy,
              limit: z.int(),
              seconds: z.number().meta({ description: 'the window' }),
              servers: z.array(z.string()),
              tools: z.array(z.string()),
            }),
          ),
          refused: z
            .array(z.object({ by: z.string(), count: z.int().min(0) }))
            .meta({ description: 'since the start, by `postern_rate_limited_total`' }),
          states: z
            .array(
              z.object({
                by: limitedBy,
                ...userFieldsShape,
                server: z.string().optional(),
                tool: z.string().optional(),
                limit: z.int(),
                remaining: z.int().min(0),
                over: z.boolean(),
                resetsAt: z.iso.datetime(),
              }),
            )
            .meta({ description: 'windows that run now, as this replica saw them last; the fullest first' }),
        }),
      },
      async () => ({
        limits: config.relay.rateLimits.map(({ by, limit, per, servers, tools }) => ({
          by,
          limit,
          seconds: per / 1_000,
          servers: [...servers],
          tools: [...tools],
        })),
        refused: (await metrics.rateLimited.get()).values
          .filter(({ value }) => value > 0)
          .map(({ labels, value }) => ({ by: String(labels.by), count: value })),
        states: states.list().map(({ person, resetsAt, ...state }) => ({
          ...state,
          ...userFields(person, USER_NAMES),
          resetsAt: new Date(resetsAt).toISOString(),
        })),
      }),
    ),
  };
}
