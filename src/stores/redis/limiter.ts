import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { DependencyUnavailable } from '../../platform/errors.ts';
import { MemoryLimiter } from '../memory/limiter.ts';
import type { Consumption, Limiter } from '../stores.ts';
import type { RedisLink } from './link.ts';

/** The library's own counts whole seconds; here a "second" is a millisecond, so that windows may be of any length. */
const COUNT = `
redis.call('SET', KEYS[1], 0, 'PX', ARGV[2], 'NX')
local used = redis.call('INCRBY', KEYS[1], ARGV[1])
local rest = redis.call('PTTL', KEYS[1])
if rest < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  rest = tonumber(ARGV[2])
end
return {used, rest}`;

/** Counts that all processes share. Without Redis each counts for itself, or nobody gets in, as the configuration says. */
export function createRedisLimiter(
  link: RedisLink,
  options: {
    readonly prefix: string;
    readonly name: string;
    readonly limit: number;
    readonly window: number;
    readonly withoutRedis: 'local' | 'refuse';
    readonly now: () => number;
  },
): Limiter {
  const { limit, withoutRedis } = options;
  const window = Math.max(1, Math.ceil(options.window));
  const local = new MemoryLimiter(limit, window, options.now);
  const shared = new RateLimiterRedis({
    storeClient: link.client,
    keyPrefix: `${options.prefix}limit:${options.name}`,
    points: limit,
    duration: window,
    customIncrTtlLuaScript: COUNT,
  });

  async function count(key: string, points: number): Promise<Consumption> {
    try {
      return consumption(await shared.consume(key, points), true);
    } catch (outcome) {
      // The library rejects with the count where the limit is reached, and with an error where there is none.
      if (outcome instanceof RateLimiterRes) return consumption(outcome, false);
      throw outcome;
    }
  }

  return {
    consume: async (key, points = 1) => {
      // The heartbeat and the link find out when Redis counts again: until then nobody waits for it here.
      if (withoutRedis === 'local' && (!link.answering || link.refusesWrites !== undefined))
        return local.consume(key, points);
      try {
        return await link.run('limit', () => count(key, points));
      } catch (error) {
        if (withoutRedis === 'local' && error instanceof DependencyUnavailable) return local.consume(key, points);
        throw error;
      }
    },
  };
}

function consumption(result: RateLimiterRes, allowed: boolean): Consumption {
  return { allowed, remaining: result.remainingPoints, resetIn: Math.max(0, result.msBeforeNext) };
}
