import { z } from 'zod';

const text = z.string().optional();

/** A user in an answer, as far as they are known by name. */
export const userFieldsShape = {
  user: z.string().meta({ description: 'issuer and subject: `<issuer>#<subject>`; empty: anonymous' }),
  username: text,
  email: text,
  name: text,
};

/** By which users are found. */
export const userFilter = z
  .string()
  .max(2_048)
  .meta({ description: 'whole: `<issuer>#<subject>`, subject, username, e-mail address or name' });
