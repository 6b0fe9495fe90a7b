import type { Config } from '../platform/config/schema.ts';
import { ABSENT, type Authenticate, type Authentication } from './decision/authentication.ts';
import { decide, type Policy } from './decision/decide.ts';
import type { Decision } from './decision/decision.ts';
import { HIDDEN, readOperation } from './decision/mcp-operation.ts';
import { type CheckRequest, PROXY_NAMES, type ProxyName, RequestHeaders } from './decision/request.ts';
import { Ambiguous, canonicalHost, parseTarget } from './decision/target.ts';
import { viewOf } from './explain-views.ts';
import { SignInUrls } from './login/sign-in-urls.ts';
import { compilePolicy } from './policy.ts';

/** A request as somebody imagines it, and who would send it. */
export interface Question {
  /** Absolute, or a path on the configured `publicUrl`. */
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Subject of a valid credential; absent: none is sent. */
  readonly user?: string;
  readonly groups?: readonly string[];
  /** Id of the provider that signed them in; absent: the first configured one. */
  readonly provider?: string;
  readonly scopes?: readonly string[];
  /** Whose view to show; absent: every proxy's. */
  readonly proxy?: ProxyName;
}

/** Says which rule matches, which decision follows and why, by the same rules and the same core that answer proxies. */
export function explainRequest(config: Config, question: Question): string[] {
  const request = imagine(config, question);
  if (typeof request === 'string') return [`decision: deny (400, ${request})`];
  const rules = compilePolicy(config);
  const canSignIn = config.auth.providers.some(({ clientId }) => clientId !== undefined);
  const policy = canSignIn ? { ...rules, signIn: new SignInUrls(config) } : rules;
  const authenticate = credentialOf(question, config);
  const decision = decideNow(request, policy, authenticate);
  return [
    ...describeRequest(request, policy),
    ...describeDecision(decision),
    ...describeAnswers(decision, config, question, (asked) => decideNow(asked, policy, authenticate)),
  ];
}

/** What each proxy is answered, and where one's view of the request leads to another decision. */
function describeAnswers(
  decision: Decision,
  config: Config,
  question: Question,
  decideOn: (request: CheckRequest) => Decision,
): string[] {
  const { scheme, host, target } = addressOf(config, question);
  const headers = Object.entries(question.headers).flat();
  const asked = { method: question.method.toUpperCase(), scheme, host, target, headers };
  const proxies = question.proxy === undefined ? PROXY_NAMES : [question.proxy];
  return proxies.map((proxy) => {
    const view = viewOf(proxy, asked, decideOn);
    const differs = view.decision.reason === decision.reason ? '' : ` (${view.decision.reason})`;
    return `answer to ${proxy}: ${view.said}${differs}`;
  });
}

/** What is imagined is at hand, so the core has nothing to wait for. */
function decideNow(request: CheckRequest, policy: Policy, authenticate: Authenticate): Decision {
  const decision = decide(request, policy, authenticate);
  if (decision instanceof Promise) throw new TypeError('an imagined credential cannot need time');
  return decision;
}

/** The raw text of each part, because `new URL` would resolve what a proxy passes on as it is. */
function addressOf({ publicUrl }: Config, { url }: Question) {
  const absolute = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(url);
  const base = new URL(publicUrl);
  const rest = absolute === null ? url : (absolute[3] as string);
  return {
    scheme: (absolute?.[1]?.toLowerCase() ?? base.protocol.slice(0, -1)) as 'http' | 'https',
    host: absolute?.[2] ?? base.host,
    target: rest === '' || rest.startsWith('?') ? `/${rest}` : rest,
  };
}

function imagine(config: Config, question: Question): CheckRequest | string {
  const { scheme, host: given, target: text } = addressOf(config, question);
  const host = canonicalHost(given, scheme);
  if (host instanceof Ambiguous) return `forwarded_headers: ${host.problem}`;
  const parsed = parseTarget(text);
  const target = parsed instanceof Ambiguous ? parsed.encoded : parsed;
  if (target === undefined) return `ambiguous_target: ${(parsed as Ambiguous).problem}`;
  const headers = new RequestHeaders(Object.entries(question.headers).flat());
  return {
    proxy: 'traefik',
    method: question.method.toUpperCase(),
    scheme,
    host,
    ...target,
    clientAddress: '',
    headers,
  };
}

function credentialOf({ user, groups = [], scopes = [], provider }: Question, config: Config): Authenticate {
  const { providers } = config.auth;
  const issuer = (providers.find(({ id }) => id === provider) ?? providers[0])?.issuer ?? '';
  const identity = { subject: user ?? '', email: '', name: '', groups, scopes, method: 'bearer', issuer } as const;
  const answer: Authentication = user === undefined ? ABSENT : { kind: 'identity', identity };
  return () => answer;
}

function describeRequest(request: CheckRequest, policy: Policy): string[] {
  const rule = policy.rules.match(request);
  const operation = readOperation(request);
  const lines = [
    `request: ${request.method} ${request.scheme}://${request.host}${request.path}`,
    `resource: ${policy.resources.of(request).uri}`,
    `rule: ${rule === undefined ? 'none matches' : `${rule.name}${rule.public ? ' (public)' : ''}`}`,
  ];
  if (typeof operation === 'object')
    lines.push(`operation: ${operation.method}${operation.tool === undefined ? '' : ` ${operation.tool}`}`);
  if (rule !== undefined && !rule.public && typeof operation !== 'string') {
    const byRelay = operation === HIDDEN && policy.readsBodies?.(request) === true;
    const scopes = rule.scopes.of(byRelay ? undefined : operation).join(' ') || 'none';
    lines.push(`scopes needed: ${scopes}${byRelay ? ', and what the relay finds in the body' : ''}`);
  }
  return lines;
}

function describeDecision(decision: Decision): string[] {
  switch (decision.kind) {
    case 'allow':
      return [
        `decision: allow (200, ${decision.reason})`,
        `identity: ${decision.identity.method === 'anonymous' ? 'anonymous' : decision.identity.subject}`,
      ];
    case 'challenge':
      return [`decision: challenge (401, ${decision.reason}: ${decision.description})`];
    case 'deny':
      return [`decision: deny (${decision.status}, ${decision.reason}: ${decision.description})`];
    case 'redirect':
      return [`decision: redirect (302, ${decision.reason})`, `location: ${decision.location}`];
    case 'limit':
      return [`decision: limit (429, ${decision.reason} by ${decision.by})`];
    case 'unavailable':
      return [`decision: unavailable (503, ${decision.reason}: ${decision.description})`];
    default:
      return decision satisfies never;
  }
}
