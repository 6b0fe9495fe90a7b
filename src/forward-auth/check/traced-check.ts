import { currentSpan, step } from '../../platform/tracing/current-span.ts';
import type { Attributes, Span, Tracing } from '../../platform/tracing/span.ts';
import type { Authenticate, Authentication } from '../decision/authentication.ts';
import { type Decision, isDenial } from '../decision/decision.ts';
import type { CheckResult, ProxyCheck, RunCheck } from '../decision/proxy-check.ts';
import type { CheckRequest } from '../decision/request.ts';

/** Characters. */
const MAX_PATH = 512;

/** Records request and decision on the span of the check; the trace of a refusal is always kept. */
export function tracedCheck(runCheck: RunCheck): RunCheck {
  return (check) => {
    const span = currentSpan();
    if (span === undefined) return runCheck(check);
    let request: CheckRequest | undefined;
    const { proxy, start, dropsUnnamedCookie = false } = check;
    const observed: ProxyCheck = {
      proxy,
      start,
      dropsUnnamedCookie,
      read: () => {
        const found = check.read();
        if (!('kind' in found)) request = found;
        return found;
      },
      asker: () => check.asker(),
      requestId: () => check.requestId(),
      peer: () => check.peer(),
    };
    const conclude = (result: CheckResult) => {
      describe(span, check, request, result.decision);
      return result;
    };
    const result = runCheck(observed);
    return result instanceof Promise ? result.then(conclude) : conclude(result);
  };
}

/** A span for finding out who asks; what it takes of providers and the store lies within it. */
export function tracedAuthenticate(authenticate: Authenticate, tracing: Tracing): Authenticate {
  return (...asked) =>
    step(
      tracing,
      'authenticate',
      () => ({}),
      (span) => {
        const found = authenticate(...asked);
        if (!(found instanceof Promise)) return tell(span, found);
        return found.then((settled) => tell(span, settled));
      },
    );
}

function tell(span: Span | undefined, found: Authentication): Authentication {
  span?.set({
    'postern.authentication': found.kind,
    ...(found.kind === 'identity' ? { 'postern.credential': found.identity.method } : {}),
    ...(found.kind === 'rejected' ? { 'postern.reason': found.reason } : {}),
  });
  return found;
}

function describe(span: Span, check: ProxyCheck, request: CheckRequest | undefined, decision: Decision): void {
  span.set({
    'postern.proxy': check.proxy,
    'postern.decision': decision.kind,
    'postern.reason': decision.reason,
    ...('rule' in decision && decision.rule !== '' ? { 'postern.rule': decision.rule } : {}),
    ...(decision.kind === 'allow' ? { 'postern.credential': decision.identity.method } : {}),
    ...(request === undefined ? {} : describeRequest(request)),
  });
  if (isDenial(decision)) span.keep();
}

/** Never the query, never a header that may hold a credential. */
function describeRequest({ method, host, rawPath, headers }: CheckRequest): Attributes {
  const [mcpMethod, mcpName] = [headers.get('mcp-method'), headers.get('mcp-name')];
  return {
    'postern.request.method': method,
    'postern.request.host': host,
    'postern.request.path': rawPath.slice(0, MAX_PATH),
    ...(typeof mcpMethod === 'string' ? { 'mcp.method.name': mcpMethod } : {}),
    ...(mcpMethod === 'tools/call' && typeof mcpName === 'string' ? { 'gen_ai.tool.name': mcpName } : {}),
  };
}
