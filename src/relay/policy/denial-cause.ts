import { type Cause, nameList } from '../../identity/denial-cause.ts';
import type { Identity } from '../../identity/identity.ts';
import type { Denied } from './policy-decision.ts';
import type { Rule } from './rule.ts';

/** The first allow rule that is about the same, and why it does not hold. */
export interface NearestRule {
  readonly rule: Rule;
  /** It is for read-only tools, and the server lists this one as another. */
  readonly wantsReadOnly: boolean;
}

/** Why the policy refuses somebody, for the operator: never for the client, to whom the names of groups are no business. */
export function denialCause(
  { reason, rule, permission, scopes }: Denied,
  identity: Identity,
  nearest: NearestRule | undefined,
): Cause {
  if (scopes.length > 0)
    return {
      needs: `the scopes ${nameList(scopes)}`,
      has: `scopes ${nameList(identity.scopes)}`,
      fix: `ask for a token with these scopes, or change who.scopes of ${nearest?.rule.name ?? 'the rule in relay.policy.rules'}`,
    };
  switch (reason) {
    case 'rule':
      return {
        needs: `a message that ${rule} does not deny`,
        has: `${permission} by user ${identity.subject || '(anonymous)'} with groups ${nameList(identity.groups)}`,
        fix: `if it should be allowed, narrow ${rule}, or put a rule that allows it before; the first that matches decides`,
      };
    case 'read_only':
      return READ_ONLY;
    case 'unclear':
      return {
        needs: 'a message that can be read in one way only',
        has: 'a key, name or method that is given twice or in another spelling',
        fix: 'let the client spell keys, names and methods exactly, and give each once',
      };
    case 'no_rule':
      return (nearest && notMet(nearest, identity)) ?? noRule(permission);
    default:
      return reason satisfies never;
  }
}

const READ_ONLY: Cause = {
  needs: 'a tool that the server lists with `readOnlyHint: true`',
  has: 'a tool that it does not list so',
  fix: 'let the server annotate the tool if it changes nothing, or take the server out of relay.policy.readOnly',
};

function noRule(permission: string): Cause {
  return {
    needs: `a rule that allows ${permission}`,
    has: 'none',
    fix: 'add one to relay.policy.rules, or correct the one that is meant: an allow rule compares names exactly',
  };
}

/** @returns undefined where nothing of the rule itself is missing */
function notMet({ rule, wantsReadOnly }: NearestRule, identity: Identity): Cause | undefined {
  const { name, who } = rule;
  if (who.is(identity) === 'no') return who.missing(identity, `${name}.who`);
  if (wantsReadOnly)
    return {
      ...READ_ONLY,
      fix: `let the server annotate the tool if it changes nothing, or take readOnly out of ${name}`,
    };
  if (rule.schema === undefined) return undefined;
  return {
    needs: `arguments that satisfy ${name}.arguments`,
    has: 'arguments that do not',
    fix: `correct the arguments, or the schema in ${name}.arguments`,
  };
}
