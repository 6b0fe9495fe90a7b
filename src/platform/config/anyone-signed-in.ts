import { z } from 'zod';

/** Stands in a rule for everybody who is signed in. */
export const ANYONE_SIGNED_IN = 'anyone-signed-in';

/** A map of who is meant, or everybody who is signed in, in so many words. */
export function anyoneOr<Shape extends z.ZodObject>(some: Shape) {
  return z.union([some, z.literal(ANYONE_SIGNED_IN)], {
    error: `must be \`${ANYONE_SIGNED_IN}\` or a map of ${Object.keys(some.shape).join(', ')}`,
  });
}
