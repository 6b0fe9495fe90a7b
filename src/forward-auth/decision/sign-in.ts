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
