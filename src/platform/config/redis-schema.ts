import { z } from 'zod';
import { parseAddress } from './host-and-port.ts';
import { parseRedisUrl } from './redis-url.ts';
import { duration, optionalSection, secret, secretKeys } from './values.ts';

const node = z
  .string()
  .refine((text) => parseAddress(text) !== undefined, { error: 'must be HOST:PORT, such as redis-1:6379' });

/** Redis or Valkey, one server, behind Sentinel, or a cluster. */
export const redisSchema = z
  .strictObject({
    url: z
      .string()
      .refine((text) => parseRedisUrl(text) !== undefined, {
        error:
          'must be redis://HOST:PORT/DB or rediss://HOST:PORT/DB, without anything else: user and password are redis.username and redis.password, TLS is redis.tls',
      })
      .optional()
      .meta({ description: 'one server: `redis://HOST:PORT/DB`, or `rediss://…` for TLS' }),
    sentinel: z
      .strictObject({
        master: z.string().min(1).meta({ description: 'name of the master group' }),
        nodes: z.array(node).min(1).meta({ description: 'the Sentinels' }),
        username: z.string().min(1).optional().meta({ description: 'user of the Sentinels themselves' }),
        ...secretKeys('password', secret('password of the Sentinels themselves').optional()),
        tls: z.boolean().default(false).meta({ description: 'speak TLS with the Sentinels as well' }),
      })
      .optional()
      .meta({ description: 'the master that Sentinel names, instead of `url`' }),
    cluster: z
      .strictObject({ nodes: z.array(node).min(1).meta({ description: 'some nodes; the others are found' }) })
      .optional()
      .meta({ description: 'Redis Cluster, instead of `url`' }),
    username: z.string().min(1).optional().meta({ description: 'ACL user' }),
    ...secretKeys('password', secret('password of `username`, or of the server').optional()),
    database: z.int().min(0).optional().meta({ description: 'logical database; absent: that of `url`, or 0' }),
    tls: optionalSection('TLS, for Sentinel and Cluster too; `rediss://` says it itself', {
      caPath: z.string().min(1).optional().meta({ description: 'PEM file with the certificate authority' }),
      certPath: z.string().min(1).optional().meta({ description: 'PEM file with our client certificate' }),
      keyPath: z.string().min(1).optional().meta({ description: 'PEM file with its private key' }),
      serverName: z.string().min(1).optional().meta({ description: 'name expected in the server’s certificate' }),
    }),
    keyPrefix: z.string().default('postern:').meta({ description: 'first part of every key and channel' }),
    timeout: duration('until a command must have been answered').prefault('1s'),
    connectTimeout: duration('until a connection must stand').prefault('2s'),
  })
  .superRefine((value, context) => {
    const given = [value.url, value.sentinel, value.cluster].filter((entry) => entry !== undefined).length;
    if (given !== 1) context.addIssue({ code: 'custom', message: 'give exactly one of url, sentinel and cluster' });
    if (value.cluster !== undefined && (value.database ?? 0) !== 0)
      context.addIssue({ code: 'custom', path: ['database'], message: 'a cluster has database 0 only' });
    if ((value.tls.certPath === undefined) !== (value.tls.keyPath === undefined))
      context.addIssue({ code: 'custom', path: ['tls'], message: 'certPath and keyPath belong together' });
  });
