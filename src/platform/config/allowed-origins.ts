import type { Config } from './schema.ts';

/** Origins whose pages may use the MCP servers of the relay; every other `Origin` is refused there (MCP, transports: Streamable HTTP, security). */
export function allowedOrigins({ publicUrl, relay }: Pick<Config, 'publicUrl' | 'relay'>): ReadonlySet<string> {
  return new Set([new URL(publicUrl).origin, ...relay.allowedOrigins]);
}
