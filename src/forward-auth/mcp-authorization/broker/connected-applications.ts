import type { ConnectedApplications } from '../../login/home.ts';
import type { Session } from '../../sessions/session.ts';
import type { Consents } from './consents.ts';
import type { Grant, Grants } from './grants.ts';

/** What people let applications do, for the people themselves: a grant stands and falls with a session of theirs. */
export function connectedApplications(grants: Grants, consents: Consents): ConnectedApplications {
  const list = async (sessions: readonly Session[]): Promise<Grant[]> =>
    (await Promise.all(sessions.map(({ key }) => grants.ofSession(key)))).flat();
  return {
    list,
    revoke: async (sessions, handle) => {
      const grant = (await list(sessions)).find((one) => one.handle === handle);
      if (grant === undefined) return;
      // Otherwise the application would get it back without a question.
      await consents.forget(grant, grant.client);
      await grants.end(grant.id, 'revoked');
    },
  };
}
