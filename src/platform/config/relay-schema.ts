import { z } from 'zod';
import { adminSchema } from './admin-schema.ts';
import { aggregateSchema } from './aggregate-schema.ts';
import { budgets } from './budget-schema.ts';
import { INTERNAL_LISTEN } from './config-file.ts';
import { authorizationServers, connections } from './credential-schema.ts';
import { migrationSchema } from './migration-schema.ts';
import { passThrough } from './passthrough-schema.ts';
import { callLimits, pinsSchema, policySchema, relayRateLimit } from './policy-schema.ts';
import { upstreamServer } from './server-schema.ts';
import { signing } from './signing-schema.ts';
import { listenerTls } from './tls-schema.ts';
import { trustSchema } from './trust-schema.ts';
import {
  AT_START,
  address,
  duration,
  JWS_ALGORITHMS,
  optionalSection,
  secret,
  secretFile,
  secretKeys,
  secrets,
  size,
} from './values.ts';
import { workers } from './workers-schema.ts';

/** Asymmetric algorithms, and HMAC for the relay's own JWT mode. */
const RELAY_JWT_ALGORITHMS = [...JWS_ALGORITHMS, 'HS256', 'HS384', 'HS512'] as const;

export const serverName = z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'must be lower-case letters, digits and hyphens');

export const relaySchema = z.strictObject({
  listen: address('where the proxy reaches the relay').prefault('127.0.0.1:4444').meta(AT_START),
  internalListen: address('health and metrics').prefault(INTERNAL_LISTEN.relay).meta(AT_START),
  workers,
  tls: listenerTls.optional().meta(AT_START),
  ...secretKeys('operatorToken', secrets('for the operator’s requests to internalListen; absent: refused').optional()),
  admin: adminSchema.prefault({}).meta({ description: 'pages and API for operators, at the listener of the relay' }),
  authRequired: z.boolean().default(true).meta({
    description:
      'true: no identity is 401; false: the identity is `anonymous`, and programs of this machine reach `admin` where it has no sign-in',
  }),
  allowedOrigins: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: '`Origin` values let in beside that of `publicUrl`' }),
  trust: trustSchema
    .prefault({})
    .meta({ description: 'which proxy the relay trusts, and how that proxy proves itself' }),
  jwt: optionalSection('the relay itself checks bearer JWTs', {
    algorithm: z.enum(RELAY_JWT_ALGORITHMS).default('HS256').meta({ description: 'the only accepted `alg`' }),
    ...secretKeys('secretKey', secrets('key for HS256, HS384 and HS512').optional()),
    publicKeyPath: z.string().min(1).optional().meta({ description: 'PEM file with the public key' }),
    issuer: z.string().min(1).default('mcpgateway').meta({ description: 'expected `iss`' }),
    audience: z.string().min(1).default('mcpgateway-api').meta({ description: 'expected `aud`' }),
    audienceVerification: z
      .boolean()
      .default(true)
      .meta({ description: 'false: a token for any audience is accepted' }),
    clockTolerance: duration('how far clocks may differ').prefault('30s'),
  }),
  migration: migrationSchema
    .prefault({})
    .meta({ description: 'the move from JWTs of the relay to identity from the proxy, user by user' }),
  sessionKey: secret(
    'seals MCP session ids: 32 bytes as base64url, several by comma or line; the first seals, all open. Absent: made at start, one replica',
  )
    .optional()
    .meta(AT_START),
  sessionKeyPath: secretFile(
    'watched',
    'file with those keys, one a line, read again when it changes; by it the key rotates without a restart',
  ).meta(AT_START),
  passthrough: passThrough,
  authorizationServers: authorizationServers
    .prefault({})
    .meta({ description: 'authorization servers that the relay asks for tokens' }),
  connections: connections.prefault({}).meta({ description: 'accounts at MCP servers that people connect' }),
  signing: z
    .strictObject({
      issuer: z.string().min(1).optional().meta({ description: '`iss`; absent: publicUrl followed by `/relay`' }),
      ...signing,
    })
    .prefault({})
    .meta({ description: 'the statement about the user that the relay signs for MCP servers' }),
  servers: z
    .record(serverName, upstreamServer)
    .default({})
    .meta({ description: 'MCP servers by name, each at `/servers/<name>/mcp`' }),
  policy: policySchema.optional().meta({
    description:
      'who may use which server, tool, prompt and resource; absent: every user who gets in may use everything',
  }),
  callLimits,
  pins: pinsSchema.prefault({}).meta({ description: 'tools whose definitions must not change unseen' }),
  rateLimits: z
    .array(relayRateLimit)
    .default([])
    .meta({ description: 'every limit that matches a request applies to it' }),
  aggregate: aggregateSchema
    .optional()
    .meta({ description: 'several MCP servers as one at `/mcp`, `/sse` and `/ws`; absent: there is no such thing' }),
  limits: z
    .strictObject({
      maxHeaders: size('all request headers together: those of the client, the identity and its assertion')
        .prefault('64KiB')
        .meta(AT_START),
      maxIdentity: size('what is known of one person, groups above all').prefault('8KiB'),
      maxBody: size('one request body').prefault('4MiB'),
      maxServerMessage: size(
        'one message of an MCP server that has to be read: from programs, WebSockets and HTTP+SSE, for clients of another transport or era, and where the policy looks at it; larger ones are refused one by one',
      ).prefault('16MiB'),
      requestTimeout: duration('until a request must have arrived whole').prefault('30s').meta(AT_START),
      idleStream: duration('longest silence of an upstream stream').prefault('30m'),
      connectionLifetime: duration(
        'a WebSocket or HTTP+SSE connection; then the client must pass the proxy again',
      ).prefault('1h'),
    })
    .prefault({})
    .meta({ description: 'largest sizes of requests and messages, and time limits of connections' }),
  budgets: budgets.prefault({}).meta({ description: 'most memory and requests that one user can take at a time' }),
});
