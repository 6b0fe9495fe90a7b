import type { Config } from '../platform/config/schema.ts';
import { ABSENT, type Authenticate, type Authentication } from './decision/authentication.ts';
import { decide, type Policy } from './decision/decide.ts';
import type { Decision } from './decision/decision.ts';
import { readOperation } from './decision/mcp-operation.ts';
import { type CheckRequest, RequestHeaders } from './decision/request.ts';
import { Ambiguous, canonicalHost, parseTarget } from './decision/target.ts';
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
}

/** Says which rule matches, which decision follows and why, by the same rules and the same core that answer proxies. */
export function explainRequest(config: Config, question: Question): string[] {
  const request = imagine(config, question);
  if (typeof request === 'string') return [`decision: deny (400, ${request})`];
  const policy = compilePolicy(config);
  const decision = decide(request, policy, credentialOf(question, config));
  // What is imagined is at hand, so the core has nothing to wait for.
  if (decision instanceof Promise) throw new TypeError('an imagined credential cannot need time');
  return [...describeRequest(request, policy), ...describeDecision(decision)];
}

function imagine(config: Config, question: Question): CheckRequest | string {
  const absolute = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(question.url);
  const base = new URL(config.publicUrl);
  const scheme = (absolute?.[1]?.toLowerCase() ?? base.protocol.slice(0, -1)) as 'http' | 'https';
  const host = canonicalHost(absolute?.[2] ?? base.host, scheme);
  if (host instanceof Ambiguous) return `forwarded_headers: ${host.problem}`;
  // The raw text, because `new URL` would resolve what a proxy passes on as it is.
  const rest = absolute === null ? question.url : (absolute[3] as string);
  const target = parseTarget(rest === '' || rest.startsWith('?') ? `/${rest}` : rest);
  if (target instanceof Ambiguous) return `ambiguous_target: ${target.problem}`;
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
    `resource: ${policy.resources.of(request.path).uri}`,
    `rule: ${rule === undefined ? 'none matches' : `${rule.name}${rule.public ? ' (public)' : ''}`}`,
  ];
  if (typeof operation === 'object')
    lines.push(`operation: ${operation.method}${operation.tool === undefined ? '' : ` ${operation.tool}`}`);
  if (rule !== undefined && !rule.public && typeof operation !== 'string')
    lines.push(`scopes needed: ${rule.scopesFor(operation).join(' ') || 'none'}`);
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
