import { IDENTITY_HEADERS } from '../../identity/headers.ts';
import type { Watcher } from '../../watch/watch.ts';
import type { Decision } from '../decision/decision.ts';
import type { CheckRequest } from '../decision/request.ts';

const USER_HEADER = IDENTITY_HEADERS.user.toLowerCase();

/** Tells the watch what was decided, and of a client that named itself. Nothing here waits. */
export function observeDecision(watch: Watcher, request: CheckRequest, decision: Decision): void {
  const address = request.clientAddress;
  const identity = decision.kind === 'allow' ? decision.identity : undefined;
  const claimed = request.headers.get(USER_HEADER);
  // Behind another proxy that asks us too, the name is the one that we gave.
  if (claimed !== undefined && claimed !== '' && claimed !== identity?.subject)
    watch.observe({ kind: 'forgery', reason: 'client_header', address });
  switch (decision.kind) {
    case 'allow':
      watch.allowed(decision.identity, address);
      break;
    case 'challenge':
      // How every client begins: thousands a second would wait to be looked at for nothing.
      if (decision.reason === 'no_credential') break;
      watch.observe({ kind: 'credential_refused', reason: decision.reason, address });
      break;
    case 'deny':
      if (decision.identity !== undefined) {
        watch.observe({ kind: 'denial', person: decision.identity, address, reason: decision.reason });
      } else watch.observe({ kind: 'credential_refused', reason: decision.reason, address });
      break;
    case 'redirect':
    case 'limit':
    case 'unavailable':
      break;
    default:
      decision satisfies never;
  }
}
