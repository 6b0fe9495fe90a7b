import { ANONYMOUS } from '../../identity/identity.ts';
import type { Authenticate, Authentication } from './authentication.ts';
import { type Challenge, type Decision, deny } from './decision.ts';
import { type HIDDEN, type McpOperation, readOperation } from './mcp-operation.ts';
import type { CheckRequest } from './request.ts';
import { KEYS_PATH, METADATA_PATH, type Resource, type Resources } from './resources.ts';
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
  const resource = policy.resources.of(request.path);
  if (authentication.kind === 'absent') return withoutCredential(rule, resource, scopes);
  const { reason, description } = authentication;
  return { kind: 'challenge', reason, description, scopes, metadataUrl: resource.metadataUrl, rule: rule.name };
}

/** By list of scopes, which is one object for each rule, and resource; both live as long as the configuration. */
const known = new WeakMap<readonly string[], WeakMap<Resource, Challenge>>();

/** The answer that every client gets first, so it is made once. */
function withoutCredential(rule: Rule, resource: Resource, scopes: readonly string[]): Challenge {
  let byResource = known.get(scopes);
  if (byResource === undefined) {
    byResource = new WeakMap();
    known.set(scopes, byResource);
  }
  let challenge = byResource.get(resource);
  if (challenge === undefined) {
    const description = 'a bearer token is needed';
    const { metadataUrl } = resource;
    challenge = { kind: 'challenge', reason: 'no_credential', description, scopes, metadataUrl, rule: rule.name };
    byResource.set(resource, challenge);
  }
  return challenge;
}

/** Discovery documents are read before there is any token, and the proxy sends everything through the check. */
function isMetadata({ path, method }: CheckRequest): boolean {
  if (method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS') return false;
  if (path.charCodeAt(1) !== 0x2e && path.charCodeAt(1) !== 0x5f) return false;
  return path === KEYS_PATH || path === METADATA_PATH || path.startsWith(`${METADATA_PATH}/`);
}
