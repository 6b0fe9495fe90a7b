import { z } from 'zod';

/** RFC 6749 §3.3. */
const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'must be a scope: no spaces or quotes');
/** Nothing that ends a header field or a line of a log. */
const plain = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, 'must have no control characters');

/** What an operator says about a new key. */
export const newApiKeySchema = z.strictObject({
  subject: plain,
  name: plain.or(z.literal('')).default(''),
  groups: z.array(plain).max(100).default([]),
  scopes: z.array(scope.max(255)).max(100).default([]),
  /** Unix time in milliseconds. */
  expiresAt: z.int().min(0).optional(),
  /** Names of the MCP servers it is good for; absent: for everything. */
  servers: z.array(plain).min(1).max(100).optional(),
});

/** What is kept about a key. Never the key: only the hash of its secret. */
export const apiKeyRecordSchema = newApiKeySchema.extend({
  id: z.string(),
  createdAt: z.int(),
  /** SHA-256 of the secret as base64url. */
  secretHash: z.string().length(43),
});

export type ApiKeyRecord = z.output<typeof apiKeyRecordSchema>;

/** A key as operators see it. */
export type ApiKeyListing = Omit<ApiKeyRecord, 'secretHash'> & {
  /** What the key starts with, for the one who looks for it in a configuration. */
  readonly prefix: string;
};
