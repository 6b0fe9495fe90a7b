import type { CheckRequest } from './request.ts';
import type { Rule } from './rules.ts';

/** Where people sign in, as far as a decision needs to know. */
export interface SignIn {
  /**
   * Address of the sign-in page that leads back to this request.
   *
   * @returns undefined where nobody can sign in for this rule, or the host is none to return to
   */
  urlFor(request: CheckRequest, rule: Rule): string | undefined;
  /** The same for a form that somebody sent: the page first says that it was not taken. */
  urlForForm(request: CheckRequest, rule: Rule): string | undefined;
  /**
   * The page that names the right address, where this one is none at which people can sign in; `expected` are those.
   *
   * @returns undefined where the address is not what is wrong, or nobody can sign in for this rule
   */
  wrongAddressOf(
    request: CheckRequest,
    rule: Rule,
  ): { readonly location: string; readonly expected: string } | undefined;
  /** The page with what a person may use. @param host canonical, perhaps with a port */
  homeUrlFor(host: string): string;
  /** The request's `Origin`, where it is one that may read answers to requests with cookies. */
  corsOriginOf(request: CheckRequest): string | undefined;
  /** Whether our own pages are at this host. @param host canonical, perhaps with a port */
  isAt(host: string): boolean;
}

/**
 * A person's own navigation, which may be redirected; everything else would follow a redirect without a person to sign in.
 * `Sec-Fetch-*` (Fetch Metadata) says so itself; where it is absent, only a GET that wants HTML counts.
 */
export function isNavigation(request: Pick<CheckRequest, 'method' | 'headers'>): boolean {
  return request.method === 'GET' && isForWindow(request);
}

/** A form that a person sent, whose answer the window shows. Only Fetch Metadata tells it from a program. */
export function isFormSubmission(request: Pick<CheckRequest, 'method' | 'headers'>): boolean {
  return request.method === 'POST' && request.headers.get('sec-fetch-mode') === 'navigate' && isForWindow(request);
}

function isForWindow({ headers }: Pick<CheckRequest, 'headers'>): boolean {
  if (headers.get('upgrade') !== undefined) return false;
  const mode = headers.get('sec-fetch-mode');
  if (mode !== undefined && mode !== 'navigate') return false;
  const destination = headers.get('sec-fetch-dest');
  if (destination !== undefined && destination !== 'document') return false;
  if (headers.get('x-requested-with') === 'XMLHttpRequest') return false;
  const accept = headers.get('accept');
  return typeof accept === 'string' && /(?:^|[\s,])text\/html(?:[\s;,]|$)/i.test(accept);
}
