import { badRequest, notFound, type OperatorAnswer, type OperatorRoute } from '../../platform/operator-api.ts';
import type { Session, Sessions } from '../sessions/session.ts';

/** What is said about a session; never a token. Times are ISO 8601. */
export interface ListedSession {
  readonly key: string;
  readonly provider: string;
  readonly subject: string;
  readonly created: string;
  readonly ends: string;
  readonly userAgent: string;
  readonly address: string;
}

/** List and end the sessions of one person, or end one. */
export function sessionRoutes(sessions: Pick<Sessions, 'ofUser' | 'end'>): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/sessions$/,
      handle: ({ query }) =>
        ofOwner(query, async (issuer, subject) => ({
          sessions: (await sessions.ofUser(issuer, subject)).map(listed),
        })),
    },
    {
      method: 'DELETE',
      path: /^\/sessions$/,
      handle: ({ query }) =>
        ofOwner(query, async (issuer, subject) => {
          let ended = 0;
          for (const { key } of await sessions.ofUser(issuer, subject))
            if (await sessions.end(key, 'operator')) ended += 1;
          return { ended };
        }),
    },
    {
      method: 'DELETE',
      path: /^\/sessions\/([\w-]{1,64})$/,
      handle: async ({ id }) =>
        (await sessions.end(id, 'operator'))
          ? { status: 200, body: { ended: 1 } }
          : notFound('there is no such session; it may have ended already. GET /sessions lists those of a person'),
    },
  ];
}

async function ofOwner(
  query: URLSearchParams,
  answer: (issuer: string, subject: string) => Promise<object>,
): Promise<OperatorAnswer> {
  const issuer = query.get('issuer') ?? '';
  const subject = query.get('subject') ?? '';
  if (issuer === '' || subject === '')
    return badRequest('give whose sessions: ?issuer=<the provider’s issuer>&subject=<their subject there>');
  return { status: 200, body: await answer(issuer, subject) };
}

function listed({ key, provider, identity, createdAt, endsAt, userAgent, address }: Session): ListedSession {
  return {
    key,
    provider,
    subject: identity.subject,
    created: new Date(createdAt).toISOString(),
    ends: new Date(endsAt).toISOString(),
    userAgent,
    address,
  };
}
