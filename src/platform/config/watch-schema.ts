import { z } from 'zod';
import { duration, httpUrl, secret, secretKeys } from './values.ts';

/** What the watch can report. Stable: a metric label, a log field, what a webhook is told. */
export const SECURITY_EVENT_KINDS = [
  'new_network',
  'concurrent_networks',
  'request_rate',
  'many_sign_ins',
  'many_denials',
  'many_denied_tools',
  'spoof_attempt',
  'failed_sign_ins',
  'refused_credentials',
  'old_api_key',
  'refresh_token_reuse',
  'removed_provider',
  'operator_refused',
] as const;

export type SecurityEventKind = (typeof SECURITY_EVENT_KINDS)[number];

const enabled = z.boolean().default(true).meta({ description: 'whether this is looked for' });

/** So many of something within a time. */
const threshold = (reports: string, maxCount: number, within: string, what: string) =>
  z
    .strictObject({
      enabled,
      maxCount: z
        .int()
        .min(1)
        .default(maxCount)
        .meta({ description: `that many are reported: ${what}, counted for the time of \`within\`` }),
      within: duration('the time in which they are counted').prefault(within),
    })
    .prefault({})
    .meta({ description: `reports ${reports}` });

const single = (reports: string) =>
  z
    .strictObject({ enabled })
    .prefault({})
    .meta({ description: `reports ${reports}` });

const detectors = z.strictObject({
  newNetwork: z
    .strictObject({
      enabled,
      learning: duration('from a user’s first request on, for which their networks are only learnt').prefault('7d'),
      idleLifetime: duration('a network that a user was not seen in for so long is new again').prefault('90d'),
      maxNetworks: z.int().min(2).max(1_000).default(64).meta({ description: 'networks remembered of one user' }),
    })
    .prefault({})
    .meta({ description: 'reports a user in a network that is new for them' }),
  concurrentNetworks: z
    .strictObject({
      enabled,
      within: duration('a user in a new network who was in another one so shortly before is in two places').prefault(
        '5m',
      ),
      maxConcurrent: z
        .int()
        .min(2)
        .default(5)
        .meta({ description: 'networks at once of a user who is still being learnt' }),
    })
    .prefault({})
    .meta({ description: 'reports a user in two networks at once' }),
  requestRate: threshold('a user who sends many requests', 6_000, '1m', 'allowed requests of one user'),
  manySignIns: threshold('a user who signs in often', 10, '10m', 'sign-ins of one user'),
  manyDenials: threshold(
    'a user whom forward-auth refuses often',
    50,
    '10m',
    'refusals of one user by forward-auth’s rules',
  ),
  manyDeniedTools: threshold(
    'a user whom the relay refuses often',
    20,
    '10m',
    'tools, prompts and resources that the relay refused one user',
  ),
  spoofAttempt: single('an identity without proof, such as a header that a client wrote'),
  failedSignIns: threshold(
    'an address from which sign-ins fail',
    10,
    '10m',
    'sign-ins that failed, of one address (IPv6: of one /64)',
  ),
  refusedCredentials: threshold(
    'an address that tries credentials',
    30,
    '10m',
    'forged tokens and wrong API keys, of one address (IPv6: of one /64)',
  ),
  oldApiKey: single('use of an API key that was revoked or has expired'),
  refreshTokenReuse: single('a refresh token that is used a second time'),
  removedProvider: single('a session whose provider is no longer configured'),
  operatorRefused: single('a refused sign-in or token of an operator'),
});

/** Standard Webhooks, "Signature scheme": the key is base64 after a prefix, of 24 to 64 bytes. */
function isWebhookSecret(text: string): boolean {
  const base64 = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1];
  const bytes = base64 === undefined ? 0 : Buffer.from(base64, 'base64').length;
  return bytes >= 24 && bytes <= 64;
}

/** 32 bytes as base64url, as `postern secrets` makes them. */
function isKey(text: string): boolean {
  return /^[\w-]{43}=?$/.test(text) && Buffer.from(text, 'base64url').length === 32;
}

/** What is looked for, and who is told. */
export const watchSchema = z.strictObject({
  enabled: z.boolean().default(true).meta({ description: 'look for what is unusual and report it' }),
  addresses: z.enum(['full', 'network']).default('full').meta({
    description: 'how addresses are reported: as they are, or only the network they are in',
  }),
  networks: z
    .strictObject({
      ipv4: z.int().min(8).max(32).default(24).meta({ description: 'bits of an IPv4 network' }),
      ipv6: z.int().min(16).max(64).default(48).meta({ description: 'bits of an IPv6 network' }),
    })
    .prefault({})
    .meta({ description: 'how large a network is: addresses that share these bits are one' }),
  window: duration('the same of the same user or address is one event for so long').prefault('1h'),
  maxEvents: z.int().min(1).max(10_000).default(1_000).meta({ description: 'events kept for the admin pages' }),
  maxRemembered: z.int().min(100).default(10_000).meta({
    description: 'users and addresses that each process remembers; the least recently seen is forgotten first',
  }),
  ...secretKeys(
    'key',
    secret(
      'seals in Redis what is known of users: 32 bytes as base64url, the same for both processes and all replicas. ' +
        'Absent: nothing of it is in Redis, each process is on its own',
    )
      .refine(isKey, 'must be 32 bytes as base64url; `postern secrets` makes one')
      .optional(),
  ),
  detectors: detectors.prefault({}).meta({ description: 'what is looked for; each detector is on by default' }),
  webhook: z
    .strictObject({
      url: httpUrl('where events are sent, signed as Standard Webhooks say'),
      ...secretKeys(
        'secret',
        z
          .string()
          .refine(
            isWebhookSecret,
            'must be whsec_ and the base64 of 24 to 64 bytes, such as of `openssl rand -base64 32`',
          )
          .meta({ description: '`whsec_` and the base64 of 24 to 64 random bytes; both sides know it', secret: true }),
      ),
      kinds: z
        .array(z.enum(SECURITY_EVENT_KINDS))
        .min(1)
        .default([...SECURITY_EVENT_KINDS])
        .meta({ description: 'which events are sent' }),
      timeout: duration('until the receiver must have answered').prefault('5s'),
      deliveryTimeout: duration('an event that could not be delivered for so long is dropped').prefault('1d'),
      maxQueue: z.int().min(1).max(100_000).default(1_000).meta({ description: 'events that wait for the receiver' }),
    })
    .optional()
    .meta({ description: 'tells another system of events' }),
});
