import { ALL_SERVERS } from '../../all-servers.ts';
import type { McpMethod } from '../../protocol/methods.ts';
import type { Refusal } from '../../refusal.ts';

const ALLOW = 'GET, POST, DELETE, OPTIONS';

export type Route =
  | { kind: 'mcp'; server: string; method: McpMethod }
  | { kind: 'options' }
  | { kind: 'refused'; refusal: Refusal };

/** Which transport a path belongs to; what belongs to none is streamable HTTP's to refuse. */
export interface TransportPath {
  readonly transport: 'ws' | 'sse' | 'messages';
  readonly server: string;
  readonly query: URLSearchParams;
}

/** Matches `/servers/<name>/ws`, `…/sse` and `…/messages`, or those of all servers, literally as `matchRoute` does. */
export function matchTransport(target: string): TransportPath | undefined {
  const match = /^(?:\/servers\/([a-z0-9][a-z0-9-]*))?\/(ws|sse|messages)\/?(?:\?(.*))?$/.exec(target);
  if (match === null) return undefined;
  const [, server = ALL_SERVERS, transport, query = ''] = match;
  return { transport: transport as TransportPath['transport'], server, query: new URLSearchParams(query) };
}

/** Where the transports of a server are, or those of all servers as one; what follows is the transport. */
export function pathOf(server: string): string {
  return server === ALL_SERVERS ? '' : `/servers/${server}`;
}

/**
 * Matches `/servers/<name>/mcp` and `/mcp`, each also with a slash behind, as people copy them; otherwise literally: nothing is
 * decoded or normalised, so nothing can be read in two ways.
 */
export function matchRoute(method: string, target: string): Route {
  const query = target.indexOf('?');
  const path = query < 0 ? target : target.slice(0, query);
  const match = /^(?:\/servers\/([a-z0-9][a-z0-9-]*))?\/mcp\/?$/.exec(path);
  const server = match?.[1] ?? ALL_SERVERS;
  if (match === null) return refused(404, 'not_found', 'not found: MCP servers are at /servers/<name>/mcp');
  if (method === 'OPTIONS') return { kind: 'options' };
  if (method !== 'GET' && method !== 'POST' && method !== 'DELETE')
    return refused(405, 'method_not_allowed', `use one of ${ALLOW}`, { Allow: ALLOW });
  if (query >= 0 && new URLSearchParams(target.slice(query)).has('access_token'))
    return { kind: 'refused', refusal: TOKEN_IN_QUERY };
  return { kind: 'mcp', server, method };
}

export const OPTIONS_HEADERS = { Allow: ALLOW, 'Content-Length': '0' };

export const TOKEN_IN_QUERY: Refusal = {
  status: 400,
  reason: 'token_in_query',
  message: 'a token in the query string is not accepted (RFC 9700 §4.3.2)',
};

/** The stateless era has POST only. */
export const MODERN_POST_ONLY: Refusal = {
  status: 405,
  reason: 'method_not_allowed',
  message: 'since 2026-07-28 the protocol uses POST only',
  headers: { Allow: 'POST, OPTIONS' },
};

function refused(
  status: number,
  reason: Refusal['reason'],
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Route {
  return { kind: 'refused', refusal: { status, reason, message, headers } };
}
