import { z } from 'zod';
import { duration, pathGlob } from './values.ts';

const rateLimit = z.strictObject({
  by: z.enum(['user', 'address', 'api-key', 'server', 'tool', 'sign-in', 'unknown-token']).meta({
    description:
      '`server` and `tool`: each user at each of them, calls whose tool only the body tells as one; `sign-in`: attempts of an address at the sign-in endpoints, 300 in 5m where none is given; `unknown-token`: opaque tokens of an address that their provider did not know, 60 in 1m where none is given',
  }),
  limit: z.int().min(1).meta({ description: 'requests in one window' }),
  per: duration('the window'),
  path: pathGlob.optional(),
});

/** Strangers reach these before anybody knows them, and what they reach costs somebody else. */
const DEFAULT_LIMITS: ReadonlyArray<z.output<typeof rateLimit>> = [
  { by: 'sign-in', limit: 300, per: 300_000 },
  { by: 'unknown-token', limit: 60, per: 60_000 },
];

function withDefaults(given: Array<z.output<typeof rateLimit>>): Array<z.output<typeof rateLimit>> {
  return [...given, ...DEFAULT_LIMITS.filter(({ by }) => !given.some((limit) => limit.by === by))];
}

export const rateLimitsSchema = z
  .array(rateLimit)
  .default([])
  .transform(withDefaults)
  .meta({ description: 'every limit that matches a request applies to it' });
