import { z } from 'zod';
import { duration, httpUrl, secret, secretKeys } from './values.ts';

/** What a proxy's `traceparent` may decide. */
export const FROM_PROXY = ['nothing', 'trace', 'sampling'] as const;

/**
 * Reads `name=value,name=value` with percent-encoded values, as OpenTelemetry's environment variables write headers and
 * resource attributes.
 *
 * @returns undefined where the text has another form
 */
export function parsePairs(text: string): Record<string, string> | undefined {
  const pairs: Record<string, string> = {};
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const [, name, value = ''] = /^\s*([^=\s]+)\s*=(.*)$/s.exec(part) ?? [];
    if (name === undefined) return undefined;
    try {
      pairs[name] = decodeURIComponent(value.trim());
    } catch {
      return undefined;
    }
  }
  return pairs;
}

function isHeaders(text: string): boolean {
  const pairs = parsePairs(text);
  return (
    pairs !== undefined &&
    Object.entries(pairs).every(
      ([name, value]) => /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && /^[\x20-\x7e]*$/.test(value),
    )
  );
}

/** Traces over OTLP (https://opentelemetry.io/docs/specs/otlp/), as protobuf by HTTP. */
export const tracingSchema = z.strictObject({
  enabled: z.boolean().default(true).meta({ description: 'false: no traces, although there is an endpoint' }),
  endpoint: httpUrl(
    'OTLP/HTTP address of the collector, such as http://collector:4318; `/v1/traces` is added where it is missing; absent: no traces',
  ).optional(),
  ...secretKeys(
    'headers',
    secret('what the collector wants to see, as `name=value,name=value` with percent-encoded values')
      .refine(isHeaders, 'must be name=value,name=value with percent-encoded values')
      .optional(),
  ),
  caPath: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'PEM file with the certificate authority of the collector' }),
  timeout: duration('until the collector must have taken a batch, repeated attempts included').prefault('10s'),
  serviceName: z.string().min(1).optional().meta({ description: 'absent: `postern-forward-auth` and `postern-relay`' }),
  attributes: z
    .string()
    .refine((text) => parsePairs(text) !== undefined, 'must be name=value,name=value with percent-encoded values')
    .optional()
    .meta({ description: 'said of every span, such as `deployment.environment.name=production`' }),
  sample: z
    .number()
    .min(0)
    .max(1)
    .default(1)
    .meta({ description: 'share of traces that is kept; denials and failures always are' }),
  fromProxy: z.enum(FROM_PROXY).default('trace').meta({
    description:
      'what the `traceparent` of a trusted proxy decides: `nothing`; `trace`: which trace a request belongs to; `sampling`: also whether it is kept, for proxies that write a `traceparent` of their own',
  }),
  maxQueue: z.int().min(1).default(2048).meta({ description: 'spans that wait for the collector; more are dropped' }),
});
