import { z } from 'zod';
import { readUser } from '../../../identity/user.ts';
import { PosternError } from '../../../platform/errors.ts';
import type { ForwardAuthOperator } from '../forward-auth-operator.ts';
import { Operation } from './operation.ts';
import { userFieldsShape, userFilter } from './user-fields.ts';

const issuer = z.string().min(1).max(1_024).meta({ description: 'of the provider at which they sign in' });
const subject = z.string().min(1).max(1_024);

const filters = z.object({
  user: userFilter.optional(),
  issuer: issuer.optional(),
  subject: subject.optional(),
  after: z.string().max(300).optional().meta({ description: '`next` of the page before' }),
});

const session = z
  .object({
    key: z.string(),
    provider: z.string(),
    ...userFieldsShape,
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
const page = z.object({
  sessions: z.array(session),
  next: z.string().optional().meta({ description: 'where the next page begins' }),
});
const ended = z.object({ ended: z.int().min(0) });

/** Without what is not given: a query has texts only. */
function given(query: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).flatMap(([name, text]) => (text === undefined ? [] : [[name, text]])),
  );
}

/** Sign-in sessions, which are forward-auth's: it is asked for them. */
export function sessionOperations(forwardAuth: ForwardAuthOperator) {
  return {
    listSessions: new Operation(
      {
        id: 'listSessions',
        method: 'GET',
        path: '/sessions',
        summary: 'All browser sessions at forward-auth, or those of a user',
        input: filters,
        output: page,
        problems,
      },
      async (wanted) => page.parse(await forwardAuth.sessions('GET', given(wanted))),
    ),
    endSessions: new Operation(
      {
        id: 'endSessions',
        method: 'DELETE',
        path: '/sessions',
        summary: 'Ends all browser sessions of one person at forward-auth',
        input: filters.pick({ user: true, issuer: true, subject: true }),
        output: ended,
        problems,
      },
      async (whose) => {
        const { user, issuer: at, subject: who } = whose;
        const one = user === undefined ? at !== undefined && who !== undefined : readUser(user).issuer !== '';
        if (!one)
          throw new PosternError(
            'invalid_request',
            'give one user: `user` as listSessions has it, or issuer and subject',
            {
              status: 400,
              expose: true,
            },
          );
        return ended.parse(await forwardAuth.sessions('DELETE', given(whose)));
      },
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
      async ({ key }) => ended.parse(await forwardAuth.sessions('DELETE', { key })),
    ),
  };
}
