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
        const { user, issuer, reason } = suspended;
        log.warn({ user, issuer, reason, until: listed(suspended).until }, 'a user was suspended');
        return { status: 200, body: { suspended: listed(suspended), ended, shared } };
      },
    },
    {
      method: 'DELETE',
      path: /^\/suspensions$/,
      handle: async ({ query }) => {
        const user = query.get('user') ?? '';
        const issuer = query.get('issuer') ?? undefined;
        if (user === '')
          return badRequest('give whose: ?user=<as GET /suspensions has it>, and its issuer where it has one');
        if (!(await suspensions.lift(user, issuer)))
          return notFound(
            `${issuer === undefined ? 'no suspension of this user for all issuers' : 'no suspension of this user at this issuer'}; GET /suspensions lists them`,
          );
        log.warn({ user, issuer }, 'the suspension of a user was lifted');
        return { status: 200, body: { lifted: true, shared } };
      },
    },
  ];
}

/** @returns what is wrong */
function readSuspension(body: unknown, now: number): Suspension | string {
  const { user, issuer, until, reason } = isRecord(body) ? body : {};
  if (typeof user !== 'string' || user === '' || user.length > MAX_NAME)
    return 'give user: the subject or the e-mail address of who is to be suspended';
  for (const [name, value] of Object.entries({ issuer, reason }))
    if (value !== undefined && (typeof value !== 'string' || value === '' || value.length > MAX_NAME))
      return `${name} must be a text`;
  const at = until === undefined ? undefined : timeOf(until, now);
  if (until !== undefined && at === undefined)
    return 'until must be a time such as 2026-12-01T09:00:00Z, or a span such as 8h';
  if (at !== undefined && at <= now) return 'until must be in the future';
  return {
    user,
    since: now,
    ...(issuer === undefined ? {} : { issuer: issuer as string }),
    ...(at === undefined ? {} : { until: at }),
    ...(reason === undefined ? {} : { reason: reason as string }),
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

function listed({ since, until, ...rest }: Suspension) {
  const iso = (time: number) => new Date(time).toISOString();
  return { ...rest, since: iso(since), ...(until === undefined ? {} : { until: iso(until) }) };
}
