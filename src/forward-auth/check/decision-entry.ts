import type { AuditEntry } from '../../platform/audit/audit-entry.ts';
import type { Decision } from '../decision/decision.ts';
import type { ProxyCheck } from '../decision/proxy-check.ts';
import { refusalCause } from '../decision/refusal-fix.ts';
import type { CheckRequest } from '../decision/request.ts';

/** Characters. */
const MAX_PATH = 512;

/** A decision as the audit log has it. Never a header, never a query: either can hold a credential. */
export function decisionEntry(
  check: ProxyCheck,
  request: CheckRequest | undefined,
  decision: Decision,
  { server, durationMs }: { readonly server: string | undefined; readonly durationMs: number },
): AuditEntry {
  const identity = 'identity' in decision ? decision.identity : undefined;
  return {
    event: decision.kind === 'allow' ? 'decision' : 'denial',
    outcome: decision.kind,
    identity,
    credential: identity?.method,
    via: check.proxy,
    client: request?.clientAddress,
    server,
    action: request?.method,
    object: request === undefined ? undefined : `${request.host}${request.rawPath.slice(0, MAX_PATH)}`,
    reason: decision.reason,
    rule: 'rule' in decision ? decision.rule : undefined,
    ...refusalCause(decision),
    durationMs: Math.round(durationMs * 10) / 10,
    requestId: check.requestId(),
  };
}
