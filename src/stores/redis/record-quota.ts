import type { RedisLink } from './link.ts';

/** Records that are over are forgotten at most so many at once. */
const AT_ONCE = 100;

/** Keys: which records there are, by their end; their sizes, and `total`. */
const RESERVE = `
local total = tonumber(redis.call('HGET', KEYS[2], 'total') or '0')
local function forget(key)
  total = total - tonumber(redis.call('HGET', KEYS[2], key) or '0')
  redis.call('ZREM', KEYS[1], key)
  redis.call('HDEL', KEYS[2], key)
end
for _, key in ipairs(redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ${AT_ONCE})) do forget(key) end
forget(ARGV[2])
local gone = {}
while total + tonumber(ARGV[3]) > tonumber(ARGV[5]) do
  local first = redis.call('ZRANGE', KEYS[1], 0, 0)[1]
  if first == nil then break end
  forget(first)
  gone[#gone + 1] = first
end
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3], 'total', string.format('%.0f', total + tonumber(ARGV[3])))
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, string.format('%.0f', tonumber(last[2]))) end
return gone`;
const RELEASE = `
local size = redis.call('HGET', KEYS[2], ARGV[1])
if not size then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
local total = tonumber(redis.call('HGET', KEYS[2], 'total') or '0') - tonumber(size)
return redis.call('HSET', KEYS[2], 'total', string.format('%.0f', total))`;
const EXTEND = `
redis.call('ZADD', KEYS[1], 'XX', ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] == nil then return 0 end
for _, key in ipairs(KEYS) do redis.call('PEXPIREAT', key, string.format('%.0f', tonumber(last[2]))) end
return 1`;

/** Bytes that the records of one kind may take. What ends soonest goes first, so what is in use outlives a flood of what is not. */
export interface RecordQuota {
  /** Counts a record that is about to be written. @returns keys of those that must go for it */
  reserve(key: string, bytes: number, expiresAt: number): Promise<readonly string[]>;
  extend(key: string, expiresAt: number): Promise<void>;
  release(key: string): Promise<void>;
}

/** Both keys are in one slot: a cluster runs the scripts too. */
export function createRecordQuota(link: RedisLink, prefix: string, maxBytes: number, now: () => number): RecordQuota {
  const keys = [`${prefix}quota:{${prefix}}:ends`, `${prefix}quota:{${prefix}}:sizes`] as const;
  const reserve = link.script('posternQuotaReserve', 2, RESERVE);
  const release = link.script('posternQuotaRelease', 2, RELEASE);
  const extend = link.script('posternQuotaExtend', 2, EXTEND);
  const whole = Math.ceil;
  return {
    reserve: (key, bytes, expiresAt) =>
      link.run('quota_reserve', async () => {
        const gone = await reserve(...keys, whole(now()), key, bytes, whole(expiresAt), maxBytes);
        return gone as string[];
      }),
    extend: (key, expiresAt) =>
      link.run('quota_extend', async () => void (await extend(...keys, key, whole(expiresAt)))),
    release: (key) => link.run('quota_release', async () => void (await release(...keys, key))),
  };
}
