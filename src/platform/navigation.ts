import type { IncomingHttpHeaders } from 'node:http';

/** As much of a request as tells a person's window from a program. */
export interface WindowRequest {
  readonly method?: string | undefined;
  readonly headers: { get(name: string): unknown };
}

/**
 * A person's own navigation, which may be redirected and is answered with a page; a program would follow a redirect without a
 * person to sign in. `Sec-Fetch-*` (Fetch Metadata) says so itself; if it is absent, only a GET that wants HTML counts.
 */
export function isNavigation(request: WindowRequest): boolean {
  return request.method === 'GET' && isForWindow(request);
}

/** A form that a person sent, whose answer the window shows. Only Fetch Metadata tells it from a program. */
export function isFormSubmission(request: WindowRequest): boolean {
  return request.method === 'POST' && request.headers.get('sec-fetch-mode') === 'navigate' && isForWindow(request);
}

function isForWindow({ headers }: WindowRequest): boolean {
  if (headers.get('upgrade') !== undefined) return false;
  const mode = headers.get('sec-fetch-mode');
  if (mode !== undefined && mode !== 'navigate') return false;
  const destination = headers.get('sec-fetch-dest');
  if (destination !== undefined && destination !== 'document') return false;
  if (headers.get('x-requested-with') === 'XMLHttpRequest') return false;
  const accept = headers.get('accept');
  if (typeof accept !== 'string') return false;
  // No window shows a stream of events; an MCP client asks for nothing without it.
  return accepts(accept, 'text/html') && !accepts(accept, 'text/event-stream');
}

function accepts(accept: string, type: string): boolean {
  return accept.split(',').some((part) => part.split(';', 1)[0]?.trim().toLowerCase() === type);
}

/** A person asked, with a link or a form. */
export function isForPerson(request: WindowRequest): boolean {
  return isNavigation(request) || isFormSubmission(request);
}

/** The fields of a request as Node parsed them, to be asked for by their lower-case names. */
export function fieldsOf(headers: IncomingHttpHeaders): WindowRequest['headers'] {
  return { get: (name) => headers[name] };
}
