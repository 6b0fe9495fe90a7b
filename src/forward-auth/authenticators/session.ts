import { credentialHandle } from '../../identity/credential.ts';
import { ABSENT, type Authenticated, type Authentication, type Rejected } from '../decision/authentication.ts';
import { type CheckRequest, DUPLICATED } from '../decision/request.ts';
import type { Session, Sessions, Visit } from '../sessions/session.ts';
import type { Authenticator } from './authenticator.ts';
import { IdentityPool } from './identity-pool.ts';

const DUPLICATED_HEADER: Rejected = {
  kind: 'rejected',
  status: 400,
  reason: 'credential_duplicated',
  description: 'Cookie came more than once',
};

/** No cookie is removed: which of them is ours cannot be told, and another path's cannot be reached. */
const CONFLICT: Rejected = {
  kind: 'rejected',
  status: 400,
  reason: 'credential_conflict',
  description: 'two different session cookies came; delete the cookies of this site and sign in again',
};

/** Browser sessions. A store that is away throws: the cookie stays as it is. */
export class SessionAuthenticator implements Authenticator {
  readonly #sessions: Sessions;
  readonly #identities = new IdentityPool();
  /** One answer for each session, as long as it is remembered. */
  readonly #answers = new WeakMap<Session, Authenticated>();

  constructor(sessions: Sessions) {
    this.#sessions = sessions;
  }

  authenticate(request: CheckRequest): Authentication | Promise<Authentication> {
    const header = request.headers.get('cookie');
    if (header === undefined) return ABSENT;
    if (header === DUPLICATED) return DUPLICATED_HEADER;
    const visit = this.#sessions.visit(header, request.host);
    return visit instanceof Promise
      ? visit.then((settled) => this.#judge(settled, request.host))
      : this.#judge(visit, request.host);
  }

  #judge(visit: Visit, host: string): Authentication {
    switch (visit.kind) {
      case 'absent':
        return ABSENT;
      case 'conflict':
        return CONFLICT;
      case 'ended':
        return {
          kind: 'rejected',
          status: 401,
          reason: 'session_ended',
          description: 'the session has ended; sign in again',
          cookies: this.#sessions.removal(host),
        };
      case 'live': {
        const answer = this.#answerFor(visit.session);
        return visit.cookies === undefined ? answer : { ...answer, cookies: visit.cookies };
      }
      default:
        return visit satisfies never;
    }
  }

  #answerFor(session: Session): Authenticated {
    let answer = this.#answers.get(session);
    if (answer === undefined) {
      const credential = { handle: credentialHandle('session', session.key), expiresAt: session.endsAt };
      answer = { kind: 'identity', identity: this.#identities.intern(session.identity), credential };
      this.#answers.set(session, answer);
    }
    return answer;
  }
}
