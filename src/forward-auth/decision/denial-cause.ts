import { type Cause, missingMembership, nameList } from '../../identity/denial-cause.ts';
import type { Identity } from '../../identity/identity.ts';
import type { Rule } from './rules.ts';

/** Why a rule refuses somebody, for the operator: never for the client, to whom the names of groups are no business. */
export interface DenialCause extends Cause {
  /** In one word, for the page that the person gets. */
  readonly missing: 'rule' | 'suspended' | 'provider' | 'group' | 'user' | 'scope' | 'origin';
}

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
  fix: 'let them in again with `postern unsuspend --user USER`',
};

/** What `rule.admits` found missing. */
export function notAllowedCause({ name, allow, issuers }: Rule, identity: Identity): DenialCause {
  if (issuers !== undefined && !issuers.has(identity.issuer))
    return {
      missing: 'provider',
      needs: `a user of one of the providers ${nameList(allow.providers ?? [])}`,
      has: `issuer ${identity.issuer || '(none)'}`,
      fix: `sign in with one of these providers, or add the user’s provider to ${name}.allow.providers`,
    };
  const missing = (allow.groups ?? []).length > 0 ? 'group' : 'user';
  return { missing, ...missingMembership({ ...allow, key: `${name}.allow` }, identity) };
}

export function insufficientScopeCause(
  { name }: Rule,
  { scopes, method }: Identity,
  needed: readonly string[],
): DenialCause {
  const program = 'ask for a token with these scopes';
  return {
    missing: 'scope',
    needs: `the scopes ${nameList(needed)}`,
    has: `scopes ${nameList(scopes)}`,
    fix: `${method === 'session' ? 'a session has no scopes: use an MCP client, which gets a token with them' : program}, or change ${name}.scopes`,
  };
}
