import { distance } from 'fastest-levenshtein';
import type { Identity } from './identity.ts';

/** Why a rule refuses somebody, for the operator. */
export interface Cause {
  /** What the rule asks for. */
  readonly needs: string;
  /** What the person has of it. */
  readonly has: string;
  /** What to change, and where. */
  readonly fix: string;
}

/** For people: `why: has groups [a], needs one of the groups [b]`, and the fix. */
export function causeLines(cause: Cause | undefined): string[] {
  return cause === undefined ? [] : [`why: has ${cause.has}, needs ${cause.needs}`, `fix: ${cause.fix}`];
}

/** Whom a rule is for. */
export interface Membership {
  readonly users?: readonly string[] | undefined;
  readonly groups?: readonly string[] | undefined;
  /** Path in the configuration that holds both. */
  readonly key: string;
}

/** Names of one list that are written down or compared: groups come from a provider and may be thousands. */
const MAX_NAMES = 50;

/** Somebody who is none of the users and in none of the groups. */
export function missingMembership({ users = [], groups = [], key }: Membership, identity: Identity): Cause {
  const needs = [
    ...(groups.length > 0 ? [`one of the groups ${nameList(groups)}`] : []),
    ...(users.length > 0 ? [`one of the users ${nameList(users)}`] : []),
  ].join(' or ');
  return groups.length > 0
    ? { needs, has: `groups ${nameList(identity.groups)}`, fix: groupFix(key, groups, identity.groups) }
    : { needs, has: `user ${identity.subject}`, fix: userFix(key, users, identity) };
}

function groupFix(key: string, needed: readonly string[], groups: readonly string[]): string {
  if (groups.length === 0)
    return 'the provider tells of no groups: add the user to one of them there, and check that it sends the claim that claims.groups of the provider in auth.providers names';
  const near = nearMiss(needed, groups);
  return near === undefined
    ? `add the user to one of these groups at the provider, or one of the user’s groups to ${key}.groups`
    : `"${near.had}" is nearly "${near.needed}": correct the group at the provider, or ${key}.groups`;
}

function userFix(key: string, users: readonly string[], { subject, email, name }: Identity): string {
  const other = users.slice(0, MAX_NAMES).find((user) => user === email || user === name);
  if (other !== undefined) return `${key}.users has "${other}", but users are named by subject: write "${subject}"`;
  const near = nearMiss(users, [subject]);
  return near === undefined
    ? `add the subject "${subject}" to ${key}.users`
    : `"${subject}" is nearly "${near.needed}": correct ${key}.users`;
}

/** A slip of the keyboard, another case, or a path such as Keycloak's `/engineering`. */
function nearMiss(
  needed: readonly string[],
  had: readonly string[],
): { readonly needed: string; readonly had: string } | undefined {
  for (const want of needed.slice(0, MAX_NAMES))
    for (const have of had.slice(0, MAX_NAMES)) {
      if (have.length > 2 * want.length + 2) continue;
      if (distance(want.toLowerCase(), have.toLowerCase()) <= Math.max(1, Math.floor(want.length / 5)))
        return { needed: want, had: have };
    }
  return undefined;
}

export function nameList(names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? `, and ${names.length - MAX_NAMES} more` : '';
  return `[${names.slice(0, MAX_NAMES).join(', ')}${more}]`;
}
