import { ANONYMOUS } from '../../identity/identity.ts';
import type { Authenticate, Authentication } from './authentication.ts';
import { type Decision, deny } from './decision.ts';
import { type HIDDEN, type McpOperation, readOperation } from './mcp-operation.ts';
import type { CheckRequest } from './request.ts';
import { KEYS_PATH, METADATA_PATH, type Resources } from './resources.ts';
import type { Rule, Rules } from './rules.ts';

/** What decisions are made by: one configuration. */
export interface Policy {
  readonly rules: Rules;
  readonly resources: Resources;
}

/** Rule → authenticate → authorize. Synchronous where the authentication is. */
export function decide(
  request: CheckRequest,
  policy: Policy,
  authenticate: Authenticate,
): Decision | Promise<Decision> {
  if (isMetadata(request)) return { kind: 'allow', reason: 'metadata', identity: ANONYMOUS, rule: '' };
  // A browser sends preflights without credentials (Fetch §4.8): a challenge would break every browser-based client.
  if (request.method === 'OPTIONS' && policy.resources.isMcpPath(request.path))
    return { kind: 'allow', reason: 'preflight', identity: ANONYMOUS, rule: '' };

  const rule = policy.rules.match(request);
  if (rule === undefined) return deny(403, 'no_rule', 'no rule allows this request');
  if (rule.public) return { kind: 'allow', reason: 'public', identity: ANONYMOUS, rule: rule.name };

  const operation = readOperation(request);
  if (typeof operation === 'string') return deny(400, 'mcp_headers', operation, rule.name);

  const answer = authenticate(request);
  return answer instanceof Promise
    ? answer.then((authentication) => authorize(authentication, rule, operation, request, policy))
    : authorize(answer, rule, operation, request, policy);
}

function authorize(
  authentication: Authentication,
  rule: Rule,
  operation: McpOperation | typeof HIDDEN | undefined,
  request: CheckRequest,
  policy: Policy,
): Decision {
  const scopes = rule.scopesFor(operation);
  if (authentication.kind === 'identity') {
    const { identity } = authentication;
    if (!rule.admits(identity))
      return deny(403, 'not_allowed', 'this user may not do this', rule.name, identity.subject);
    if (policy.rules.covers(identity.scopes, scopes))
      return { kind: 'allow', reason: 'authorized', identity, rule: rule.name };
    const { metadataUrl } = policy.resources.of(request.path);
    const description = `this needs the scopes: ${scopes.join(' ')}`;
    return {
      ...deny(403, 'insufficient_scope', description, rule.name, identity.subject),
      step: { scopes, metadataUrl },
    };
  }
  if (authentication.kind === 'rejected' && authentication.status !== 401)
    return deny(authentication.status, authentication.reason, authentication.description, rule.name);
  return {
    kind: 'challenge',
    reason: authentication.kind === 'absent' ? 'no_credential' : authentication.reason,
    description: authentication.kind === 'absent' ? 'a bearer token is needed' : authentication.description,
    scopes,
    metadataUrl: policy.resources.of(request.path).metadataUrl,
    rule: rule.name,
  };
}

/** Discovery documents are read before there is any token, and the proxy sends everything through the check. */
function isMetadata({ path, method }: CheckRequest): boolean {
  if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS') return false;
  if (path.charCodeAt(1) !== 0x2e && path.charCodeAt(1) !== 0x5f) return false;
  return path === KEYS_PATH || path === METADATA_PATH || path.startsWith(`${METADATA_PATH}/`);
}
