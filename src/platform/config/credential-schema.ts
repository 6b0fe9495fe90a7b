import { z } from 'zod';
import {
  AT_START,
  addressRange,
  duration,
  headerName,
  httpUrl,
  keysFile,
  scope,
  secret,
  secretFile,
  secretKeys,
} from './values.ts';

/** Where a secret within a map comes from, which has no environment variable of its own; a text is the secret itself. */
const secretPlace = (what: string) =>
  z
    .union(
      [
        secret(`${what}, in this file`).transform((value) => ({ value })),
        z
          .strictObject({
            value: secret(`${what}, in this file`).optional(),
            env: z
              .string()
              .min(1)
              .optional()
              .meta({ description: `environment variable that holds ${what}` }),
            path: z
              .string()
              .min(1)
              .optional()
              .meta({ description: `file that holds ${what}; read again when it changes` }),
          })
          .refine(({ value, env, path }) => [value, env, path].filter((given) => given !== undefined).length === 1, {
            message: 'give exactly one of value, env and path',
          }),
      ],
      { error: 'must be the secret as a text, or a map with exactly one of value, env and path' },
    )
    .meta({ secret: true });

const secretPlaceKeys = <Name extends string, Value extends z.ZodType>(name: Name, what: string, value: Value) =>
  secretKeys(name, value, secretFile('place', `file that holds ${what}, instead; read again when it changes`));

const client = {
  issuer: httpUrl('issuer of the authorization server, as its metadata says it'),
  clientId: z.string().min(1).meta({ description: '`client_id` of the relay at the authorization server' }),
  ...secretPlaceKeys(
    'clientSecret',
    "the client's secret",
    secretPlace("the client's secret").optional().meta({ description: 'absent: a public client' }),
  ),
  authentication: z
    .enum(['client_secret_basic', 'client_secret_post'])
    .default('client_secret_basic')
    .meta({ description: 'how the relay shows its secret (OpenID Connect Core §9)' }),
  scopes: z.array(scope).default([]).meta({ description: 'scopes asked for' }),
  sendResource: z.boolean().default(true).meta({
    description: 'send `resource` (RFC 8707); false for servers that refuse it, such as Entra',
  }),
};

const connection = z
  .strictObject({
    name: z.string().min(1).max(80).optional().meta({ description: "the provider's name on the page" }),
    ...client,
    issuer: client.issuer.optional().meta({
      description: 'issuer of the provider; absent: what the protected-resource metadata of the server names',
    }),
    clientId: client.clientId.optional().meta({ description: 'absent: the relay registers itself (RFC 7591)' }),
  })
  .superRefine(({ issuer, clientId, clientSecret }, context) => {
    // A secret goes to nobody whom only the MCP server named.
    if (clientId !== undefined && issuer === undefined)
      context.addIssue({ code: 'custom', path: ['issuer'], message: 'needed with clientId' });
    if (clientSecret !== undefined && clientId === undefined)
      context.addIssue({ code: 'custom', path: ['clientId'], message: 'needed with clientSecret' });
  });

/** Accounts that people connect. */
export const connections = z.strictObject({
  keys: secret('keys that seal what is kept, each 32 bytes as base64url, by comma; the first seals, all open')
    .optional()
    .meta(AT_START),
  keysPath: keysFile('file with those keys, one a line').meta(AT_START),
  idleLifetime: duration('how long a connection is kept without being renewed').prefault('90d'),
  attemptLifetime: duration('how long connecting may take').prefault('10m'),
});

/** What the relay may ask on its own for tokens. */
export const authorizationServers = z.strictObject({
  allowedRanges: z.array(addressRange).default([]).meta({
    description:
      'private addresses of authorization servers that only their MCP server names; configured issuers need none',
  }),
  caPath: z.string().min(1).optional().meta({ description: 'PEM file with authorities beside those of the system' }),
});

export const upstreamCredential = z
  .strictObject({
    ...secretPlaceKeys(
      'bearer',
      'the token',
      secretPlace('the token').optional().meta({ description: 'a fixed bearer token' }),
    ),
    basic: z
      .strictObject({
        user: z
          .string()
          .regex(/^[^:\p{Cc}]+$/u, 'must be a name without colon (RFC 7617 §2)')
          .meta({ description: 'user name at the MCP server' }),
        ...secretPlaceKeys(
          'password',
          'the password',
          secretPlace('the password').meta({ description: 'password of `user`' }),
        ),
      })
      .optional()
      .meta({ description: 'user and password' }),
    header: z
      .strictObject({
        name: headerName.meta({ description: 'name of the header' }),
        ...secretPlaceKeys(
          'value',
          'the value',
          secretPlace('the value').meta({ description: 'what the header says' }),
        ),
      })
      .optional()
      .meta({ description: 'any other header with a fixed value' }),
    clientCredentials: z
      .strictObject(client)
      .optional()
      .meta({ description: 'a token for the relay itself (RFC 6749 §4.4)' }),
    tokenExchange: z
      .strictObject({
        ...client,
        audience: z.string().min(1).optional().meta({ description: '`audience` (RFC 8693 §2.1)' }),
      })
      .optional()
      .meta({ description: 'a token for each person, in exchange for a statement that the relay signs (RFC 8693)' }),
    connection: connection.optional().meta({ description: 'an account that each person connects once, at `/connect`' }),
  })
  .refine((kinds) => Object.values(kinds).filter((kind) => kind !== undefined).length === 1, {
    message: 'give exactly one kind of credential',
  });
