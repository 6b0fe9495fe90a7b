import type { Identity } from '../../identity/identity.ts';
import type { RelayConfig } from '../../platform/config/schema.ts';
import { compilePolicy } from './compile.ts';
import type { Denied } from './judgement.ts';

/** What `postern explain` is asked about. */
export interface PolicyRequest {
  readonly identity: Identity;
  readonly server: string;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  /** Whether the server lists the tool as read-only, which only a running relay knows. */
  readonly readOnly: boolean;
}

/**
 * Says in lines of text what the policy decides, and by which rule.
 *
 * @throws ConfigurationError where the policy is wrong
 */
export function explainPolicy({ policy, servers }: RelayConfig, question: PolicyRequest): string[] {
  const { identity, server, method, params, readOnly } = question;
  const names = Object.keys(servers);
  if (!names.includes(server))
    return [
      `relay: there is no server "${server}" in relay.servers${names.length === 0 ? '' : `, but: ${names.join(', ')}`}`,
    ];
  if (policy === undefined)
    return ['relay: no relay.policy: every user who reaches the server may use everything there'];
  const judgement = compilePolicy(policy, names, () => readOnly).judge({ identity, server, method, params });
  if (judgement.kind === 'denied') return [`relay: denied by ${judgement.rule}`, ...why(judgement)];
  if (judgement.wouldDeny === undefined) return [`relay: allowed by ${judgement.rule}`];
  return [
    `relay: allowed by ${judgement.rule}`,
    `  in dry run: ${judgement.wouldDeny.rule} would deny`,
    ...why(judgement.wouldDeny),
  ];
}

function why({ reason, permission, scopes }: Denied): string[] {
  const lines = [`  ${permission}: ${reason}`];
  if (scopes.length > 0) lines.push(`  it would be allowed with the scope ${scopes.join(' ')}`);
  return lines;
}
