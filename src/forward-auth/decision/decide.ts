import { ANONYMOUS, type Identity } from '../../identity/identity.ts';
import { identityExcess, identitySize } from '../../identity/identity-size.ts';
import type { OperationDemand } from '../../identity/operation-demand.ts';
import { isFormSubmission, isNavigation } from '../../platform/navigation.ts';
import type { Absent, Authenticate, Authenticated, Authentication, Rejected } from './authentication.ts';
import {
  type Allow,
  type AllowReason,
  type Challenge,
  type Decision,
  deny,
  type Limit,
  type Redirect,
} from './decision.ts';
import {
  insufficientScopeCause,
  NO_RULE_CAUSE,
  notAllowedCause,
  ORIGIN_CAUSE,
  SUSPENDED_CAUSE,
} from './denial-cause.ts';
import { type Limits, NO_LIMITS } from './limits.ts';
import { HIDDEN, type McpOperation, readOperation } from './mcp-operation.ts';
import { isMetadataLookup, type OwnAuthorizationServer, ownEndpoint } from './own-endpoints.ts';
import type { CheckRequest } from './request.ts';
import type { Place, Resource, Resources } from './resources.ts';
import type { Rule, Rules } from './rules.ts';
import type { SignIn } from './sign-in.ts';

/** What decisions are made by: one configuration. */
export interface Policy {
  readonly rules: Rules;
  readonly resources: Resources;
  readonly limits?: Limits;
  /** Bytes of what is known of one person, `auth.limits.maxIdentity`; undefined: no limit. */
  readonly maxIdentity?: number;
  /** Whether an operator keeps this user out; absent: nobody is kept out. */
  readonly isSuspended?: (identity: Identity) => boolean;
  /** Absent where nobody can sign in. */
  readonly signIn?: SignIn;
  /** Origins whose preflights pass to applications; undefined: none. */
  readonly corsOrigins?: ReadonlySet<string>;
  /** Origins whose pages may use MCP servers; undefined: all. */
  readonly allowedOrigins?: ReadonlySet<string>;
  /** Absent where the broker is off. */
  readonly authorizationServer?: OwnAuthorizationServer;
  /** The metadata of a provider is at our origin as well. */
  readonly handsOnMetadata?: boolean;
  /** Whether the relay reads what is sent there and asks for the scopes of what it finds; undefined: nowhere. */
  readonly readsBodies?: (place: Place) => boolean;
  /** What of a `Cookie` header may go on upstream; undefined: all of it. */
  readonly upstreamCookie?: (request: CheckRequest) => string | undefined;
}

const NO_RULE = deny(403, 'no_rule', 'no rule allows this request', '', { cause: NO_RULE_CAUSE });

type Operation = McpOperation | typeof HIDDEN | undefined;
type Eventually<T> = T | Promise<T>;

/** Rule → limit → authenticate → limit → authorize. Synchronous where authentication and limits are. */
export function decide(request: CheckRequest, policy: Policy, authenticate: Authenticate): Eventually<Decision> {
  // An endpoint of ours is never written with encoded delimiters.
  const exempt = request.readings === undefined ? exemptionOf(request, policy) : undefined;
  if (exempt !== undefined) return allowExempt(exempt, request, policy);

  const asked = preflightOf(request, policy);
  const rule = policy.rules.match(asked === undefined ? request : { ...request, method: asked });
  if (request.readings !== undefined && (rule === undefined || !isOneResource(request, request.readings, policy)))
    return ENCODED;
  if (rule === undefined) return isVainLookup(request, policy) ? NO_METADATA : (atRoot(request, policy) ?? NO_RULE);
  const limited = (policy.limits ?? NO_LIMITS).beforeAuthentication(request);
  // Promises and closures cost more than a cached look-up: there are some only where something has to be waited for.
  return limited instanceof Promise
    ? limited.then((settled) => underLimit(settled, rule, request, policy, authenticate))
    : underLimit(limited, rule, request, policy, authenticate);
}

/** What no rule is asked about; undefined: rules decide. */
function exemptionOf(request: CheckRequest, policy: Policy): Parameters<typeof allowExempt>[0] | undefined {
  const own = ownEndpoint(request, policy.authorizationServer, policy.handsOnMetadata);
  if (own !== undefined && isOurs(own, request, policy)) return own;
  // A browser sends preflights without credentials (Fetch §4.8): a challenge would break every browser-based client.
  return isPreflight(request) && policy.resources.isMcpEndpoint(request) ? 'preflight' : undefined;
}

const ENCODED = deny(
  400,
  'ambiguous_target',
  'the path holds an encoded slash, percent sign or delimiter; a rule for everything below a path allows it by encodedDelimiters',
);

const NO_METADATA = deny(404, 'no_metadata', 'there is no metadata of an authorization server here');

/** The first address that a newcomer tries, where no application is. */
function atRoot(request: CheckRequest, { resources, signIn }: Policy): Redirect | undefined {
  const { host, path } = request;
  if (signIn === undefined || !isNavigation(request) || !resources.isAt(host)) return undefined;
  const base = resources.rest.path;
  return path === base || `${path}/` === base ? toHome(signIn.homeUrlFor(host)) : undefined;
}

/** A person who opens the address of a server in a browser learns how to add it to a client. */
function atServer(rule: Rule, request: CheckRequest, { resources, signIn }: Policy): Redirect | undefined {
  if (request.method !== 'GET' || signIn === undefined || !resources.isMcpEndpoint(request)) return undefined;
  const { isMcp, server = 'all-servers' } = resources.of(request);
  return isMcp && isNavigation(request) ? toHome(`${signIn.homeUrlFor(request.host)}#${server}`, rule.name) : undefined;
}

function toHome(location: string, rule = ''): Redirect {
  return { kind: 'redirect', reason: 'home', location, rule };
}

/** At our own address, and nobody whom a rule admits: an application may have such documents for people who are signed in. */
function isVainLookup(request: CheckRequest, { resources }: Policy): boolean {
  return isMetadataLookup(request) && resources.isAt(request.host);
}

/** Otherwise a token could be good for one reading and not for the other. */
function isOneResource(request: CheckRequest, readings: readonly string[], { resources }: Policy): boolean {
  const { scheme, host } = request;
  return readings.every((path) => resources.of({ scheme, host, path }) === resources.of(request));
}

function underLimit(
  limited: Limit | undefined,
  rule: Rule,
  request: CheckRequest,
  policy: Policy,
  authenticate: Authenticate,
): Eventually<Decision> {
  if (limited !== undefined) return ofRule(limited, rule);
  if (preflightOf(request, policy) !== undefined) return allowExempt('preflight', request, policy, rule.name);
  if (isForeignPage(request, policy))
    return deny(403, 'origin', 'requests from this Origin are not allowed', rule.name, { cause: ORIGIN_CAUSE });
  if (rule.public) return allow('public', { kind: 'identity', identity: ANONYMOUS }, rule, request, policy);
  const shown = readOperation(request);
  if (typeof shown === 'string') return deny(400, 'mcp_headers', shown, rule.name);
  const authentication = authenticate(request, policy.resources.of(request), rule);
  return authentication instanceof Promise
    ? authentication.then((settled) => known(settled, rule, shown, request, policy))
    : known(authentication, rule, shown, request, policy);
}

/** It is known who asks, or why nobody does. */
function known(
  authentication: Authentication,
  rule: Rule,
  shown: Operation,
  request: CheckRequest,
  policy: Policy,
): Eventually<Decision> {
  if (authentication.kind === 'limit') return ofRule(authentication, rule);
  // Of what only the body tells, the relay asks the rest.
  const operation = shown === HIDDEN && policy.readsBodies?.(request) === true ? undefined : shown;
  if (authentication.kind !== 'identity') return refuse(authentication, rule, operation, request, policy);
  const { identity } = authentication;
  if (policy.maxIdentity !== undefined && identitySize(identity) > policy.maxIdentity)
    return deny(431, 'identity_too_large', identityExcess(identity, policy.maxIdentity), rule.name, { identity });
  if (policy.isSuspended?.(identity) === true)
    return deny(403, 'user_suspended', SUSPENDED, rule.name, { identity, cause: SUSPENDED_CAUSE });
  const counted = shown === HIDDEN ? undefined : shown;
  const exceeded = (policy.limits ?? NO_LIMITS).afterAuthentication(request, authentication, counted);
  if (exceeded === undefined) return authorize(authentication, rule, operation, request, policy);
  if (!(exceeded instanceof Promise)) return ofRule(exceeded, rule);
  return exceeded.then((settled) =>
    settled === undefined ? authorize(authentication, rule, operation, request, policy) : ofRule(settled, rule),
  );
}

const SUSPENDED = 'this user is suspended: ask the people who run this service';

function ofRule(limit: Limit, rule: Rule): Limit {
  return { ...limit, rule: rule.name };
}

function authorize(
  authenticated: Authenticated,
  rule: Rule,
  operation: Operation,
  request: CheckRequest,
  policy: Policy,
): Decision {
  const { identity, cookies } = authenticated;
  const scopes = rule.scopes.of(operation);
  if (!rule.admits(identity)) {
    const cause = notAllowedCause(rule, identity);
    return deny(403, 'not_allowed', 'this user may not do this', rule.name, { identity, cause });
  }
  if (identity.method === 'session') {
    const page = atServer(rule, request, policy);
    if (page !== undefined) return cookies === undefined ? page : { ...page, cookies };
  }
  if (policy.rules.covers(identity.scopes, scopes)) return allow('authorized', authenticated, rule, request, policy);
  const { metadataUrl } = policy.resources.of(request);
  const description = `this needs the scopes: ${scopes.join(' ')}`;
  const cause = insufficientScopeCause(rule, identity, scopes);
  return {
    ...deny(403, 'insufficient_scope', description, rule.name, { identity, cause }),
    step: { scopes, metadataUrl },
  };
}

/** Fetch §3.3.1: both headers come with it. Everything else with this method is a request that rules decide. */
function isPreflight({ method, headers }: CheckRequest): boolean {
  return (
    method === 'OPTIONS' &&
    headers.get('origin') !== undefined &&
    headers.get('access-control-request-method') !== undefined
  );
}

/**
 * The method that a page of a known origin asks whether it may use at an application, which answers for itself: no answer
 * of ours to a proxy can be a 2xx without being an allow. Browsers send no credential with it (Fetch §4.8), so what
 * carries one is no preflight.
 */
function preflightOf(request: CheckRequest, { corsOrigins, resources }: Policy): string | undefined {
  if (request.method !== 'OPTIONS' || corsOrigins === undefined || !isPreflight(request)) return undefined;
  const { headers } = request;
  const [origin, asked] = [headers.get('origin'), headers.get('access-control-request-method')];
  if (typeof origin !== 'string' || typeof asked !== 'string' || !corsOrigins.has(origin)) return undefined;
  if (PERSONAL.some((name) => headers.get(name) !== undefined)) return undefined;
  return resources.of(request).isMcp ? undefined : asked;
}

/**
 * Another site's page that uses its visitor's network, as the relay would find: asked before the credential, so that such a
 * page does not learn by a 401 what is there, and a person's browser is not sent to sign in.
 */
function isForeignPage(request: CheckRequest, { allowedOrigins, resources }: Policy): boolean {
  const origin = request.headers.get('origin');
  if (origin === undefined || allowedOrigins === undefined) return false;
  if (typeof origin === 'string' && allowedOrigins.has(origin)) return false;
  return resources.isMcpEndpoint(request) && resources.of(request).isMcp;
}

const PERSONAL = ['cookie', 'authorization', 'upgrade'];

/** At another host the path is an application's, which may answer the same at every path and counts on its rules. */
function isOurs(
  reason: 'metadata' | 'sign_in' | 'oauth',
  { host }: CheckRequest,
  { signIn, resources }: Policy,
): boolean {
  return reason === 'sign_in' ? signIn?.isAt(host) === true : resources.isAt(host);
}

/** What no rule is asked about. Our pages alone read the session's cookie. */
function allowExempt(
  reason: Exclude<AllowReason, 'authorized' | 'public'>,
  request: CheckRequest,
  policy: Policy,
  rule = '',
): Allow {
  const forPeople = reason === 'sign_in' || reason === 'oauth';
  const upstreamCookie = forPeople ? undefined : policy.upstreamCookie?.(request);
  return { kind: 'allow', reason, identity: ANONYMOUS, rule, upstreamCookie };
}

function allow(
  reason: 'authorized' | 'public',
  { identity, credential, cookies }: Authenticated,
  rule: Rule,
  request: CheckRequest,
  policy: Policy,
): Decision {
  const upstreamCookie = policy.upstreamCookie?.(request);
  const demand = reason === 'authorized' ? demandOf(identity, rule, request, policy) : undefined;
  const emit = rule.emit.length === 0 ? undefined : rule.emit;
  // One literal: an object that is copied or grows costs as much as all the rest.
  return { kind: 'allow', reason, identity, credential, rule: rule.name, cookies, upstreamCookie, emit, demand };
}

/** Of every request, whatever its headers show: one answer serves all that an identity sends to a path. */
function demandOf(identity: Identity, rule: Rule, request: CheckRequest, policy: Policy): OperationDemand | undefined {
  if (policy.readsBodies?.(request) !== true) return undefined;
  const covers = (scopes: readonly string[]) => policy.rules.covers(identity.scopes, scopes);
  return rule.scopes.demandOf(identity, policy.resources.of(request).metadataUrl, covers);
}

function refuse(
  authentication: Absent | Rejected,
  rule: Rule,
  operation: Operation,
  request: CheckRequest,
  policy: Policy,
): Decision {
  if (authentication.kind === 'rejected' && authentication.status !== 401)
    return deny(authentication.status, authentication.reason, authentication.description, rule.name);
  if (isVainLookup(request, policy)) return NO_METADATA;
  const resource = policy.resources.of(request);
  const scopes = rule.scopes.of(operation);
  const navigation = isNavigation(request);
  // An MCP client finds its way by the metadata; the page is for a person who opens the address in a browser.
  const form = isFormSubmission(request);
  const forPeople = navigation || form || !policy.resources.isMcpEndpoint(request);
  const signInUrl = forPeople ? policy.signIn?.urlFor(request, rule) : undefined;
  const cookies = authentication.kind === 'rejected' ? authentication.cookies : undefined;
  const location = form ? policy.signIn?.urlForForm(request, rule) : signInUrl;
  if (location !== undefined && maySignIn(authentication) && (navigation || form))
    return {
      kind: 'redirect',
      reason: 'sign_in',
      location,
      rule: rule.name,
      ...(cookies === undefined ? {} : { cookies }),
    };
  const elsewhere =
    (navigation || form) && signInUrl === undefined && maySignIn(authentication)
      ? policy.signIn?.wrongAddressOf(request, rule)
      : undefined;
  if (elsewhere !== undefined) return { kind: 'redirect', reason: 'wrong_address', ...elsewhere, rule: rule.name };
  if (authentication.kind === 'absent' && signInUrl === undefined && !rule.sessionOnly)
    return withoutCredential(rule, resource, scopes);
  const missing = rule.sessionOnly ? 'sign in; no other credential counts here' : 'sign in, or send a bearer token';
  const { reason, description } =
    authentication.kind === 'absent' ? ({ reason: 'no_credential', description: missing } as const) : authentication;
  const corsOrigin = signInUrl === undefined ? undefined : policy.signIn?.corsOriginOf(request);
  return {
    kind: 'challenge',
    reason,
    description,
    scopes,
    metadataUrl: resource.metadataUrl,
    rule: rule.name,
    ...(signInUrl === undefined ? {} : { signInUrl }),
    ...(corsOrigin === undefined ? {} : { corsOrigin }),
    ...(cookies === undefined ? {} : { cookies }),
  };
}

/** A person without a session, or with one that has ended. A bad token is a program's, which cannot sign in. */
function maySignIn(authentication: Absent | Rejected): boolean {
  return authentication.kind === 'absent' || authentication.reason === 'session_ended';
}

/** By list of scopes, which is one object for each rule, and resource; both live as long as the configuration. */
const challenges = new WeakMap<readonly string[], WeakMap<Resource, Challenge>>();

/** The answer that every MCP client gets first, so it is made once. */
function withoutCredential(rule: Rule, resource: Resource, scopes: readonly string[]): Challenge {
  let byResource = challenges.get(scopes);
  if (byResource === undefined) {
    byResource = new WeakMap();
    challenges.set(scopes, byResource);
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
