import { isCalled, type Person, readNamedUser, USER_NAMES, type UserFields, userFields } from '../identity/user.ts';
import { isRecord } from '../platform/is-record.ts';
import type { Logger } from '../platform/log.ts';
import { badRequest, notFound, type OperatorRoute } from '../platform/operator-api.ts';
import { parseDuration } from '../platform/units.ts';
import type { Suspension, Suspensions } from './suspensions.ts';

export interface SuspensionRoutesDependencies {
  readonly suspensions: Suspensions;
  readonly log: Logger;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** Whether other processes know of it by themselves. */
  readonly shared: boolean;
  /** Ends what this process knows of the user. @returns how many sessions or streams */
  readonly end: (suspended: Suspension) => Promise<number>;
}

/** Characters. */
const MAX_NAME = 1_024;

/** Suspend a user, lift that, and list who is suspended. */
export function suspensionRoutes({
  suspensions,
  log,
  now,
  shared,
  end,
}: SuspensionRoutesDependencies): OperatorRoute[] {
  return [
    {
      method: 'GET',
      path: /^\/suspensions$/,
      handle: async () => ({ status: 200, body: { suspensions: (await suspensions.list()).map(listed) } }),
    },
    {
      method: 'POST',
      path: /^\/suspensions$/,
      handle: async ({ body }) => {
        const suspended = readSuspension(body, now());
        if (typeof suspended === 'string') return badRequest(suspended);
        await suspensions.suspend(suspended);
        const ended = await end(suspended);
        const { user, reason, until } = listed(suspended);
        log.warn({ user, reason, until }, 'a user was suspended');
        return { status: 200, body: { suspended: listed(suspended), ended, shared } };
      },
    },
    {
      method: 'DELETE',
      path: /^\/suspensions$/,
      handle: async ({ query }) => {
        const user = query.get('user') ?? '';
        if (user === '')
          return badRequest('give whose: ?user=<as GET /suspensions has it>, and its issuer where it has one');
        const found = meantBy(named(user, query.get('issuer') ?? undefined), await suspensions.list());
        const [one] = found;
        if (found.length > 1)
          return badRequest(`several are called so, give one: ${found.map((each) => spelled(each).user).join(', ')}`);
        if (one === undefined || !(await suspensions.lift(one.user, one.issuer)))
          return notFound(
            'there is no suspension of this user; `postern suspend --list` and GET /suspensions list them',
          );
        log.warn({ user: spelled(one).user }, 'the suspension of a user was lifted');
        return { status: 200, body: { lifted: true, user: spelled(one).user, shared } };
      },
    },
  ];
}

/** @returns what is wrong */
function readSuspension(body: unknown, now: number): Suspension | string {
  const { user, issuer, until, reason, ...rest } = isRecord(body) ? body : {};
  const names = Object.fromEntries(USER_NAMES.map((name) => [name, rest[name]]));
  if (typeof user !== 'string' || user === '' || user.length > MAX_NAME)
    return 'give user: <issuer>#<subject>, subject, username or e-mail address of who is to be suspended';
  for (const [name, value] of Object.entries({ issuer, reason, ...names }))
    if (value !== undefined && (typeof value !== 'string' || value === '' || value.length > MAX_NAME))
      return `${name} must be a text`;
  const at = until === undefined ? undefined : timeOf(until, now);
  if (until !== undefined && at === undefined)
    return 'until must be a time such as 2026-12-01T09:00:00Z, or a span such as 8h';
  if (at !== undefined && at <= now) return 'until must be in the future';
  const meant = named(user, issuer as string | undefined);
  return {
    user: meant.user,
    since: now,
    ...(meant.issuer === undefined ? {} : { issuer: meant.issuer }),
    ...(at === undefined ? {} : { until: at }),
    ...(reason === undefined ? {} : { reason: reason as string }),
    ...(names as Pick<Suspension, 'username' | 'email' | 'name'>),
  };
}

function timeOf(text: unknown, now: number): number | undefined {
  if (typeof text !== 'string') return undefined;
  const span = parseDuration(text);
  if (span !== undefined) return now + span;
  // A date alone, or a time with its zone: without one it would be that of the machine.
  const time = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

function named(user: string, issuer: string | undefined): Pick<Suspension, 'user' | 'issuer'> {
  const read = readNamedUser(user);
  return { user: read.subject, issuer: read.issuer ?? issuer };
}

/** The suspension of exactly that user and issuer; otherwise those of users who are called so. */
function meantBy({ user, issuer }: Pick<Suspension, 'user' | 'issuer'>, all: readonly Suspension[]): Suspension[] {
  const exact = all.find((one) => one.user === user && one.issuer === issuer);
  if (exact !== undefined) return [exact];
  return all.filter(
    (one) =>
      (issuer === undefined || one.issuer === issuer) &&
      (isCalled(personIn(one), user) || one.user.toLowerCase() === user.toLowerCase()),
  );
}

function personIn({ user, issuer = '', username, email, name }: Suspension): Person {
  return { issuer, subject: user, username, email, name };
}

function spelled(suspended: Suspension): UserFields {
  return userFields(personIn(suspended), USER_NAMES);
}

function listed(suspended: Suspension) {
  const { since, until, reason } = suspended;
  const iso = (time: number) => new Date(time).toISOString();
  return {
    ...spelled(suspended),
    ...(reason === undefined ? {} : { reason }),
    since: iso(since),
    ...(until === undefined ? {} : { until: iso(until) }),
  };
}
