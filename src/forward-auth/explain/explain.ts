import { causeLines, nameList } from '../../identity/denial-cause.ts';
import { ANONYMOUS, type Identity } from '../../identity/identity.ts';
import { USER_NAMES, type UserFields, userFields, userOf } from '../../identity/user.ts';
import { PROXY_NAMES } from '../../platform/config/auth-schema.ts';
import type { ConfigDocument } from '../../platform/config/config-document.ts';
import { type ConfigSource, sourceLines, sourceOf } from '../../platform/config/config-source.ts';
import type { Config } from '../../platform/config/schema.ts';
import { ABSENT, type Authenticate, type Authentication } from '../decision/authentication.ts';
import { decide, type Policy } from '../decision/decide.ts';
import type { Decision } from '../decision/decision.ts';
import type { DenialCause } from '../decision/denial-cause.ts';
import { HIDDEN, readOperation } from '../decision/mcp-operation.ts';
import { type CheckRequest, type ProxyName, RequestHeaders } from '../decision/request.ts';
import { Ambiguous, canonicalHost, parseTarget } from '../decision/target.ts';
import { SignInUrls } from '../login/sign-in-urls.ts';
import { compilePolicy } from '../policy.ts';
import { viewOf } from './explain-views.ts';

/** A request that is only described, and who would send it. */
export interface HypotheticalRequest {
  /** Absolute, or a path on the configured `publicUrl`. */
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Who sends it, by a credential that is valid; absent or anonymous: nobody who is known. */
  readonly person?: { readonly identity: Identity; readonly suspended?: boolean };
  /** Whose view to show; absent: that of `auth.proxy`, or every one's. */
  readonly proxy?: ProxyName;
}

/** What `postern explain` knows of a request. */
export interface Explanation {
  readonly decision: Decision['kind'];
  readonly status: number;
  readonly reason: string;
  readonly description?: string;
  readonly request?: string;
  readonly resource?: string;
  /** Absent: none matches. */
  readonly rule?: { readonly name: string; readonly public: boolean } & Partial<ConfigSource>;
  readonly operation?: string;
  readonly scopesNeeded?: { readonly scopes: readonly string[]; readonly alsoOfBody: boolean };
  /** Why a rule refuses, with the fix. */
  readonly cause?: DenialCause;
  /** Who asks; absent: nobody who is known. */
  readonly person?: UserFields & Pick<Identity, 'method' | 'groups' | 'scopes'>;
  /** As whom an allowed request goes on: `<issuer>#<subject>`, or `anonymous`. */
  readonly identity?: string;
  readonly location?: string;
  readonly answers: ReadonlyArray<{ readonly proxy: ProxyName; readonly answer: string; readonly reason: string }>;
}

/**
 * Says which rule matches, which decision follows and why, by the same rules and the same core that answer proxies.
 *
 * @param document the file that the configuration was read from, to show the rule as it stands there
 */
export function explainRequest(
  config: Config,
  hypothetical: HypotheticalRequest,
  document?: ConfigDocument,
): Explanation {
  const request = imagine(config, hypothetical);
  if (typeof request === 'string') {
    const [reason = '', description = ''] = request.split(/: (.*)/s);
    return { decision: 'deny', status: 400, reason, description, answers: [] };
  }
  const rules = compilePolicy(config);
  const canSignIn = config.auth.providers.some(({ clientId }) => clientId !== undefined);
  const isSuspended = () => hypothetical.person?.suspended === true;
  const policy = { ...rules, isSuspended, ...(canSignIn && { signIn: new SignInUrls(config) }) };
  const authenticate = credentialOf(hypothetical);
  const decision = decideNow(request, policy, authenticate);
  return {
    ...describePerson(hypothetical.person?.identity),
    ...describeDecision(decision),
    ...describeRequest(request, policy, document),
    answers: answersOf(config, hypothetical, (request) => decideNow(request, policy, authenticate)),
  };
}

/** The view of the named or configured proxy; of every proxy if none is known. */
function answersOf(
  config: Config,
  hypothetical: HypotheticalRequest,
  decideOn: (request: CheckRequest) => Decision,
): Explanation['answers'] {
  const { scheme, host, target } = addressOf(config, hypothetical);
  const headers = Object.entries(hypothetical.headers).flat();
  const client = { method: hypothetical.method.toUpperCase(), scheme, host, target, headers };
  const proxy = hypothetical.proxy ?? config.auth.proxy;
  return (proxy === undefined ? PROXY_NAMES : [proxy]).map((name) => {
    const view = viewOf(name, client, decideOn);
    return { proxy: name, answer: view.answer, reason: view.decision.reason };
  });
}

/** What is imagined is at hand, so the core has nothing to wait for. */
function decideNow(request: CheckRequest, policy: Policy, authenticate: Authenticate): Decision {
  const decision = decide(request, policy, authenticate);
  if (decision instanceof Promise) throw new TypeError('an imagined credential cannot need time');
  return decision;
}

/** The raw text of each part, because `new URL` would resolve what a proxy passes on as it is. */
function addressOf({ publicUrl }: Config, { url }: HypotheticalRequest) {
  const absolute = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(url);
  const base = new URL(publicUrl);
  const rest = absolute === null ? url : (absolute[3] as string);
  return {
    scheme: (absolute?.[1]?.toLowerCase() ?? base.protocol.slice(0, -1)) as 'http' | 'https',
    host: absolute?.[2] ?? base.host,
    target: rest === '' || rest.startsWith('?') ? `/${rest}` : rest,
  };
}

function imagine(config: Config, hypothetical: HypotheticalRequest): CheckRequest | string {
  const { scheme, host: given, target: text } = addressOf(config, hypothetical);
  const host = canonicalHost(given, scheme);
  if (host instanceof Ambiguous) return `forwarded_headers: ${host.problem}`;
  const parsed = parseTarget(text);
  const target = parsed instanceof Ambiguous ? parsed.encoded : parsed;
  if (target === undefined) return `ambiguous_target: ${(parsed as Ambiguous).problem}`;
  const headers = new RequestHeaders(Object.entries(hypothetical.headers).flat());
  return {
    proxy: 'traefik',
    method: hypothetical.method.toUpperCase(),
    scheme,
    host,
    ...target,
    clientAddress: '',
    headers,
  };
}

function credentialOf({ person }: HypotheticalRequest): Authenticate {
  const identity = person?.identity ?? ANONYMOUS;
  if (identity.method === 'anonymous') return () => ABSENT;
  const answer: Authentication = { kind: 'identity', identity };
  return (_request, _resource, rule) => (rule.sessionOnly && identity.method !== 'session' ? ABSENT : answer);
}

function describePerson(identity = ANONYMOUS): Pick<Explanation, 'person'> {
  const { method, groups, scopes } = identity;
  return method === 'anonymous' ? {} : { person: { ...userFields(identity, USER_NAMES), method, groups, scopes } };
}

function describeRequest(
  request: CheckRequest,
  policy: Policy,
  document: ConfigDocument | undefined,
): Pick<Explanation, 'request' | 'resource' | 'rule' | 'operation' | 'scopesNeeded'> {
  const rule = policy.rules.match(request);
  const operation = readOperation(request);
  const byRelay = operation === HIDDEN && policy.readsBodies?.(request) === true;
  return {
    request: `${request.method} ${request.scheme}://${request.host}${request.path}`,
    resource: policy.resources.of(request).uri,
    ...(rule === undefined ? {} : { rule: { name: rule.name, public: rule.public, ...sourceOf(document, rule.name) } }),
    ...(typeof operation === 'object'
      ? { operation: [operation.method, operation.tool].filter((part) => part !== undefined).join(' ') }
      : {}),
    ...(rule === undefined || rule.public || typeof operation === 'string'
      ? {}
      : { scopesNeeded: { scopes: rule.scopes.of(byRelay ? undefined : operation), alsoOfBody: byRelay } }),
  };
}

function describeDecision(
  decision: Decision,
): Pick<Explanation, 'decision' | 'status' | 'reason' | 'description' | 'identity' | 'location' | 'cause'> {
  const { kind, reason } = decision;
  switch (decision.kind) {
    case 'allow': {
      const { identity } = decision;
      const name = identity.method === 'anonymous' ? 'anonymous' : userOf(identity);
      return { decision: kind, status: 200, reason, identity: name };
    }
    case 'challenge':
      return { decision: kind, status: 401, reason, description: decision.description };
    case 'deny': {
      const { status, description, cause } = decision;
      return { decision: kind, status, reason, description, ...(cause === undefined ? {} : { cause }) };
    }
    case 'redirect':
      return { decision: kind, status: 302, reason, location: decision.location };
    case 'limit':
      return { decision: kind, status: 429, reason, description: `by ${decision.by}` };
    case 'unavailable':
      return { decision: kind, status: 503, reason, description: decision.description };
    default:
      return decision satisfies never;
  }
}

/** For people: one fact a line. */
export function explanationLines(explanation: Explanation): string[] {
  const { person, request, resource, rule, operation, scopesNeeded, cause, identity, location } = explanation;
  const { decision, status, reason, description } = explanation;
  const scopes = scopesNeeded?.scopes.join(' ') || 'none';
  return [
    ...(person === undefined ? [] : [personLine(person)]),
    ...(request === undefined ? [] : [`request: ${request}`, `resource: ${resource}`, ...ruleLines(rule)]),
    ...(operation === undefined ? [] : [`operation: ${operation}`]),
    ...(scopesNeeded === undefined
      ? []
      : [`scopes needed: ${scopes}${scopesNeeded.alsoOfBody ? ', and what the relay finds in the body' : ''}`]),
    `decision: ${decision} (${status}, ${reason}${description === undefined ? '' : `: ${description}`})`,
    ...causeLines(cause),
    ...(identity === undefined ? [] : [`identity: ${identity}`]),
    ...(location === undefined ? [] : [`location: ${location}`]),
    ...explanation.answers.map(
      (view) => `answer to ${view.proxy}: ${view.answer}${view.reason === reason ? '' : ` (${view.reason})`}`,
    ),
  ];
}

function personLine({ user, method, groups, scopes, ...named }: NonNullable<Explanation['person']>): string {
  const names = USER_NAMES.flatMap((name) => named[name] ?? []);
  const called = names.length === 0 ? '' : ` (${names.join(', ')})`;
  return `user: ${user}${called} by ${method}, groups ${nameList(groups)}, scopes ${nameList(scopes)}`;
}

function ruleLines(rule: Explanation['rule']): string[] {
  return rule === undefined
    ? ['rule: none matches']
    : sourceLines(`rule: ${rule.name}${rule.public ? ' (public)' : ''}`, rule);
}
