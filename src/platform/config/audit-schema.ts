import { z } from 'zod';
import { duration, optionalSection, secret, secretKeys, size } from './values.ts';

const names = (description: string) => z.array(z.string().min(1)).min(1).meta({ description });

/** Who did what, for those who must be able to say so later. Without a sink nothing is recorded. */
export const auditSchema = z.strictObject({
  stdout: z.boolean().default(false).meta({ description: 'beside the log, on standard output' }),
  file: z
    .strictObject({
      path: z
        .string()
        .includes('{process}', { message: 'must contain {process}, because two processes must not share a file' })
        .meta({ description: '`{process}` becomes `forward-auth` or `relay`; each replica needs a folder of its own' }),
      maxSize: size('a new file is begun at this size').prefault('100MiB'),
      maxAge: duration('and at this age').prefault('1d'),
      maxFiles: z.int().min(0).default(30).meta({ description: 'older files that are kept, `.1` being the youngest' }),
      sync: z
        .enum(['never', 'always'])
        .default('never')
        .meta({ description: '`always`: each write waits for the disk; `never`: the system writes when it likes' }),
    })
    .optional()
    .meta({ description: 'a file, rotated by size and age; absent: none' }),
  redis: z
    .strictObject({
      stream: z.string().min(1).default('audit').meta({ description: 'name below redis.keyPrefix' }),
      maxLength: z.int().min(1).default(100_000).meta({ description: 'lines that Redis keeps, about' }),
    })
    .optional()
    .meta({ description: 'a Redis stream; needs `redis`' }),
  chain: optionalSection('each line has the hash of the one before', {
    ...secretKeys(
      'key',
      secret('makes it a keyed hash (HMAC-SHA-256), which only its holder can make anew').optional(),
    ),
  }),
  sampleAllows: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .meta({ description: 'share of allowed requests that is recorded; denials, tool calls and sign-ins always are' }),
  arguments: z
    .array(
      z.strictObject({
        servers: names('names in relay.servers').default(['*']),
        tools: names('names of tools').default(['*']),
        names: names('arguments whose values are recorded, redacted'),
      }),
    )
    .default([])
    .meta({ description: 'arguments of tool calls that are recorded; no others are' }),
  maxQueue: z.int().min(1).default(10_000).meta({ description: 'lines that wait for a sink' }),
  whenFull: z.enum(['drop', 'refuse']).default('drop').meta({
    description:
      'where the queue is full, as with a full disk: `drop` lines and count them, or `refuse` requests with 503',
  }),
});
