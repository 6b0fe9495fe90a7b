import { isDeepStrictEqual } from 'node:util';
import type { PolicyRuleConfig } from '../../platform/config/schema.ts';
import { nameGlob } from '../../platform/name-glob.ts';
import type { Names } from '../../platform/names.ts';
import type { Rule } from './rule.ts';

/** What is contradictory in one rule: it reads as if it did something and can not. */
export function contradictions(config: PolicyRuleConfig, rule: Rule, servers: readonly string[]): string[] {
  const problems: string[] = [];
  const who = config.who === 'anyone-signed-in' ? undefined : config.who;
  if (
    who?.anonymous === true &&
    (who.users ?? who.groups ?? who.issuers ?? who.scopes ?? who.authentication) !== undefined
  )
    problems.push('who: the anonymous have no user, group, issuer, scope or credential; make two rules of it');
  if (config.dryRun && config.effect === 'allow')
    problems.push('dryRun: is for deny rules; relay.policy.dryRun tries the whole policy');
  if (config.readOnly && config.effect === 'deny')
    problems.push('readOnly: is for allow rules; relay.policy.readOnly refuses everything else');
  if (rule.toolsOnly && (config.prompts ?? config.resources) !== undefined)
    problems.push(`${config.readOnly ? 'readOnly' : 'arguments'}: only tools have it; take prompts and resources out`);
  if (rule.methods !== undefined) {
    const named = rule.objectMethods ?? (rule.toolsOnly ? ['tools/call'] : undefined);
    if (named !== undefined && !named.some((method) => rule.methods?.has(method)))
      problems.push(`methods: none of them uses what the rule names; these do: ${[...new Set(named)].join(', ')}`);
  }
  for (const glob of config.servers)
    if (glob !== '*' && !servers.some(nameGlob(glob)))
      problems.push(
        `servers: "${glob}" is none of relay.servers${servers.length === 0 ? '' : `: ${servers.join(', ')}`}`,
      );
  return problems;
}

/** The rule before `rules[index]` that takes everything it could hold for. */
export function shadowOf(rules: readonly Rule[], index: number): Rule | undefined {
  const rule = rules[index] as Rule;
  return rules.slice(0, index).find((earlier) => covers(earlier, rule));
}

function covers(earlier: Rule, later: Rule): boolean {
  if (earlier.dryRun || (earlier.readOnly && !later.readOnly)) return false;
  if (earlier.schema !== undefined && !isDeepStrictEqual(earlier.schemaSource, later.schemaSource)) return false;
  if (!earlier.who.covers(later.who) || !earlier.servers.covers(later.servers.globs)) return false;
  if (earlier.methods !== undefined && !coversAll(earlier.methods, later.methods)) return false;
  if (earlier.objectMethods === undefined) return true;
  if (later.objectMethods === undefined) return false;
  return (
    (later.tools === undefined || coversAll(earlier.tools, later.tools)) &&
    (later.prompts === undefined || coversAll(earlier.prompts, later.prompts)) &&
    (later.resources === undefined || coversAll(earlier.resources?.names, later.resources.names))
  );
}

function coversAll(earlier: Names | undefined, later: Names | undefined): boolean {
  return earlier !== undefined && later !== undefined && earlier.covers(later.globs);
}
