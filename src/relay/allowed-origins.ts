import type { Config } from '../platform/config/schema.ts';

/** Origins whose pages may use the relay. */
export function allowedOrigins({ publicUrl, relay }: Pick<Config, 'publicUrl' | 'relay'>): ReadonlySet<string> {
  return new Set([new URL(publicUrl).origin, ...relay.allowedOrigins]);
}
