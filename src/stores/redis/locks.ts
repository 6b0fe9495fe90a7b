import { randomBytes } from 'node:crypto';
import type { Locks } from '../stores.ts';
import type { RedisLink } from './link.ts';

const RELEASE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;

/** Locks spare work that two processes would do at once; what must be right is decided by `replace` and `once`. */
export function createRedisLocks(link: RedisLink, prefix: string): Locks {
  const releaseOne = link.script('posternRelease', 1, RELEASE);
  const take = async (key: string, token: string, lifetime: number) =>
    (await link.client.set(key, token, 'PX', Math.max(1, Math.ceil(lifetime)), 'NX')) === 'OK';
  return {
    acquire: (name, lifetime) =>
      link.run('lock_acquire', async () => {
        const key = `${prefix}lock:${name}`;
        // Only the holder knows it, so nobody gives back a lock that has gone on to somebody else.
        const token = randomBytes(16).toString('base64url');
        if (!(await take(key, token, lifetime))) return undefined;
        return {
          release: async () => {
            await link.run('lock_release', () => releaseOne(key, token)).catch(() => {});
          },
        };
      }),
    once: (name, lifetime) => link.run('once', () => take(`${prefix}once:${name}`, '1', lifetime)),
  };
}
