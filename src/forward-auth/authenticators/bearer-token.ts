import type { Rejected } from '../decision/authentication.ts';
import { type CheckRequest, DUPLICATED } from '../decision/request.ts';

/**
 * The bearer token of a request (RFC 6750 §2.1).
 *
 * @param limit bytes
 * @returns undefined where there is none, or a credential of another scheme
 */
export function readBearerToken(request: CheckRequest, limit: number): string | undefined | Rejected {
  if (request.query !== '' && hasTokenInQuery(request.query))
    return rejected(400, 'credential_in_query', 'a token may not be in the query string (RFC 6750 §2.3)');
  const value = request.headers.get('authorization');
  if (value === undefined) return undefined;
  if (value === DUPLICATED) return rejected(400, 'credential_duplicated', 'Authorization came more than once');
  if (!/^bearer(?: |$)/i.test(value)) return undefined;
  if (value.length > limit + 7) return rejected(431, 'credential_too_large', `a token may have ${limit} bytes`);
  return value.slice(7);
}

function rejected(status: 400 | 431, reason: Exclude<Rejected, { status: 401 }>['reason'], description: string) {
  return { kind: 'rejected', status, reason, description } as const;
}

function hasTokenInQuery(query: string): boolean {
  if (!/token|%/i.test(query)) return false;
  return new URLSearchParams(query).has('access_token');
}
