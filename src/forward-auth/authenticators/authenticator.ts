import { ABSENT, type Authenticate, type Authentication } from '../decision/authentication.ts';

/**
 * One kind of credential. It answers `absent` for what is not its kind, and throws `DependencyUnavailable` where it
 * cannot tell.
 */
export interface Authenticator {
  authenticate(...asked: Parameters<Authenticate>): Authentication | Promise<Authentication>;
}

/** Asks one after the other until one says more than `absent`. */
export function inOrder(authenticators: readonly Authenticator[]): Authenticate {
  const from = (start: number, ...asked: Parameters<Authenticate>): Authentication | Promise<Authentication> => {
    for (let i = start; i < authenticators.length; i++) {
      const answer = (authenticators[i] as Authenticator).authenticate(...asked);
      if (answer instanceof Promise)
        return answer.then((settled) => (settled.kind === 'absent' ? from(i + 1, ...asked) : settled));
      if (answer.kind !== 'absent') return answer;
    }
    return ABSENT;
  };
  return (...asked) => from(0, ...asked);
}
