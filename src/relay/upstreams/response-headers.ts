import type { IncomingHttpHeaders } from 'node:http';

/** What a client may learn from a server's response. Its cookies and challenges are not for the client. */
const ALLOWED: ReadonlySet<string> = new Set([
  'content-type',
  'content-encoding',
  'content-length',
  'cache-control',
  'retry-after',
  'allow',
]);

/**
 * The headers for the client, flat as `writeHead` takes them.
 *
 * @param stream whether the response is an event stream, which no proxy may buffer, change or keep
 * @param seal turns the server's session id into the client's
 */
export function clientResponseHeaders(
  headers: IncomingHttpHeaders,
  stream: boolean,
  seal: (upstreamId: string) => string,
): string[] {
  const flat: string[] = ['x-content-type-options', 'nosniff'];
  if (stream) flat.push('cache-control', 'no-cache, no-transform', 'x-accel-buffering', 'no');
  for (const name in headers) {
    const value = headers[name];
    if (typeof value !== 'string') continue;
    if (name === 'mcp-session-id') flat.push(name, seal(value));
    else if (stream && (name === 'cache-control' || name === 'content-length')) continue;
    else if (ALLOWED.has(name) || name.startsWith('mcp-')) flat.push(name, value);
  }
  return flat;
}
