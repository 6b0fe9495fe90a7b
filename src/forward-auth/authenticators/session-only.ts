import { ABSENT, type Authenticate } from '../decision/authentication.ts';
import type { Authenticator } from './authenticator.ts';

/**
 * Where a rule takes sessions only, every other credential is the application's own: it is neither verified nor a conflict
 * beside the session. MCP servers of the relay are not such applications, whatever rule covers them.
 *
 * @param session absent where nobody can sign in
 * @param anyCredential what decides everywhere else
 */
export function sessionOnlyWhereAsked(session: Authenticator | undefined, anyCredential: Authenticate): Authenticate {
  return (request, resource, rule) => {
    if (!rule.sessionOnly || resource.isMcp) return anyCredential(request, resource, rule);
    return session === undefined ? ABSENT : session.authenticate(request, resource, rule);
  };
}
