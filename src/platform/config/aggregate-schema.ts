import { z } from 'zod';
import { duration } from './values.ts';

/** All servers as one, at `/mcp`, `/sse` and `/ws`. */
export const aggregateSchema = z.strictObject({
  servers: z.array(z.string()).min(1).meta({
    description:
      'names of the MCP servers in it, in the order of its lists; users who may reach `/mcp` may use all of them unless `relay.policy` says otherwise',
  }),
  separator: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,8}$/, 'must be one to eight letters, digits, "_", "-" or "."')
    .default('__')
    .meta({ description: 'between the name of a server and the name of its tool or prompt' }),
  maxNameLength: z.int().min(16).max(1024).default(128).meta({
    description:
      'characters of a whole name; longer ones are left out of the lists. The protocol allows 128, some clients only 64',
  }),
  timeout: duration(
    'for one server to give its part of a list; then the list comes without it, and the next lists do not wait as long again',
  ).prefault('10s'),
});

type Aggregate = z.output<typeof aggregateSchema>;

/**
 * Servers whose names make no unambiguous beginning: with the separator behind it, a name must not hold the separator any
 * earlier. Whatever a server calls its tools cannot change that.
 */
export function ambiguousServers(servers: Iterable<string>, separator: string): string[] {
  return [...servers].filter((server) => (server + separator).indexOf(separator) !== server.length);
}

/** @param known names of all configured servers */
export function checkAggregate(
  { servers, separator }: Aggregate,
  known: readonly string[],
  issue: (path: Array<string | number>, message: string) => void,
): void {
  for (const [index, server] of servers.entries()) {
    if (!known.includes(server)) issue(['servers', index], `there is no MCP server "${server}" in relay.servers`);
    if (servers.indexOf(server) !== index) issue(['servers', index], `"${server}" is listed twice`);
  }
  for (const server of ambiguousServers(servers, separator))
    issue(
      ['separator'],
      `"${server}${separator}…" could be read in two ways, because "${separator}" begins within it: choose another separator`,
    );
}
