import { z } from 'zod';
import type { ForwardAuthSessions } from '../forward-auth-sessions.ts';
import { Operation } from './operation.ts';

const person = z.object({
  issuer: z.string().min(1).max(1_024).meta({ description: 'of the provider at which they sign in' }),
  subject: z.string().min(1).max(1_024),
});

const session = z
  .object({
    key: z.string(),
    provider: z.string(),
    subject: z.string(),
    created: z.string(),
    ends: z.string(),
    userAgent: z.string(),
    address: z.string(),
  })
  .meta({ id: 'Session' });

const problems = {
  404: 'There is no such session, or relay.admin.forwardAuth is not set.',
  502: 'Forward-auth refuses.',
};
const ended = z.object({ ended: z.int().min(0) });

/** Sign-in sessions, which are forward-auth's: it is asked for them. */
export function sessionOperations(sessions: ForwardAuthSessions) {
  return {
    listSessions: new Operation(
      {
        id: 'listSessions',
        method: 'GET',
        path: '/sessions',
        summary: 'The browser sessions of one person at forward-auth',
        input: person,
        output: z.object({ sessions: z.array(session) }),
        problems,
      },
      async ({ issuer, subject }) => ({
        sessions: z.object({ sessions: z.array(session) }).parse(await sessions.ask('GET', { issuer, subject }))
          .sessions,
      }),
    ),
    endSessions: new Operation(
      {
        id: 'endSessions',
        method: 'DELETE',
        path: '/sessions',
        summary: 'Ends all browser sessions of one person at forward-auth',
        input: person,
        output: ended,
        problems,
      },
      async ({ issuer, subject }) => ended.parse(await sessions.ask('DELETE', { issuer, subject })),
    ),
    endSession: new Operation(
      {
        id: 'endSession',
        method: 'DELETE',
        path: '/sessions/{key}',
        summary: 'Ends one browser session at forward-auth',
        input: z.object({ key: z.string().regex(/^[\w-]{1,64}$/) }),
        output: ended,
        problems,
      },
      async ({ key }) => ended.parse(await sessions.ask('DELETE', { key })),
    ),
  };
}
