/** What a server needs of the client's request. Everything else stays here, credentials and identity above all. */
const ALLOWED: ReadonlySet<string> = new Set([
  'accept',
  'last-event-id',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-request-id',
]);
const MAX_REMEMBERED = 1000;
const remembered = new Map<string, boolean>();

/**
 * The headers for the server, flat as undici takes them. An allow-list: a name that nobody thought of does not pass.
 *
 * @param sessionId the server's own session id, in place of the sealed one
 * @param hasBody whether a message goes with it, which has been read as UTF-8 and is named so
 */
export function upstreamRequestHeaders(
  rawHeaders: readonly string[],
  sessionId: string | undefined,
  hasBody: boolean,
): string[] {
  const headers: string[] = hasBody ? ['content-type', 'application/json'] : [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    if (passes(name)) headers.push(name, rawHeaders[index + 1] as string);
  }
  if (sessionId !== undefined) headers.push('mcp-session-id', sessionId);
  return headers;
}

/** Whether every server gets it. @param name lower case */
export function passesAlways(name: string): boolean {
  return ALLOWED.has(name) || (name.startsWith('mcp-') && name !== 'mcp-session-id');
}

function passes(received: string): boolean {
  const known = remembered.get(received);
  if (known !== undefined) return known;
  const allowed = passesAlways(received.toLowerCase());
  if (remembered.size < MAX_REMEMBERED) remembered.set(received, allowed);
  return allowed;
}
