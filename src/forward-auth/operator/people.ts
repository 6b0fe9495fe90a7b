import { type Identity, identityOf } from '../../identity/identity.ts';
import {
  isCalled,
  type Person,
  personOf,
  USER_NAMES,
  type UserFields,
  userFields,
  userOf,
} from '../../identity/user.ts';
import { badRequest, type OperatorRoute } from '../../platform/operator-api.ts';
import { allSessions } from '../sessions/all-sessions.ts';
import type { Sessions } from '../sessions/session.ts';

/** Where people are known from. */
export interface KnownPeople {
  readonly sessions: Pick<Sessions, 'page'>;
  /** Who granted something to a client. */
  readonly granting: () => Promise<readonly Person[]>;
  /** Whom API keys stand for: somebody else only where nobody known has the same subject. */
  readonly ofApiKeys: () => Promise<readonly Person[]>;
  readonly isSuspended: (identity: Identity) => boolean;
}

/** Somebody who is known. Groups are those of a session: nothing else tells of them at any time. */
type Known = Person & Partial<Pick<Identity, 'groups'>>;

/** As operators get it. */
export type ListedPerson = UserFields & { readonly groups?: readonly string[]; readonly suspended?: true };

/** Sessions that are looked at, and people that are listed. */
const MOST = { examined: 100_000, listed: 100 } as const;

/** Whether a query means this person: `user` by any name, `issuer` only there. Without both it means everybody. */
export function isMeant(person: Person, query: URLSearchParams): boolean {
  const [user, issuer] = [query.get('user'), query.get('issuer')];
  return (user === null || isCalled(person, user)) && (issuer === null || person.issuer === issuer);
}

/** Who is meant by a name: everybody who is signed in, has granted something or has an API key, and is called so. */
export function peopleRoutes(known: KnownPeople): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/people$/,
      handle: async ({ query }) => {
        if ((query.get('user') ?? '') === '')
          return badRequest('give whom: ?user=<issuer#subject, subject, username, e-mail address or name>');
        const { people, complete } = await find(known, query);
        const shown = people.slice(0, MOST.listed).map((person) => listed(person, known));
        return { status: 200, body: { people: shown, complete: complete && people.length <= MOST.listed } };
      },
    },
  ];
}

async function find(
  { sessions, granting, ofApiKeys }: KnownPeople,
  query: URLSearchParams,
): Promise<{ people: readonly Known[]; complete: boolean }> {
  const people = new Map<string, Known>();
  const see = (person: Known) => {
    if (isMeant(person, query)) people.set(userOf(person), { ...people.get(userOf(person)), ...knownOf(person) });
  };
  for (const person of await granting()) see(person);
  let examined = 0;
  for await (const { identity } of allSessions(sessions)) {
    examined += 1;
    if (examined > MOST.examined) break;
    see(identity);
  }
  const subjects = new Set([...people.values()].map(({ subject }) => subject));
  for (const person of await ofApiKeys()) if (!subjects.has(person.subject)) see(person);
  return { people: [...people.values()], complete: examined <= MOST.examined };
}

function knownOf({ groups, ...person }: Known): Known {
  return { ...personOf(person), ...(groups && { groups }) };
}

function listed(person: Known, { isSuspended }: KnownPeople): ListedPerson {
  const suspended = isSuspended(identityOf(person, { method: 'session' }));
  const { groups } = person;
  return { ...userFields(person, USER_NAMES), ...(groups && { groups }), ...(suspended && { suspended }) };
}
