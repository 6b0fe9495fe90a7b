import { isAfter, nextPage, type PagePlace, pagePlace } from '../expiry-page.ts';
import type { SessionEntry, SessionStore } from '../stores.ts';
import type { RedisLink } from './link.ts';

/** One hash a session: v version, s sealed value, e expiry, i index terms. */
const CREATE = `
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'v', ARGV[1], 's', ARGV[2], 'e', ARGV[3], 'i', ARGV[4])
return redis.call('PEXPIREAT', KEYS[1], ARGV[3])`;
const REPLACE = `
if tonumber(redis.call('HGET', KEYS[1], 'v')) ~= tonumber(ARGV[1]) - 1 then return 0 end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 's', ARGV[2], 'e', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
return 1`;
const EXTEND = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'e', ARGV[1])
return redis.call('PEXPIREAT', KEYS[1], ARGV[1])`;
const END = `
local terms = redis.call('HGET', KEYS[1], 'i')
redis.call('DEL', KEYS[1])
return terms`;
/** What is over by the server's own clock, with a minute for those of other nodes. */
const DROP_OVER = `
local over = redis.call('TIME')[1] * 1000 - 60000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', over))`;
/**
 * The index lives as long as the last of its sessions, and of those of all users none stays that is over. What adds comes first:
 * Redis checks its memory at the first write of a script only.
 */
const INDEX = `redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
${DROP_OVER}
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] == nil then return 0 end
return redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last[2])))`;

/** An entry without a session stays until it is over: its session may be about to be written. */
const LOOK_UP = `${DROP_OVER}
return redis.call('ZRANGE', KEYS[1], 0, -1)`;

/** So many that end in the same millisecond and were on pages before cost no further look-up. */
const SAME_EXPIRY = 100;

/**
 * Sessions in Redis. Every script touches one key, so it runs on a cluster too. Redis replicates after it answered: what it
 * acknowledged in the moment before a fail-over may be lost, and an end of that moment may be undone. `min-replicas-to-write`
 * and `min-replicas-max-lag` at the server narrow that moment; `appendfsync always` keeps what a crash would lose.
 */
export function createRedisSessions(link: RedisLink, prefix: string): SessionStore {
  const createOne = link.script('posternCreate', 1, CREATE);
  const replaceOne = link.script('posternReplace', 1, REPLACE);
  const extendOne = link.script('posternExtend', 1, EXTEND);
  const endOne = link.script('posternEnd', 1, END);
  const addToIndex = link.script('posternIndex', 1, INDEX);
  const lookUp = link.script('posternLookUp', 1, LOOK_UP);
  const session = (key: string) => `${prefix}session:${key}`;
  const index = (term: string) => `${prefix}sessions:${term}`;
  const addToAll = (terms: readonly string[], key: string, expiresAt: number) =>
    Promise.all(terms.map((term) => addToIndex(index(term), whole(expiresAt), key)));

  async function fetch(key: string): Promise<SessionEntry | undefined> {
    const [version, value, expiresAt, terms] = await link.client.hmget(session(key), 'v', 's', 'e', 'i');
    if (typeof version !== 'string' || typeof value !== 'string') return undefined;
    return { key, version: Number(version), value, indexes: JSON.parse(terms ?? '[]'), expiresAt: Number(expiresAt) };
  }

  return {
    create: ({ key, version, value, indexes, expiresAt }) =>
      link.run('session_create', async () => {
        // First the index, so that there is no session which a sign-out of the person would miss.
        await addToAll(indexes, key, expiresAt);
        await createOne(session(key), version, value, whole(expiresAt), JSON.stringify(indexes));
      }),

    read: (key) => link.run('session_read', () => fetch(key)),

    replace: ({ key, version, value, indexes, expiresAt }) =>
      link.run('session_replace', async () => {
        await addToAll(indexes, key, expiresAt);
        return (await replaceOne(session(key), version, value, whole(expiresAt))) === 1;
      }),

    extend: (key, expiresAt) =>
      link.run('session_extend', async () => {
        const terms = await link.client.hget(session(key), 'i');
        if (terms === null) return false;
        await addToAll(JSON.parse(terms), key, expiresAt);
        return (await extendOne(session(key), whole(expiresAt))) === 1;
      }),

    end: (key) =>
      link.run('session_end', async () => {
        const terms = await endOne(session(key));
        if (typeof terms !== 'string') return false;
        // It is over; an entry that stays names nothing and ends in its time.
        await Promise.all((JSON.parse(terms) as string[]).map((term) => link.client.zrem(index(term), key))).catch(
          () => {},
        );
        return true;
      }),

    find: (term) =>
      link.run('session_find', async () => {
        const keys = (await lookUp(index(term))) as string[];
        const found = await Promise.all(keys.map(fetch));
        return found.filter((entry) => entry !== undefined);
      }),

    page: (term, after, limit) =>
      link.run('session_find', async () => {
        const place = pagePlace(after);
        const found: PagePlace[] = [];
        const chunk = limit + SAME_EXPIRY;
        let read = 0;
        let more = true;
        while (more && found.length < limit) {
          const lines = await link.client.zrange(
            ...([index(term), place.expiresAt, '+inf', 'BYSCORE', 'LIMIT', read, chunk, 'WITHSCORES'] as const),
          );
          for (let at = 0; at < lines.length; at += 2) {
            const one = { key: lines[at] as string, expiresAt: Number(lines[at + 1]) };
            if (isAfter(one, place)) found.push(one);
          }
          read += chunk;
          more = lines.length === 2 * chunk;
        }
        const page = found.slice(0, limit);
        const entries = (await Promise.all(page.map(({ key }) => fetch(key)))).filter((entry) => entry !== undefined);
        return { entries, next: nextPage(page, limit) };
      }),
  };
}

/** Redis takes whole milliseconds. */
function whole(time: number): number {
  return Math.ceil(time);
}
