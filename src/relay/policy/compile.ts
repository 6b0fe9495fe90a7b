import type { PolicyConfig } from '../../platform/config/schema.ts';
import { ConfigurationError } from '../../platform/errors.ts';
import { type IsReadOnly, Policy } from './policy.ts';
import { contradictions, shadowOf } from './reachability.ts';
import { Rule } from './rule.ts';

/**
 * Makes the policy that the configuration describes.
 *
 * @param servers names in relay.servers
 * @throws ConfigurationError where a schema is broken, or a rule contradicts itself or can never match
 */
export function compilePolicy(config: PolicyConfig, servers: readonly string[], isReadOnly: IsReadOnly): Policy {
  const problems: string[] = [];
  const rules: Rule[] = [];
  for (const [index, rule] of config.rules.entries()) {
    try {
      rules.push(new Rule(rule, index));
    } catch (error) {
      problems.push(`relay.policy.rules[${index}].${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  for (const [index, rule] of rules.entries()) {
    const own = contradictions(config.rules[index] as PolicyConfig['rules'][number], rule, servers);
    problems.push(...own.map((problem) => `${rule.name}.${problem}`));
    const shadow = shadowOf(rules, index);
    if (shadow !== undefined)
      problems.push(
        `${rule.name}: can never match, because ${shadow.name} (${shadow.effect}) comes first and covers it`,
      );
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return new Policy(config, rules, isReadOnly);
}
