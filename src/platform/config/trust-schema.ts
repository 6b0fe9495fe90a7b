import { z } from 'zod';
import { TRUST_PRESET_NAMES } from './trust-presets.ts';
import {
  AT_START,
  addressRange,
  duration,
  groupClaims,
  groupForms,
  headerName,
  httpUrl,
  secretKeys,
  secrets,
} from './values.ts';

const headers = z.strictObject({
  email: headerName.optional().meta({ description: 'header with the e-mail address' }),
  name: headerName.optional().meta({ description: 'header with the name of the person' }),
  groups: headerName.optional().meta({ description: 'header with the groups' }),
  groupsDelimiter: z.enum([',', ';', '|', ' ']).default(',').meta({ description: 'what stands between groups' }),
  payload: headerName.optional().meta({ description: "`istio`: `outputPayloadToHeader` instead of the user's header" }),
  family: z.enum(['x-auth-request', 'x-forwarded']).optional().meta({
    description: '`oauth2-proxy`: the names it sends; absent: either, and a request with both that differ is refused',
  }),
});

const token = z.strictObject({
  issuer: z.string().min(1).optional().meta({
    description: 'expected `iss`; `cloudflare-access`: the team domain, `hyprmcp`: Dex',
  }),
  audiences: z.array(z.string().min(1)).min(1).optional().meta({
    description:
      "accepted `aud`: application tag, client id or host; `aws-alb`: its `client`; one of them must be the token's",
  }),
  dynamicClients: z.boolean().default(false).meta({
    description: '`hyprmcp`: accept the client ids that it registers at Dex as audience too',
  }),
  jwksUrl: httpUrl('the public keys as a JWK Set').optional(),
  signers: z
    .array(
      z
        .string()
        .regex(
          /^arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:loadbalancer\/app\/[\w./-]+$/,
          'must be the ARN of an Application Load Balancer',
        ),
    )
    .min(1)
    .optional()
    .meta({ description: '`aws-alb`: ARNs of the load balancers' }),
  keysUrl: z
    .string()
    .regex(/^https?:\/\/[^{}]+\{kid\}$/, 'must be an http or https URL that ends in {kid}')
    .optional()
    .meta({ description: "`aws-alb`: where keys are, with `{kid}` at the end; absent: that of the ARN's region" }),
  ...secretKeys('secret', secrets('`authentik`: the client secret, where it signs with HS256').optional()),
  claims: z
    .strictObject({
      subject: z
        .string()
        .min(1)
        .default('sub')
        .meta({ description: 'claim with the name that is never given to another user' }),
      username: z
        .string()
        .min(1)
        .default('preferred_username')
        .meta({ description: 'claim with what operators call the user; no rule goes by it' }),
      email: z.string().min(1).default('email').meta({ description: 'claim with the e-mail address' }),
      name: z.string().min(1).default('name').meta({ description: 'claim with the name shown on pages' }),
      groups: groupClaims.prefault('groups').meta({
        description: 'a claim or a list of claims with the groups; dots go into nested objects: `realm_access.roles`',
      }),
      ...groupForms,
    })
    .prefault({})
    .meta({ description: 'which claims hold the identity' }),
  clockTolerance: duration('how far clocks may differ').prefault('30s'),
});

/** Whose word the relay takes, and what they must show. */
export const trustSchema = z.strictObject({
  enabled: z.boolean().default(true).meta({ description: 'believe identity headers of a proven proxy' }),
  proxies: z.array(addressRange).min(1).optional().meta({
    description: 'addresses of the proxy; absent: loopback only, or any where the preset verifies a signature',
  }),
  hops: z
    .int()
    .min(1)
    .max(10)
    .default(1)
    .meta({
      description:
        'entries of `X-Forwarded-For` that your proxies add; for sign-ins to the admin pages, and for the watch where ' +
        'forward-auth is not before the relay',
    }),
  preset: z.enum(TRUST_PRESET_NAMES).optional().meta({
    description:
      'which product speaks for users; absent: `postern`, or what `userHeader` fits, or `headers`: that header alone',
  }),
  userHeader: headerName.optional().meta({
    description: "header with the user; absent: the preset's, for `postern` `X-Authenticated-User`",
  }),
  headers: headers
    .prefault({})
    .meta({ description: 'further headers with the identity, where they differ from the preset’s' }),
  token: token.optional().meta({ description: 'the signed token of the proxy’s product, for presets that verify one' }),
  ...secretKeys('secret', secrets('the proxy must send this text').optional()),
  secretHeader: headerName.default('X-Postern-Proxy-Secret').meta({ description: 'header with that text' }),
  certificates: z
    .strictObject({
      caPath: z
        .string()
        .min(1)
        .optional()
        .meta({
          ...AT_START,
          description: 'PEM file with the authorities of these certificates; absent: relay.tls.clientCaPath',
        }),
      names: z.array(z.string().min(1)).min(1).meta({
        description: 'alternative names, DNS or URI, of which the certificate must hold one',
      }),
    })
    .optional()
    .meta({ description: 'the proxy must show one of these client certificates' }),
  assertion: z
    .strictObject({
      jwksUrl: httpUrl("forward-auth's `/_postern/jwks.json`").optional(),
      jwksPath: z.string().min(1).optional().meta({ description: 'file with the public JWK Set instead' }),
      issuer: z.string().min(1).optional().meta({ description: 'expected `iss`; absent: publicUrl' }),
      audience: z
        .string()
        .min(1)
        .default('postern-relay')
        .meta({ description: 'expected `aud`; the same as auth.assertion.audience' }),
      clockTolerance: duration('how far clocks may differ').prefault('5s'),
    })
    .refine((value) => (value.jwksUrl === undefined) !== (value.jwksPath === undefined), {
      message: 'give exactly one of jwksUrl and jwksPath',
    })
    .optional()
    .meta({ description: 'require and verify the signed assertion' }),
});

export type TrustConfig = z.output<typeof trustSchema>;
export type TrustTokenConfig = NonNullable<TrustConfig['token']>;
