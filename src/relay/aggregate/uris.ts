import type { ServersOwn } from './names.ts';

const MARK = 'mcp-';
/** MCP Apps know their pages by this scheme, so it has to stay the first. */
const PAGES = 'ui://';

/**
 * A resource of one server among those of several: the server is put before the scheme, `mcp-<server>+<uri>`, and stays a
 * valid URI with that (RFC 3986 §3.1). A template stays one too (RFC 6570): what is put in front is literal, so what a client
 * makes of it still begins with it. Two servers may have the same URI, and one may have a URI that looks like another's.
 */
export function uriToClient(server: string, uri: string): string {
  const mark = `${MARK}${server}+`;
  return uri.startsWith(PAGES) ? PAGES + mark + uri.slice(PAGES.length) : mark + uri;
}

/** @returns undefined where no server could be meant; whether there is such a server is for the caller to see */
export function uriToServer(uri: string): ServersOwn | undefined {
  const scheme = uri.startsWith(PAGES) ? PAGES : '';
  const match = /^mcp-([a-z0-9][a-z0-9-]*)\+(.*)$/s.exec(uri.slice(scheme.length));
  if (match === null) return undefined;
  const [, server = '', rest = ''] = match;
  // Only one spelling of each: what was marked behind the scheme comes back behind the scheme.
  if (scheme === '' && rest.startsWith(PAGES)) return undefined;
  return { server, name: scheme + rest };
}
