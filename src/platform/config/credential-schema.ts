import { z } from 'zod';
import { headerName, secret } from './values.ts';

/** A secret within a map, which has no environment variable of its own. */
const secretLocation = (what: string) =>
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
    });

export const upstreamCredential = z
  .strictObject({
    bearer: secretLocation('the token').optional().meta({ description: 'a fixed bearer token' }),
    basic: z
      .strictObject({
        user: z.string().regex(/^[^:\p{Cc}]+$/u, 'must be a name without colon (RFC 7617 §2)'),
        password: secretLocation('the password'),
      })
      .optional()
      .meta({ description: 'user and password' }),
    header: z
      .strictObject({ name: headerName, value: secretLocation('the value') })
      .optional()
      .meta({ description: 'any other header with a fixed value' }),
  })
  .refine((kinds) => Object.values(kinds).filter((kind) => kind !== undefined).length === 1, {
    message: 'give exactly one kind of credential',
  });
