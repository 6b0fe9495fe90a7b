import type { Documents } from '../stores.ts';
import type { RedisLink } from './link.ts';

/** Scores of what never expires come after all times. */
const PUT = `
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', ARGV[4])
redis.call('SET', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
if ARGV[2] ~= '+inf' then redis.call('PEXPIREAT', KEYS[1], ARGV[2]) end
return 1`;
const REMOVE = `
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])`;

/** One key a document and a sorted set of their ids, both in the slot of their collection: a cluster runs the scripts too. */
export function createRedisDocuments(link: RedisLink, prefix: string, now: () => number): Documents {
  const putOne = link.script('posternPut', 2, PUT);
  const removeOne = link.script('posternRemove', 2, REMOVE);
  const ids = (collection: string) => `${prefix}documents:{${collection}}`;
  const document = (collection: string, id: string) => `${ids(collection)}:${id}`;
  return {
    put: (collection, id, value, expiresAt) =>
      link.run('document_put', async () => {
        const until = expiresAt === undefined ? '+inf' : String(Math.ceil(expiresAt));
        await putOne(document(collection, id), ids(collection), value, until, id, now());
      }),
    get: (collection, id) =>
      link.run('document_get', async () => (await link.client.get(document(collection, id))) ?? undefined),
    remove: (collection, id) =>
      link.run('document_remove', async () => (await removeOne(document(collection, id), ids(collection), id)) === 1),
    list: (collection) =>
      link.run('document_list', async () => {
        const known = await link.client.zrange(ids(collection), '0', '-1');
        if (known.length === 0) return [];
        const values = await link.client.mget(known.map((id) => document(collection, id)));
        return known.flatMap((id, at) => {
          const value = values[at];
          return typeof value === 'string' ? [{ id, value }] : [];
        });
      }),
  };
}
