import { type Cause, causeLines } from '../../identity/denial-cause.ts';
import type { Identity } from '../../identity/identity.ts';
import type { ConfigDocument } from '../../platform/config/config-document.ts';
import { type ConfigSource, sourceLines, sourceOf } from '../../platform/config/config-source.ts';
import type { RelayConfig } from '../../platform/config/schema.ts';
import { compilePolicy } from './compile.ts';
import type { Policy } from './policy.ts';
import type { Denied } from './policy-decision.ts';

/** What `postern explain` is asked about. */
export interface PolicyRequest {
  readonly identity: Identity;
  readonly server: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Whether the server lists the tool as read-only, which only a running relay knows. */
  readonly readOnly: boolean;
}

type Placed = { readonly name: string } & Partial<ConfigSource>;

/** Why a rule or the default denies. */
export interface ExplainedDenial extends Pick<Denied, 'reason' | 'permission'> {
  readonly rule: Placed;
  readonly cause: Cause;
  /** Where no rule holds: the one that comes nearest to allowing it. */
  readonly nearest?: Placed;
}

/** What the policy decides, and by which rule. */
export type PolicyExplanation =
  | { readonly decision: 'unknown_server' | 'no_policy'; readonly description: string }
  | { readonly decision: 'allow'; readonly rule: Placed; readonly wouldDeny?: ExplainedDenial }
  | ({ readonly decision: 'deny' } & ExplainedDenial);

/**
 * @param document the file that the configuration was read from, to show rules as they stand there
 * @throws ConfigurationError where the policy is wrong
 */
export function explainPolicy(
  { policy, servers }: RelayConfig,
  { readOnly, ...call }: PolicyRequest,
  document?: ConfigDocument,
): PolicyExplanation {
  const names = Object.keys(servers);
  if (!names.includes(call.server)) {
    const known = names.length === 0 ? '' : `, but: ${names.join(', ')}`;
    return { decision: 'unknown_server', description: `there is no server "${call.server}" in relay.servers${known}` };
  }
  if (policy === undefined)
    return {
      decision: 'no_policy',
      description: 'no relay.policy: every user who reaches the server may use everything there',
    };
  const compiled = compilePolicy(policy, names, () => readOnly);
  const decision = compiled.judge(call);
  const placed = (name: string): Placed => ({ name, ...sourceOf(document, name) });
  const denial = (denied: Denied) => explainDenial(compiled, call, denied, placed);
  if (decision.kind === 'denied') return { decision: 'deny', ...denial(decision) };
  const { rule, wouldDeny } = decision;
  return { decision: 'allow', rule: placed(rule), ...(wouldDeny && { wouldDeny: denial(wouldDeny) }) };
}

function explainDenial(
  policy: Policy,
  call: Omit<PolicyRequest, 'readOnly'>,
  denied: Denied,
  placed: (name: string) => Placed,
): ExplainedDenial {
  const { reason, permission, rule } = denied;
  const nearest = reason === 'no_rule' ? policy.nearestRule(call) : undefined;
  const cause = policy.explain(call, denied);
  return { reason, permission, rule: placed(rule), cause, ...(nearest && { nearest: placed(nearest) }) };
}

/** For people: one fact a line. */
export function policyLines(explanation: PolicyExplanation): string[] {
  switch (explanation.decision) {
    case 'unknown_server':
    case 'no_policy':
      return [`relay: ${explanation.description}`];
    case 'deny':
      return [...sourceLines(`relay: denied by ${explanation.rule.name}`, explanation.rule), ...why(explanation)];
    case 'allow': {
      const { rule, wouldDeny } = explanation;
      const dry = wouldDeny && [
        ...sourceLines(`  in dry run: ${wouldDeny.rule.name} would deny`, wouldDeny.rule),
        ...why(wouldDeny),
      ];
      return [...sourceLines(`relay: allowed by ${rule.name}`, rule), ...(dry ?? [])];
    }
    default:
      return explanation satisfies never;
  }
}

function why({ permission, reason, cause, nearest }: ExplainedDenial): string[] {
  return [
    `  ${permission}: ${reason}`,
    ...causeLines(cause).map((line) => `  ${line}`),
    ...(nearest === undefined ? [] : sourceLines(`  nearest rule: ${nearest.name}`, nearest)),
  ];
}
