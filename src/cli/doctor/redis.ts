import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, type Redis } from 'ioredis';
import type { RedisConfig } from '../../platform/config/schema.ts';
import { ConfigurationError } from '../../platform/errors.ts';
import { readTarget } from '../../stores/redis/connection-options.ts';
import { connectRedis, plainError, type RedisClient } from '../../stores/redis/link.ts';
import { refusedWrite } from '../../stores/redis/write-access.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** Whether Redis answers, takes writes, keeps them over a restart, and throws none away. */
export async function redisFindings(config: RedisConfig | undefined): Promise<Finding[]> {
  if (config === undefined)
    return [ok('redis', 'not set: sessions, API keys and limits are in memory, for one process of each kind')];
  const kind = (['url', 'sentinel', 'cluster'] as const).find((name) => config[name] !== undefined);
  const at = kind === undefined ? 'redis' : `redis.${kind}`;
  let client: RedisClient | undefined;
  let last: Error | undefined;
  try {
    client = connectRedis(await readTarget(config), config.timeout);
    client.on('error', (error: Error) => {
      last = plainError(error);
    });
    for (let waited = 0; client.status !== 'ready' && waited < config.connectTimeout; waited += 25) await sleep(25);
    if (client.status !== 'ready') return [away(at, last)];
    // Each master of a cluster has settings of its own, and one that differs loses a part of everything.
    const masters = client instanceof Cluster ? client.nodes('master') : [client];
    const found = await Promise.all(masters.map(keeping));
    return [
      ok(at, masters.length === 1 ? 'Redis answers' : `Redis answers: a cluster of ${masters.length} masters`),
      ...(await writes(client, `${config.keyPrefix}doctor`)),
      ...together(found, masters.map(addressOf)),
    ];
  } catch (error) {
    // A file that is not there was named before.
    if (error instanceof ConfigurationError) return [];
    return [away(at, plainError(error))];
  } finally {
    client?.disconnect();
  }
}

/** Whether a server keeps what it is given. */
async function keeping(server: Redis): Promise<Finding[]> {
  const info = async (section: string) => fields(await server.info(section));
  return [...(await persistence(server, await info('persistence'))), ...eviction(await info('memory'))];
}

const addressOf = ({ options: { host, port } }: Redis) => `${host}:${port}`;

/** What several servers have alike is said once; what only some have, with their addresses. */
function together(found: readonly (readonly Finding[])[], addresses: readonly string[]): Finding[] {
  const servers = new Map<string, { readonly finding: Finding; readonly at: string[] }>();
  for (const [index, findings] of found.entries())
    for (const finding of findings) {
      const one = servers.get(finding.cause) ?? { finding, at: [] };
      servers.set(finding.cause, one);
      one.at.push(addresses[index] ?? '');
    }
  return [...servers.values()].map(({ finding, at }) =>
    at.length === found.length ? finding : { ...finding, cause: `${finding.cause} (at ${at.join(', ')})` },
  );
}

function away(at: string, error: Error | undefined): Finding {
  const reason = error?.message.replace(/^(?:Reply)?Error: /, '') || 'no answer in time';
  if (/NOAUTH|WRONGPASS|NOPERM|invalid (?:username|password)/i.test(reason))
    return fail('redis.password', `Redis refuses us: ${reason}`, 'correct redis.username, redis.password or the ACL');
  return fail(
    at,
    `Redis is not reached: ${reason}`,
    'start it, or correct the address; until then no user can sign in',
  );
}

async function writes(client: RedisClient, key: string): Promise<Finding[]> {
  try {
    await client.set(key, '1', 'PX', 1_000);
    return [];
  } catch (error) {
    const code = refusedWrite(error) ?? plainError(error).message;
    return [
      fail('redis', `Redis takes no writes: ${code}`, 'name the master, give it memory and disk, or widen the ACL'),
    ];
  }
}

async function persistence(server: Redis, info: Fields): Promise<Finding[]> {
  const lost = 'sessions, registered clients, API keys, grants and pins';
  if (info.aof_last_write_status === 'err' || info.rdb_last_bgsave_status === 'err')
    return [
      fail('redis', 'Redis could not write its last file to the disk', 'give it space, and rights on its folder'),
    ];
  if (info.aof_enabled === '1') return [ok('redis', 'Redis keeps every write in its append-only file')];
  // A provider of Redis may forbid CONFIG: then nothing more can be said.
  const saves = await setting(server, 'save');
  if (saves === undefined)
    return [
      warn(
        'redis',
        'Redis has no append-only file, and does not say whether it saves',
        `a restart may lose ${lost}: see its settings`,
      ),
    ];
  if (saves === '')
    return [warn('redis', `Redis keeps nothing on disk: its restart loses ${lost}`, 'set `appendonly yes` there')];
  return [
    warn(
      'redis',
      `Redis saves now and then only (${saves}): a crash loses what is newer`,
      'set `appendonly yes` there',
    ),
  ];
}

function eviction({ maxmemory_policy: policy, maxmemory }: Fields): Finding[] {
  if (policy === undefined) return [];
  if (policy === 'noeviction') return [ok('redis', 'Redis evicts nothing (noeviction)')];
  const cause = `Redis may throw keys away where it is full (maxmemory-policy ${policy}), which ends sessions and revives revoked ones`;
  const fix = 'set `maxmemory-policy noeviction` there';
  return [maxmemory === '0' ? warn('redis', `${cause}; no maxmemory is set yet`, fix) : fail('redis', cause, fix)];
}

type Fields = Readonly<Record<string, string>>;

function fields(text: string): Fields {
  return Object.fromEntries([...text.matchAll(/^([a-z_]+):(.*?)\r?$/gm)].map(([, name, value]) => [name, value]));
}

async function setting(server: Redis, name: string): Promise<string | undefined> {
  try {
    const answer = (await server.config('GET', name)) as unknown;
    return Array.isArray(answer) ? String(answer[1] ?? '') : undefined;
  } catch {
    return undefined;
  }
}
