import type { RecentEntries } from '../stores.ts';
import type { RedisLink } from './link.ts';

const PUT = `
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
for _, old in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1 - tonumber(ARGV[4]))) do
  redis.call('ZREM', KEYS[1], old)
  redis.call('HDEL', KEYS[2], old)
end
return 1`;

/** A sorted set of ids and a hash of their entries, both in one slot: a cluster runs the script too. */
export function createRedisRecent(link: RedisLink, prefix: string, name: string, max: number): RecentEntries {
  const putOne = link.script('posternRecent', 2, PUT);
  const ids = `${prefix}recent:{${name}}`;
  const values = `${ids}:values`;
  return {
    put: (id, at, value) =>
      link.run('recent_put', async () => {
        await putOne(ids, values, id, at, value, max);
      }),
    list: (limit) =>
      link.run('recent_list', async () => {
        const newest = await link.client.zrange(ids, String(-limit), '-1');
        if (newest.length === 0) return [];
        return (await link.client.hmget(values, ...newest.reverse())).filter((value) => value !== null);
      }),
  };
}
