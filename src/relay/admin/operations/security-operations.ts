import { z } from 'zod';
import { SECURITY_EVENT_KINDS } from '../../../platform/config/watch-schema.ts';
import type { RecentSecurityEvents } from '../../../watch/recent-events.ts';
import { Operation } from './operation.ts';

const text = z.string().optional();

const securityEvent = z
  .object({
    id: z.string(),
    kind: z.enum(SECURITY_EVENT_KINDS),
    severity: z.enum(['notice', 'warning', 'critical']),
    process: z.enum(['forward-auth', 'relay']),
    firstAt: z.iso.datetime(),
    lastAt: z.iso.datetime(),
    count: z.int().min(1),
    user: text,
    username: text,
    email: text,
    name: text,
    address: text,
    server: text,
    reason: text,
    message: z.string(),
  })
  .meta({ id: 'SecurityEvent' });

/** What the watch found unusual. @param recent undefined: the watch is off */
export function securityOperations(recent: RecentSecurityEvents | undefined) {
  return {
    listSecurityEvents: new Operation(
      {
        id: 'listSecurityEvents',
        method: 'GET',
        path: '/security-events',
        summary: 'What is unusual, newest first; with Redis of both processes and all replicas',
        input: z.object({ limit: z.coerce.number().int().min(1).max(1_000).default(100) }),
        output: z.object({ watching: z.boolean(), events: z.array(securityEvent) }),
      },
      async ({ limit }) => ({
        watching: recent !== undefined,
        events: ((await recent?.list(limit)) ?? []).map(({ firstAt, lastAt, ...event }) => ({
          ...event,
          firstAt: new Date(firstAt).toISOString(),
          lastAt: new Date(lastAt).toISOString(),
        })),
      }),
    ),
  };
}
