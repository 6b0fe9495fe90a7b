import { ABSENT, type Authenticate, type Authentication } from '../decision/authentication.ts';
import type { CheckRequest } from '../decision/request.ts';

/**
 * One kind of credential. It answers `absent` for what is not its kind, and throws `DependencyUnavailable` where it
 * cannot tell.
 */
export interface Authenticator {
  authenticate(request: CheckRequest): Authentication | Promise<Authentication>;
}

/** Asks one after the other until one says more than `absent`. */
export function inOrder(authenticators: readonly Authenticator[]): Authenticate {
  const from = (request: CheckRequest, start: number): Authentication | Promise<Authentication> => {
    for (let i = start; i < authenticators.length; i++) {
      const answer = (authenticators[i] as Authenticator).authenticate(request);
      if (answer instanceof Promise)
        return answer.then((settled) => (settled.kind === 'absent' ? from(request, i + 1) : settled));
      if (answer.kind !== 'absent') return answer;
    }
    return ABSENT;
  };
  return (request) => from(request, 0);
}
