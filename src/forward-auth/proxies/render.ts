import { toHeaders } from '../../identity/headers.ts';
import type { Identity } from '../../identity/identity.ts';
import { bearerChallenge } from '../../platform/bearer-challenge.ts';
import type { Allow, Challenge, Decision, Deny, Limit } from '../decision/decision.ts';
import type { ProxyAnswer } from '../decision/proxy-check.ts';

type Field = readonly [name: string, value: string];

/** A refusal without the request's id, which alone differs from one request to the next. */
interface Template {
  readonly status: number;
  readonly headers: readonly string[];
  readonly bodyStart: string;
  readonly bodyLength: number;
}

/** The core gives the same object again for the commonest refusal, a missing credential. */
const templates = new WeakMap<Exclude<Decision, Allow>, Template>();

/** Browser-based MCP clients must be able to read why they were refused. */
const EXPOSED: Field = [
  'Access-Control-Expose-Headers',
  'WWW-Authenticate, Mcp-Session-Id, Retry-After, RateLimit, RateLimit-Policy',
];
const CORS: readonly Field[] = [['Access-Control-Allow-Origin', '*'], EXPOSED];
/** Seconds. */
const RETRY_AFTER = '5';

/**
 * The headers of an allow, for `writeHead(200, …)`: every identity header, because a proxy overwrites only what it is
 * given, and a length, without which nginx loses its connection.
 *
 * @param more names and values alternating, such as those of other products
 * @returns names and values alternating
 */
export function allowHeaders(identity: Identity, assertion: string, more: readonly string[] = []): string[] {
  return ['Content-Length', '0', 'Cache-Control', 'no-store', ...toHeaders(identity, assertion).flat(), ...more];
}

/**
 * The same with what belongs to this request alone: cookies for the browser, and what of its own cookies goes upstream.
 *
 * @param headers as `allowHeaders` made them
 */
export function withCookies(headers: string[], { cookies, upstreamCookie }: Allow): string[] {
  if (cookies === undefined && upstreamCookie === undefined) return headers;
  const all = [...headers];
  // Empty as well: Envoy would pass the request's own on where the answer has none.
  if (upstreamCookie !== undefined) all.push('Cookie', upstreamCookie);
  for (const cookie of cookies ?? []) all.push('Set-Cookie', cookie);
  return all;
}

/** Everything but an allow, which `allowHeaders` renders: no way leads from here to a 2xx. */
export function renderRefusal(decision: Exclude<Decision, Allow>, requestId: string): ProxyAnswer {
  let template = templates.get(decision);
  if (template === undefined) {
    template = templateOf(decision);
    templates.set(decision, template);
  }
  const { status, bodyStart, bodyLength } = template;
  // A request id is a few harmless ASCII characters, which JSON writes as they are.
  const body = `${bodyStart}${requestId}"}`;
  return { status, headers: [...template.headers, 'Content-Length', String(bodyLength + requestId.length)], body };
}

function templateOf(decision: Exclude<Decision, Allow>): Template {
  switch (decision.kind) {
    case 'challenge':
      return template(
        401,
        decision.reason === 'no_credential' ? 'unauthorized' : 'invalid_token',
        decision,
        [['WWW-Authenticate', challengeOf(decision)], ...corsOf(decision), ...cookiesOf(decision)],
        decision.signInUrl === undefined ? {} : { sign_in_url: decision.signInUrl },
      );
    case 'deny':
      return template(
        decision.status,
        errorOf(decision),
        decision,
        decision.step === undefined ? CORS : [['WWW-Authenticate', stepUpOf(decision, decision.step)], ...CORS],
      );
    case 'redirect':
      return template(
        302,
        'sign_in_required',
        { reason: decision.reason, description: WHY_REDIRECTED[decision.reason] },
        [['Location', decision.location], ...cookiesOf(decision)],
      );
    case 'limit': {
      const seconds = Math.max(1, Math.ceil(decision.resetIn / 1000));
      const description = `too many requests by ${decision.by}; try again in ${seconds} s`;
      return template(429, 'rate_limited', { reason: decision.reason, description }, [
        ...limitFields(decision, seconds),
        ...CORS,
      ]);
    }
    case 'unavailable':
      return template(503, 'temporarily_unavailable', decision, [['Retry-After', RETRY_AFTER], ...CORS]);
    default:
      return decision satisfies never;
  }
}

const WHY_REDIRECTED = {
  sign_in: 'sign in to go on',
  wrong_address: 'people sign in at another address',
  home: 'the home page lists the servers',
} as const;

function template(
  status: number,
  error: string,
  decision: { readonly description: string; readonly reason: string },
  headers: readonly Field[],
  more: Readonly<Record<string, string>> = {},
): Template {
  const fields = { error, error_description: decision.description, reason: decision.reason, ...more, request_id: '' };
  const body = JSON.stringify(fields);
  return {
    status,
    headers: [['Content-Type', 'application/json'], ['Cache-Control', 'no-store'], ...headers].flat(),
    bodyStart: body.slice(0, -2),
    bodyLength: Buffer.byteLength(body),
  };
}

/** A page of a known other origin may read the answer to a request with its cookies (Fetch §3.2.5). */
function corsOf({ corsOrigin }: Challenge): readonly Field[] {
  if (corsOrigin === undefined) return CORS;
  return [
    ['Access-Control-Allow-Origin', corsOrigin],
    ['Access-Control-Allow-Credentials', 'true'],
    ['Vary', 'Origin'],
    EXPOSED,
  ];
}

function cookiesOf({ cookies = [] }: { readonly cookies?: readonly string[] }): Field[] {
  return cookies.map((cookie) => ['Set-Cookie', cookie]);
}

/** draft-ietf-httpapi-ratelimit-headers-10; the window and what is left of it in seconds. */
function limitFields(decision: Limit, seconds: number): Field[] {
  const window = Math.ceil(decision.window / 1000);
  return [
    ['Retry-After', String(seconds)],
    ['RateLimit-Policy', `"${decision.by}";q=${decision.limit};w=${window}`],
    ['RateLimit', `"${decision.by}";r=0;t=${seconds}`],
  ];
}

function errorOf(decision: Deny): string {
  if (decision.reason === 'insufficient_scope') return 'insufficient_scope';
  if (decision.status === 404) return 'not_found';
  return decision.status === 403 ? 'forbidden' : 'invalid_request';
}

/** RFC 6750 §3: no error code where no token was sent. */
function challengeOf({ reason, description, metadataUrl, scopes }: Challenge): string {
  const sent = reason !== 'no_credential';
  return bearerChallenge({
    ...(sent && { error: 'invalid_token', error_description: description }),
    resource_metadata: metadataUrl,
    scope: scopes.join(' '),
  });
}

function stepUpOf({ description }: Deny, { metadataUrl, scopes }: NonNullable<Deny['step']>): string {
  return bearerChallenge({
    error: 'insufficient_scope',
    error_description: description,
    resource_metadata: metadataUrl,
    scope: scopes.join(' '),
  });
}
