import { z } from 'zod';
import { isLoopback, LOOPBACK, parseRange } from '../addresses.ts';
import { LOG_LEVELS } from '../log.ts';
import { parseDuration, parseSize } from '../units.ts';

/** Marks a value that may come from a file (`…_FILE`) and is never printed. */
const secret = (description: string) => z.string().min(1).meta({ description, secret: true });

const duration = (description: string) =>
  z
    .string()
    .meta({ description })
    .transform((text, context) => {
      const milliseconds = parseDuration(text);
      if (milliseconds !== undefined) return milliseconds;
      context.addIssue({ code: 'custom', message: 'must be a duration such as 500ms, 30s, 15m, 8h or 7d' });
      return z.NEVER;
    });

const size = (description: string) =>
  z
    .string()
    .meta({ description })
    .transform((text, context) => {
      const bytes = parseSize(text);
      if (bytes !== undefined) return bytes;
      context.addIssue({ code: 'custom', message: 'must be a size such as 512B, 64KiB or 4MiB' });
      return z.NEVER;
    });

const address = (description: string) =>
  z
    .string()
    .meta({ description })
    .transform((text, context) => {
      const match = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]+):(\d{1,5})$/.exec(text);
      const port = Number(match?.[2]);
      if (match?.[1] !== undefined && port <= 65535) return { host: match[1].replace(/^\[|\]$/g, ''), port };
      context.addIssue({ code: 'custom', message: 'must be HOST:PORT, such as 127.0.0.1:4180 or [::1]:4180' });
      return z.NEVER;
    });

const addressRange = z.string().superRefine((text, context) => {
  try {
    parseRange(text);
  } catch {
    context.addIssue({ code: 'custom', message: `"${text}" is no address or CIDR range, such as 10.0.0.0/8` });
  }
});

const httpUrl = (description: string) =>
  z
    .string()
    .meta({ description })
    .superRefine((text, context) => {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url === undefined || !/^https?:$/.test(url.protocol) || url.hash !== '' || url.username !== '')
        context.addIssue({ code: 'custom', message: 'must be an http or https URL without user or fragment' });
    });

const headerName = z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be a header name');
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be a scope (RFC 6749 §3.3): no spaces or quotes');
const pathGlob = z
  .string()
  .startsWith('/', 'must start with /')
  .regex(/^[^?#\s]*$/, 'must be a path without query')
  .meta({ description: '`*` matches within one segment, `/**` at the end everything below' });

const JWS_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;
/** Asymmetric algorithms, and HMAC for the relay's own JWT mode. */
const RELAY_JWT_ALGORITHMS = [...JWS_ALGORITHMS, 'HS256', 'HS384', 'HS512'] as const;

const claims = z
  .strictObject({
    subject: z.string().default('sub'),
    email: z.string().default('email'),
    name: z.string().default('name'),
    groups: z.string().default('groups').meta({ description: 'dots go into nested objects: `realm_access.roles`' }),
    scopes: z
      .array(z.string())
      .default(['scope', 'scp'])
      .meta({ description: 'claims that hold scopes, as a space-separated text or a list' }),
  })
  .meta({ description: 'where in a token to look for what' });

const provider = z.strictObject({
  id: z.string().regex(/^[a-z0-9-]+$/, 'must be lower-case letters, digits and hyphens'),
  issuer: httpUrl('issuer identifier, exactly as in the `iss` claim (RFC 8414 §2)'),
  jwksUri: httpUrl('where the keys are; absent: found by OpenID Connect Discovery').optional(),
  audiences: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: 'accepted `aud` values beside the resource itself, for providers without RFC 8707' }),
  algorithms: z
    .array(z.enum(JWS_ALGORITHMS))
    .min(1)
    .default(['RS256', 'PS256', 'ES256', 'EdDSA'])
    .meta({ description: 'allowed signature algorithms (RFC 8725 §3.1)' }),
  types: z
    .array(z.string())
    .min(1)
    .default(['at+jwt', 'jwt'])
    .meta({ description: 'accepted `typ` header values; a token without `typ` counts as `jwt`' }),
  clockTolerance: duration('how far clocks may differ').prefault('30s'),
  claims: claims.prefault({}),
});

const rule = z
  .strictObject({
    match: z
      .strictObject({
        path: pathGlob.optional(),
        host: z.string().min(1).optional().meta({ description: '`*.example.com` matches one label' }),
        methods: z
          .array(z.string().regex(/^[A-Z]+$/, 'must be an upper-case HTTP method'))
          .min(1)
          .optional(),
      })
      .meta({ description: 'all that is given must match' }),
    public: z.boolean().default(false).meta({ description: 'let everybody through, as anonymous' }),
    allow: z
      .strictObject({
        users: z.array(z.string().min(1)).min(1).optional().meta({ description: 'subjects' }),
        groups: z.array(z.string().min(1)).min(1).optional(),
        providers: z.array(z.string().min(1)).min(1).optional().meta({
          description: 'and signed in by one of these providers; needed where there are several',
        }),
      })
      .optional()
      .meta({ description: 'one of these users, or in one of these groups; absent: everybody who is signed in' }),
    scopes: z
      .strictObject({
        default: z.array(scope).default([]).meta({ description: 'needed for every request' }),
        methods: z.record(z.string(), z.array(scope)).default({}).meta({ description: 'by MCP method, with globs' }),
        tools: z.record(z.string(), z.array(scope)).default({}).meta({ description: 'by MCP tool, with globs' }),
      })
      .prefault({}),
  })
  .refine((value) => !value.public || value.allow === undefined, {
    message: 'a public rule lets everybody through; remove `allow` or `public`',
    path: ['allow'],
  });

const auth = z.strictObject({
  listen: address('where proxies call forward-auth').prefault('127.0.0.1:4180'),
  internalListen: address('health and metrics').prefault('127.0.0.1:9464'),
  trustedProxies: z
    .array(addressRange)
    .default([...LOOPBACK])
    .meta({ description: 'peers whose forwarded headers are believed; everybody else is refused' }),
  providers: z.array(provider).default([]).meta({ description: 'whose tokens are accepted' }),
  rules: z.array(rule).default([]).meta({ description: 'the first match decides; no match: deny' }),
  scopeHierarchy: z
    .record(scope, z.array(scope))
    .default({})
    .meta({ description: 'a scope and the narrower ones it implies: `mcp:admin: [mcp:use]`' }),
  assertion: z
    .strictObject({
      audience: z.string().min(1).default('postern-relay'),
      lifetime: duration('how long one assertion is worth something').prefault('60s'),
      keys: secret(
        'JWK Set of private keys; the first signs, all are published. Absent: made at start and rotated',
      ).optional(),
      keysPath: z.string().min(1).optional().meta({
        description: 'file with that JWK Set, read again when it changes; needed for several replicas',
      }),
      rotate: duration('how often keys made at start are replaced').prefault('24h'),
    })
    .prefault({}),
  tokenCache: z
    .strictObject({
      max: z.int().min(0).default(10_000).meta({ description: 'verified tokens kept' }),
      ttl: duration('how long a verdict is reused, never past `exp`').prefault('5m'),
    })
    .prefault({}),
  limits: z
    .strictObject({
      headers: size('all request headers together').prefault('32KiB'),
      token: size('one token').prefault('16KiB'),
    })
    .prefault({}),
});

const upstreamServer = z.strictObject({
  url: httpUrl('the MCP endpoint of the server'),
  timeout: duration('until response headers must have come').prefault('60s'),
});

const relay = z.strictObject({
  listen: address('where the proxy reaches the relay').prefault('127.0.0.1:4444'),
  internalListen: address('health and metrics').prefault('127.0.0.1:9465'),
  authRequired: z
    .boolean()
    .default(true)
    .meta({ description: 'true: no identity is 401; false: the identity is `anonymous`' }),
  allowedOrigins: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: '`Origin` values let in beside that of `publicUrl`' }),
  trust: z
    .strictObject({
      enabled: z.boolean().default(true).meta({ description: 'believe identity headers of a proven proxy' }),
      proxies: z.array(addressRange).min(1).optional().meta({
        description: 'addresses of the proxy; absent: loopback only',
      }),
      preset: z
        .enum(['postern', 'headers'])
        .default('postern')
        .meta({ description: "`postern`: forward-auth's headers; `headers`: one header with the user" }),
      userHeader: headerName.default('X-Authenticated-User').meta({ description: 'header with the user' }),
      secret: secret('the proxy must send this text').optional(),
      secretHeader: headerName.default('X-Postern-Proxy-Secret').meta({ description: 'header with that text' }),
      assertion: z
        .strictObject({
          jwksUrl: httpUrl("forward-auth's `/_postern/jwks.json`").optional(),
          jwksPath: z.string().min(1).optional().meta({ description: 'file with the public JWK Set instead' }),
          issuer: z.string().min(1).optional().meta({ description: 'expected `iss`; absent: publicUrl' }),
          audience: z.string().min(1).default('postern-relay'),
          clockTolerance: duration('how far clocks may differ').prefault('5s'),
        })
        .refine((value) => (value.jwksUrl === undefined) !== (value.jwksPath === undefined), {
          message: 'give exactly one of jwksUrl and jwksPath',
        })
        .optional()
        .meta({ description: 'require and verify the signed assertion' }),
    })
    .prefault({}),
  jwt: z
    .strictObject({
      enabled: z.boolean().default(false).meta({ description: 'the relay itself checks bearer JWTs' }),
      algorithm: z.enum(RELAY_JWT_ALGORITHMS).default('HS256'),
      secretKey: secret('key for HS256, HS384 and HS512').optional(),
      publicKeyPath: z.string().min(1).optional().meta({ description: 'PEM file with the public key' }),
      issuer: z.string().min(1).default('mcpgateway'),
      audience: z.string().min(1).default('mcpgateway-api'),
      audienceVerification: z.boolean().default(true),
      clockTolerance: duration('how far clocks may differ').prefault('30s'),
    })
    .prefault({}),
  sessionKey: secret('seals MCP session ids, 32 bytes as base64url; absent: made at start, one replica').optional(),
  servers: z
    .record(z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'must be lower-case letters, digits and hyphens'), upstreamServer)
    .default({})
    .meta({ description: 'MCP servers by name, each at `/servers/<name>/mcp`' }),
  limits: z
    .strictObject({
      headers: size('all request headers together').prefault('32KiB'),
      body: size('one request body').prefault('4MiB'),
      requestTime: duration('until a request must have arrived whole').prefault('30s'),
      idleStream: duration('longest silence of an upstream stream').prefault('30m'),
    })
    .prefault({}),
});

export const configSchema = z
  .strictObject({
    publicUrl: httpUrl('the address at which clients reach the proxy').default('http://127.0.0.1:8080'),
    log: z.strictObject({ level: z.enum(LOG_LEVELS).default('info') }).prefault({}),
    drain: duration('how long streams may go on after SIGTERM').prefault('10s'),
    auth: auth.prefault({}),
    relay: relay.prefault({}),
  })
  .superRefine((config, context) => {
    const { trust, listen, jwt } = config.relay;
    const proven = trust.proxies !== undefined || trust.secret !== undefined || trust.assertion !== undefined;
    if (trust.enabled && !proven && !isLoopback(listen.host))
      context.addIssue({
        code: 'custom',
        path: ['relay', 'trust'],
        message: `identity headers would be believed without proof on ${listen.host}: set proxies, secret or assertion, or listen on 127.0.0.1`,
      });
    if (jwt.enabled && jwt.algorithm.startsWith('HS') && jwt.secretKey === undefined)
      context.addIssue({ code: 'custom', path: ['relay', 'jwt', 'secretKey'], message: `needed for ${jwt.algorithm}` });
    if (jwt.enabled && !jwt.algorithm.startsWith('HS') && jwt.publicKeyPath === undefined)
      context.addIssue({
        code: 'custom',
        path: ['relay', 'jwt', 'publicKeyPath'],
        message: `needed for ${jwt.algorithm}`,
      });
    const ids = config.auth.providers.map((entry) => entry.id);
    for (const [index, { allow }] of config.auth.rules.entries()) {
      const path = ['auth', 'rules', index, 'allow', 'providers'];
      const strange = allow?.providers?.find((id) => !ids.includes(id));
      if (strange !== undefined)
        context.addIssue({ code: 'custom', path, message: `there is no provider "${strange}" in auth.providers` });
      // Subjects and groups are unique within one issuer only (OpenID Connect Core §5.7).
      if (allow !== undefined && allow.providers === undefined && ids.length > 1)
        context.addIssue({
          code: 'custom',
          path,
          message: `name whose users and groups are meant, of: ${ids.join(', ')}`,
        });
    }
    for (const [kind, values] of [
      ['id', config.auth.providers.map((entry) => entry.id)],
      ['issuer', config.auth.providers.map((entry) => entry.issuer)],
    ] as const)
      for (const [index, value] of values.entries())
        if (values.indexOf(value) !== index)
          context.addIssue({
            code: 'custom',
            path: ['auth', 'providers', index, kind],
            message: `"${value}" is used twice`,
          });
  });

export type Config = z.output<typeof configSchema>;
export type AuthConfig = Config['auth'];
export type RelayConfig = Config['relay'];
export type ProviderConfig = AuthConfig['providers'][number];
export type RuleConfig = AuthConfig['rules'][number];
