import { z } from 'zod';
import { LOOPBACK } from '../addresses.ts';
import { anyoneOr } from './anyone-signed-in.ts';
import { brokerSchema } from './broker-schema.ts';
import { INTERNAL_LISTEN } from './config-file.ts';
import { pagesSchema } from './pages-schema.ts';
import { rateLimitsSchema } from './rate-limits-schema.ts';
import { signing } from './signing-schema.ts';
import { listenerTls } from './tls-schema.ts';
import {
  AT_START,
  AT_START_OF_BOTH,
  address,
  addressRange,
  duration,
  groupClaims,
  groupForms,
  headerName,
  httpUrl,
  issuerUrl,
  JWS_ALGORITHMS,
  optionalSection,
  pathGlob,
  scope,
  secret,
  secretFile,
  secretKeys,
  secrets,
  size,
} from './values.ts';
import { workers } from './workers-schema.ts';

const claims = z
  .strictObject({
    subject: z.string().default('sub').meta({
      description: 'claim with the name that the provider never gives to another user; rules for `users` go by it',
    }),
    username: z
      .string()
      .default('preferred_username')
      .meta({ description: 'what operators call the user, for logs, lists and commands; no rule goes by it' }),
    email: z.string().default('email').meta({ description: 'claim with the e-mail address' }),
    name: z.string().default('name').meta({ description: 'claim with the name shown on pages' }),
    groups: groupClaims.prefault('groups').meta({
      description:
        'a claim or a list of claims; dots go into nested objects: `realm_access.roles`. A text, a list of texts or of objects, or an object whose members are the groups',
    }),
    ...groupForms,
    scopes: z
      .array(z.string())
      .default(['scope', 'scp'])
      .meta({ description: 'claims that hold scopes, as a space-separated text or a list' }),
  })
  .meta({ description: 'where in a token to look for what' });

const provider = z.strictObject({
  id: z
    .string()
    .regex(/^[a-z0-9-]+$/, 'must be lower-case letters, digits and hyphens')
    .meta({ description: 'your name for the provider, in rules, logs and addresses of the sign-in' }),
  issuer: issuerUrl('issuer identifier, exactly as in the `iss` claim (RFC 8414 §2)'),
  discoveryUrl: httpUrl(
    'address of the discovery document, where Postern reaches the provider by another one than its issuer: also keys, tokens and userinfo at the issuer’s origin are then asked for at the origin of this address. The issuer is compared as ever',
  ).optional(),
  jwksUri: httpUrl('where the keys are; absent: found by OpenID Connect Discovery').optional(),
  audiences: z.array(z.string().min(1)).default([]).meta({
    description:
      'accepted `aud` values beside the resource itself, good at every server and host, for providers without RFC 8707',
  }),
  serverAudiences: z
    .record(z.string(), z.array(z.string().min(1)).min(1))
    .default({})
    .meta({
      description:
        'accepted `aud` values by server, where each has its own at the provider; another host is named by its origin, such as `https://grafana.example.com`, and its tokens need that `aud` or one from here',
    }),
  authorizedParties: z.array(z.string().min(1)).default([]).meta({
    description:
      'clients whose tokens are accepted (`azp`, `client_id`, `appid`, `cid`; all that a token has); empty: all',
  }),
  clientAsAudience: z.boolean().default(false).meta({
    description:
      'a JWT without `aud` counts as made for the client that it names, which `audiences` or `serverAudiences` must list; needs authorizedParties. Every token of such a client is good there, whatever it was asked for',
  }),
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
  name: z.string().min(1).optional().meta({ description: 'what people choose on the sign-in page; absent: the id' }),
  clientId: z.string().min(1).optional().meta({ description: 'our client there; with it, people can sign in' }),
  ...secretKeys(
    'clientSecret',
    secret('secret of our client; better in a file').optional(),
    secretFile('watched', 'file with the secret of our client'),
  ),
  clientAuthentication: z
    .enum(['client_secret_basic', 'client_secret_post', 'none'])
    .optional()
    .meta({ description: 'absent: client_secret_basic with a secret, none without' }),
  scopes: z
    .array(scope)
    .default(['openid', 'profile', 'email'])
    .meta({ description: 'asked for at sign-in; add `offline_access` where a refresh token needs it' }),
  authorizationParameters: z
    .record(z.string(), z.string())
    .default({})
    .meta({ description: 'added to the authorization request, such as `prompt` or `audience`' }),
  userinfo: z
    .enum(['overage', 'always', 'never'])
    .default('overage')
    .meta({ description: 'when the userinfo endpoint is asked: `overage` where the token only points to the groups' }),
  allowedEmails: z
    .array(z.string().regex(/^[^@\s]+@[^@\s]+$/, 'must be an e-mail address'))
    .default([])
    .meta({ description: 'who may sign in, by verified address; empty with `allowedDomains` empty: everybody' }),
  allowedDomains: z
    .array(z.string().regex(/^[^@\s]+$/, 'must be a domain without @'))
    .default([])
    .meta({ description: 'whose verified addresses may sign in; exactly this domain, not those below it' }),
  trustEmails: z.boolean().default(false).meta({
    description:
      'addresses count for allowedEmails and allowedDomains although this provider sends no `email_verified`, as Entra does; only if users cannot choose their own address there. `email_verified: false` never counts',
  }),
  introspection: optionalSection('take opaque tokens and ask the provider (RFC 7662)', {
    url: httpUrl('absent: found by discovery').optional(),
    tokens: z.array(z.string().min(1)).optional().meta({
      description:
        'globs of its opaque tokens, such as `gho_*`; absent: any; empty: JWTs alone. Needed where a rule takes several providers that are asked',
    }),
    entryLifetime: duration('how long a result is reused, never past `exp`').prefault('30s'),
    maxEntries: z.int().min(1).default(10_000).meta({ description: 'results kept' }),
  }),
});

const sessions = z.strictObject({
  idleTimeout: duration('ends a session that is not used').prefault('8h'),
  absoluteLifetime: duration('ends every session').prefault('24h'),
  cookie: z
    .string()
    .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, 'must be a cookie name')
    .default('__Host-postern')
    .meta({ description: 'name of the session cookie' }),
  cookieDomains: z
    .array(z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be a lower-case domain'))
    .default([])
    .meta({ description: 'the cookie goes to these domains and all below; needs a name without `__Host-`' }),
  sameSite: z.enum(['lax', 'strict', 'none']).default('lax').meta({
    description:
      'with `strict` a link from another site first shows a page of ours that opens it again, because the cookie does not come with such a link',
  }),
  partitioned: z.boolean().default(false).meta({ description: 'CHIPS, for pages embedded in others' }),
  keys: secret(
    'encrypt sessions: 32 bytes as base64url, several by comma or line; the first seals, all open. Absent: made at start',
  ).optional(),
  keysPath: secretFile(
    'watched',
    'file with those keys, one a line; needed for several replicas and to keep sessions over a restart',
  ),
  refreshBefore: duration(
    'an access token is renewed so long before it expires, or up to half of that later: beside requests, and not of all people at once',
  ).prefault('60s'),
  outageTimeout: duration(
    'ends a session whose refreshes have failed for so long without an answer of the provider, from the first failed refresh to the last; `0s`: at the first',
  ).prefault('1h'),
  maxSessions: z
    .int()
    .min(1)
    .default(100_000)
    .meta({ ...AT_START_OF_BOTH, description: 'sessions in memory where there is no Redis' }),
  maxBytes: size('of those; where there are more, the least recently used are ended').prefault('48MiB').meta(AT_START),
  cache: z
    .strictObject({
      maxEntries: z.int().min(0).default(10_000).meta({ description: 'sessions remembered by each process' }),
      maxBytes: size('of all of them, with the tokens of their providers').prefault('24MiB'),
      entryLifetime: duration('how long without asking Redis; revocation reaches it sooner').prefault('30s'),
    })
    .prefault({})
    .meta({ description: 'sessions of Redis that each process remembers' }),
});

const clientCertificates = z.strictObject({
  header: z.enum(['none', 'x-forwarded-client-cert', 'client-cert']).default('none').meta({
    description:
      'where a trusted proxy puts the certificate it verified (Envoy’s XFCC with SANITIZE_SET, or RFC 9440); it must remove what a client sends there',
  }),
  subject: z
    .enum(['uri', 'dns', 'email', 'common-name'])
    .default('uri')
    .meta({ description: 'which name of the certificate is the user' }),
  issuer: z.string().min(1).default('mtls').meta({ description: 'issuer of such identities, for rules and headers' }),
  allowedNames: z
    .array(z.string().min(1))
    .default([])
    .meta({ description: 'globs of accepted names; empty: every certificate that the proxy verified' }),
});

const origin = httpUrl('an origin').regex(
  /^https?:\/\/[^/?#]+$/,
  'must be an origin, such as https://apps.example.org',
);

/** Whose identity headers an allow can carry beside ours. */
/** Proxies that ask forward-auth, by the names of their endpoints; `envoy-grpc` asks over gRPC. */
export const PROXY_NAMES = ['traefik', 'caddy', 'nginx', 'envoy', 'envoy-grpc'] as const;

export const EMITTED_PRESETS = ['oauth2-proxy', 'authelia', 'x-forwarded-user', 'grafana'] as const;

const rule = z
  .strictObject({
    match: z
      .strictObject({
        path: pathGlob.optional(),
        host: z.string().min(1).optional().meta({ description: '`*.example.com` matches one label' }),
        methods: z
          .array(z.string().regex(/^[A-Z]+$/, 'must be an upper-case HTTP method'))
          .min(1)
          .optional()
          .meta({ description: 'HTTP methods; absent: every method' }),
        context: z.record(z.string(), z.string()).optional().meta({
          description: 'what Envoy says of the route over gRPC (`context_extensions`); no other proxy matches it',
        }),
      })
      .meta({ description: 'all that is given must match' }),
    public: z.boolean().default(false).meta({ description: 'let everybody through, as anonymous' }),
    encodedDelimiters: z.boolean().default(false).meta({
      description:
        'take paths with one layer of encoded delimiters (`%2F`, `%3F`, `%23`, `%25`, `%3B`), such as `/@types%2fnode`, where every way to read them leads to this rule; `match.path` must be everything below a path (`/packages/**`)',
    }),
    sessionOnly: z.boolean().default(false).meta({
      description:
        'for applications with bearer tokens or API keys of their own: only the session of a browser signs in here; `Authorization`, `?access_token=`, API keys and client certificates are not looked at and reach the application as they were sent. Never at the MCP endpoints of the relay',
    }),
    allow: anyoneOr(
      z.strictObject({
        users: z.array(z.string().min(1)).min(1).optional().meta({ description: 'subjects' }),
        groups: z.array(z.string().min(1)).min(1).optional().meta({ description: 'members of one of these groups' }),
        providers: z.array(z.string().min(1)).min(1).optional().meta({
          description:
            'and known from one of these providers, `api-keys` or `mtls` (client certificates); needed where there are several',
        }),
      }),
    )
      .optional()
      .meta({
        description:
          'who may: one of these users, or in one of these groups, or `anyone-signed-in`; needed unless `public`',
      }),
    signIn: z
      .strictObject({
        providers: z.array(z.string().min(1)).min(1).optional().meta({ description: 'offered here; absent: all' }),
        redirect: z.boolean().default(true).meta({ description: 'send people to sign in; false: 401 for everybody' }),
      })
      .optional()
      .meta({ description: 'how people without a session sign in at this rule; absent: with any provider' }),
    emit: z.array(z.enum(EMITTED_PRESETS)).default([]).meta({
      description:
        'identity headers of other products, beside our own; they name no provider, so `allow.providers` names one where there are several',
    }),
    scopes: z
      .strictObject({
        default: z.array(scope).default([]).meta({ description: 'needed for every request' }),
        methods: z.record(z.string(), z.array(scope)).default({}).meta({ description: 'by MCP method, with globs' }),
        tools: z.record(z.string(), z.array(scope)).default({}).meta({ description: 'by MCP tool, with globs' }),
        prompts: z.record(z.string(), z.array(scope)).default({}).meta({ description: 'by MCP prompt, with globs' }),
        resources: z
          .record(z.string(), z.array(scope))
          .default({})
          .meta({ description: 'by URI of the MCP resource, with globs' }),
      })
      .prefault({})
      .meta({ description: 'OAuth scopes that a request needs: always, and by method, tool, prompt and resource' }),
  })
  .refine((value) => !value.public || value.allow === undefined, {
    message: 'a public rule lets everybody through; remove `allow` or `public`',
    path: ['allow'],
  })
  .refine((value) => !value.public || !value.sessionOnly, {
    message: 'a public rule asks for no session; remove `sessionOnly` or `public`',
    path: ['sessionOnly'],
  })
  .refine(({ encodedDelimiters, match }) => !encodedDelimiters || /^(?:[^*]*\/\*\*)?$/.test(match.path ?? ''), {
    message:
      'needs a `match.path` without `*` that ends in /**, such as /packages/**: of other paths it depends on how the slash is read',
    path: ['encodedDelimiters'],
  });

export const authSchema = z.strictObject({
  listen: address('where proxies call forward-auth').prefault('127.0.0.1:4180').meta(AT_START),
  internalListen: address('health and metrics').prefault(INTERNAL_LISTEN.auth).meta(AT_START),
  workers,
  tls: listenerTls.optional().meta(AT_START),
  proxy: z.enum(PROXY_NAMES).optional().meta({
    description:
      'the proxy that asks: `postern explain` shows its answer alone. Every proxy’s endpoint is served all the same',
  }),
  trustedProxies: z
    .array(addressRange)
    .default([...LOOPBACK])
    .meta({ description: 'peers whose forwarded headers are believed; everybody else is refused' }),
  trustedCertificates: z.array(z.string().min(1)).min(1).optional().meta({
    description:
      'alternative names, DNS or URI, of which the client certificate of such a peer must hold one; needs auth.tls.clientCertificate: require',
  }),
  trustedHops: z.int().min(1).default(1).meta({
    description: 'proxies that add to X-Forwarded-For: 1 is the one that asks, 2 with a load balancer in front of it',
  }),
  providers: z.array(provider).default([]).meta({ description: 'whose tokens are accepted' }),
  rules: z.array(rule).default([]).meta({ description: 'the first match decides; no match: deny' }),
  originMetadata: z.string().min(1).optional().meta({
    description:
      'id of a provider whose authorization server metadata is handed on at the origin of `publicUrl`, for MCP clients of 2025-03-26, which look there; not beside the broker',
  }),
  hiddenOperations: z.enum(['all-scopes', 'relay']).default('all-scopes').meta({
    description:
      'what a request to a server of the relay needs whose body alone tells the tool (revisions before 2026-07-28, WebSocket): every scope of its rule, or the default ones, and the relay, which must verify assertions, asks for the rest',
  }),
  scopeHierarchy: z
    .record(scope, z.array(scope))
    .default({})
    .meta({ description: 'a scope and the narrower ones it implies: `mcp:admin: [mcp:use]`' }),
  broker: brokerSchema,
  assertion: z
    .strictObject({
      audience: z
        .string()
        .min(1)
        .default('postern-relay')
        .meta({ description: '`aud` of the assertion; the same as relay.trust.assertion.audience' }),
      ...signing,
    })
    .prefault({})
    .meta({ description: 'the signed statement about the user that forward-auth hands to the relay' }),
  sessions: sessions.prefault({}).meta({ description: 'sessions of people in browsers, and their cookie' }),
  signIn: z
    .strictObject({
      origins: z
        .array(origin)
        .default([])
        .meta({ description: 'further addresses at which people sign in, one for each cookie domain' }),
      allowedReturnHosts: z.array(z.string().min(1)).default([]).meta({
        description: 'hosts to return to beside `publicUrl` and `origins`; `*.example.com` matches one label',
      }),
      corsOrigins: z.array(origin).default([]).meta({
        description:
          'origins of single-page apps, as browsers send them, such as `https://app.example.org`: they may read a 401 with credentials, and their preflights pass to the application at every path of a rule',
      }),
      attemptLifetime: duration('until a person must have come back from the provider').prefault('10m'),
    })
    .prefault({})
    .meta({ description: 'where people sign in, and where they may return to' }),
  pages: pagesSchema.prefault({}).meta({ description: 'name, logo, colors and texts of the pages for people' }),
  ...secretKeys(
    'operatorToken',
    secrets('lets an operator list and end sessions on the internal listener; absent: no one can').optional(),
  ),
  rateLimits: rateLimitsSchema,
  rateLimitsWithoutRedis: z
    .enum(['local', 'refuse'])
    .default('local')
    .meta({ ...AT_START_OF_BOTH, description: 'while Redis is away: count in each process, or answer 503' }),
  apiKeys: optionalSection('take API keys, made by `postern api-keys create`', {
    header: headerName.default('X-API-Key').meta({ description: 'beside `Authorization: Bearer`' }),
    cacheLifetime: duration('how long a key is believed without asking Redis').prefault('30s'),
  }),
  clientCertificates: clientCertificates
    .prefault({})
    .meta({ description: 'sign-in by a client certificate that the proxy verified; off while `header` is `none`' }),
  grpc: address('Envoy’s gRPC ext_authz; absent: not served').optional().meta(AT_START),
  emit: z
    .strictObject({
      groupsDelimiter: z
        .string()
        .regex(/^[,;| ]$/, 'must be one of , ; | and a space')
        .default(',')
        .meta({ description: 'between groups in headers of other products; Grafana’s own is always a comma' }),
    })
    .prefault({})
    .meta({ description: 'form of the identity headers of other products, which `emit` of a rule names' }),
  tokenCache: z
    .strictObject({
      maxEntries: z.int().min(0).default(10_000).meta({ description: 'verified tokens kept' }),
      maxBytes: size('of all of them, and again of what introspection says').prefault('24MiB'),
      entryLifetime: duration('how long a result is reused, never past `exp`').prefault('5m'),
    })
    .prefault({})
    .meta({ description: 'results of token checks that each process remembers' }),
  limits: z
    .strictObject({
      maxHeaders: size('all request headers together').prefault('32KiB').meta(AT_START),
      maxToken: size('one token').prefault('16KiB'),
      maxIdentity: size(
        'what is known of one person, groups above all; more is refused at sign-in and at each check. The relay and the proxy must carry it: `relay.limits.maxIdentity`',
      ).prefault('8KiB'),
      queueTimeout: duration(
        'under overload, a credential that was not seen before waits at most so long for its turn; newer ones are answered 503 meanwhile, and known ones pass them by',
      )
        .prefault('500ms')
        .meta(AT_START),
    })
    .prefault({})
    .meta({ description: 'largest sizes of requests and tokens, and the longest wait under overload' }),
});
