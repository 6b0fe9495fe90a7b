import { distance } from 'fastest-levenshtein';
import type { Identity } from '../../identity/identity.ts';
import type { Rule } from './rules.ts';

/** Why a rule refuses somebody, for the operator: never for the client, to whom the names of groups are no business. */
export interface DenialCause {
  /** In one word, for the page that the person gets. */
  readonly missing: 'rule' | 'suspended' | 'provider' | 'group' | 'user' | 'scope' | 'origin';
  /** What the rule asks for. */
  readonly needs: string;
  /** What the person has of it. */
  readonly has: string;
  /** What to change, and where. */
  readonly fix: string;
}

/** Names of one list that are written down or compared: groups come from a provider and may be thousands. */
const MAX_NAMES = 50;

export const NO_RULE_CAUSE: DenialCause = {
  missing: 'rule',
  needs: 'a rule whose `match` takes this host, path and method',
  has: 'none',
  fix: 'add such a rule to auth.rules, or correct the `match` of the one that is meant; the first that matches decides',
};

export const ORIGIN_CAUSE: DenialCause = {
  missing: 'origin',
  needs: 'no `Origin`, or that of publicUrl or of relay.allowedOrigins',
  has: 'another one',
  fix: 'add it to relay.allowedOrigins if pages from there may use the MCP servers',
};

export const SUSPENDED_CAUSE: DenialCause = {
  missing: 'suspended',
  needs: 'a user who is not suspended',
  has: 'suspended',
  fix: 'let them in again with `postern suspend --user SUBJECT --lift`',
};

/** What `rule.admits` found missing. */
export function notAllowedCause({ name, allow, issuers }: Rule, identity: Identity): DenialCause {
  if (issuers !== undefined && !issuers.has(identity.issuer))
    return {
      missing: 'provider',
      needs: `a user of one of the providers ${list(allow.providers ?? [])}`,
      has: `issuer ${identity.issuer || '(none)'}`,
      fix: `sign in with one of these providers, or add the user’s provider to ${name}.allow.providers`,
    };
  const { users = [], groups = [] } = allow;
  const needs = [
    ...(groups.length > 0 ? [`one of the groups ${list(groups)}`] : []),
    ...(users.length > 0 ? [`one of the users ${list(users)}`] : []),
  ].join(' or ');
  return {
    missing: groups.length > 0 ? 'group' : 'user',
    needs,
    has: groups.length > 0 ? `groups ${list(identity.groups)}` : `user ${identity.subject}`,
    fix: groups.length > 0 ? groupFix(name, groups, identity.groups) : userFix(name, users, identity),
  };
}

export function insufficientScopeCause(
  { name }: Rule,
  { scopes, method }: Identity,
  needed: readonly string[],
): DenialCause {
  const program = 'ask for a token with these scopes';
  return {
    missing: 'scope',
    needs: `the scopes ${list(needed)}`,
    has: `scopes ${list(scopes)}`,
    fix: `${method === 'session' ? 'a session has no scopes: use an MCP client, which gets a token with them' : program}, or change ${name}.scopes`,
  };
}

function groupFix(rule: string, needed: readonly string[], groups: readonly string[]): string {
  if (groups.length === 0)
    return 'the provider tells of no groups: add the user to one of them there, and check that it sends the claim that claims.groups of the provider in auth.providers names';
  const near = nearMiss(needed, groups);
  return near === undefined
    ? `add the user to one of these groups at the provider, or one of the user’s groups to ${rule}.allow.groups`
    : `"${near.had}" is nearly "${near.needed}": correct the group at the provider, or ${rule}.allow.groups`;
}

function userFix(rule: string, users: readonly string[], { subject, email, name }: Identity): string {
  const other = users.slice(0, MAX_NAMES).find((user) => user === email || user === name);
  if (other !== undefined)
    return `${rule}.allow.users has "${other}", but users are named by subject: write "${subject}"`;
  const near = nearMiss(users, [subject]);
  return near === undefined
    ? `add the subject "${subject}" to ${rule}.allow.users`
    : `"${subject}" is nearly "${near.needed}": correct ${rule}.allow.users`;
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

function list(names: readonly string[]): string {
  const more = names.length > MAX_NAMES ? `, and ${names.length - MAX_NAMES} more` : '';
  return `[${names.slice(0, MAX_NAMES).join(', ')}${more}]`;
}
