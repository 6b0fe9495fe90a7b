import { readUser, USER_NAMES, type UserFields, userFields } from '../../identity/user.ts';
import { badRequest, notFound, type OperatorRoute } from '../../platform/operator-api.ts';
import type { Session, Sessions } from '../sessions/session.ts';
import { isMeant } from './people.ts';

/** What is said about a session; never a token. Times are ISO 8601. */
export interface ListedSession extends UserFields {
  readonly key: string;
  readonly provider: string;
  readonly created: string;
  readonly ends: string;
  readonly userAgent: string;
  readonly address: string;
}

/** Sessions on a page, and at most so many that are looked at for one. */
const PAGE = { default: 100, max: 1_000, examined: 10_000 } as const;

/** List all sessions or those of a user, end those of one, or end one. */
export function sessionRoutes(sessions: Pick<Sessions, 'ofUser' | 'page' | 'end'>): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/sessions$/,
      handle: async ({ query }) => {
        const owner = ownerIn(query);
        if (owner === undefined && query.has('subject'))
          return badRequest('subject goes with issuer, and neither is empty; ?user= takes any name');
        if (owner !== undefined)
          return { status: 200, body: { sessions: (await sessions.ofUser(owner.issuer, owner.subject)).map(listed) } };
        const limit = Number(query.get('limit') ?? PAGE.default);
        if (!Number.isInteger(limit) || limit < 1 || limit > PAGE.max)
          return badRequest(`limit must be a number from 1 to ${PAGE.max}`);
        const found: Session[] = [];
        let next = query.get('after') ?? undefined;
        let examined = 0;
        do {
          const page = await sessions.page(next, limit);
          found.push(...page.sessions.filter(({ identity }) => isMeant(identity, query)));
          next = page.next;
          examined += limit;
        } while (next !== undefined && found.length < limit && examined < PAGE.examined);
        return { status: 200, body: { sessions: found.map(listed), ...(next === undefined ? {} : { next }) } };
      },
    },
    {
      method: 'DELETE',
      path: /^\/sessions$/,
      handle: async ({ query }) => {
        const owner = ownerIn(query);
        if (owner === undefined)
          return badRequest('give whose sessions: ?user=<issuer>#<subject>, as GET /sessions and GET /people have it');
        let ended = 0;
        for (const { key } of await sessions.ofUser(owner.issuer, owner.subject))
          if (await sessions.end(key, 'operator')) ended += 1;
        return { status: 200, body: { ended } };
      },
    },
    {
      method: 'DELETE',
      path: /^\/sessions\/([\w-]{1,64})$/,
      handle: async ({ id }) =>
        (await sessions.end(id, 'operator'))
          ? { status: 200, body: { ended: 1 } }
          : notFound('there is no such session; it may have ended already. GET /sessions lists them'),
    },
  ];
}

/** One user exactly: by `user` as lists have it, or by `issuer` and `subject`. */
function ownerIn(query: URLSearchParams): { issuer: string; subject: string } | undefined {
  const subject = query.get('subject') ?? '';
  const named = subject === '' ? readUser(query.get('user') ?? '') : { issuer: query.get('issuer') ?? '', subject };
  return named.issuer === '' || named.subject === '' ? undefined : named;
}

function listed({ key, provider, identity, createdAt, endsAt, userAgent, address }: Session): ListedSession {
  return {
    key,
    ...userFields(identity, USER_NAMES),
    provider,
    created: new Date(createdAt).toISOString(),
    ends: new Date(endsAt).toISOString(),
    userAgent,
    address,
  };
}
