import { z } from 'zod';
import { duration } from './values.ts';

/** Milliseconds for which whoever routes may take to notice, where the configuration only says how long all may take. */
const DELAY = 3_000;

/** How a process ends: as one span, or in two parts. */
export const drainSchema = z
  .union(
    [
      duration(''),
      z.strictObject({
        delay: duration(
          'after SIGTERM requests are still taken for so long, while `/readyz` is 503, so that proxies and load balancers notice first; as one span, up to 3s of it',
        ).prefault('3s'),
        timeout: duration('then running requests may go on for so long').prefault('10s'),
      }),
    ],
    { error: 'must be a duration such as 10s, or a map of delay and timeout' },
  )
  .meta({ description: 'how long SIGTERM may take until everything has ended: one span, or `delay` and `timeout`' });

export interface DrainTimes {
  /** Milliseconds for which a process that is told to stop still takes requests. */
  readonly delay: number;
  /** Milliseconds until the last request is cut, the delay included. */
  readonly total: number;
}

export function drainTimes(drain: z.output<typeof drainSchema>): DrainTimes {
  if (typeof drain === 'number') return { delay: Math.min(DELAY, drain / 2), total: drain };
  return { delay: drain.delay, total: drain.delay + drain.timeout };
}
