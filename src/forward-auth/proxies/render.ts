import { toHeaders } from '../../identity/headers.ts';
import type { Identity } from '../../identity/identity.ts';
import type { Allow, Challenge, Decision, Deny } from '../decision/decision.ts';

/** An answer to a proxy that is no allow. */
export interface Refusal {
  readonly status: number;
  /** Names and values alternating, as `writeHead` takes them. */
  readonly headers: readonly string[];
  readonly body: string;
}

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
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Expose-Headers': 'WWW-Authenticate, Mcp-Session-Id',
} as const;
/** Seconds. */
const RETRY_AFTER = '5';

/**
 * The headers of an allow, for `writeHead(200, …)`: every identity header, because a proxy overwrites only what it is
 * given, and a length, without which nginx loses its connection.
 *
 * @returns names and values alternating
 */
export function allowHeaders(identity: Identity, assertion: string): string[] {
  return ['Content-Length', '0', 'Cache-Control', 'no-store', ...toHeaders(identity, assertion).flat()];
}

/** Everything but an allow, which `allowHeaders` renders: no way leads from here to a 2xx. */
export function renderRefusal(decision: Exclude<Decision, Allow>, requestId: string): Refusal {
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
      return template(401, decision.reason === 'no_credential' ? 'unauthorized' : 'invalid_token', decision, {
        'WWW-Authenticate': challengeOf(decision),
      });
    case 'deny':
      return template(
        decision.status,
        errorOf(decision),
        decision,
        decision.step === undefined ? {} : { 'WWW-Authenticate': stepUpOf(decision, decision.step) },
      );
    case 'unavailable':
      return template(503, 'temporarily_unavailable', decision, { 'Retry-After': RETRY_AFTER });
    default:
      return decision satisfies never;
  }
}

function template(
  status: number,
  error: string,
  decision: { readonly description: string; readonly reason: string },
  headers: Readonly<Record<string, string>>,
): Template {
  const fields = { error, error_description: decision.description, reason: decision.reason, request_id: '' };
  const body = JSON.stringify(fields);
  return {
    status,
    headers: Object.entries({
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
      ...CORS,
      ...headers,
    }).flat(),
    bodyStart: body.slice(0, -2),
    bodyLength: Buffer.byteLength(body),
  };
}

function errorOf(decision: Deny): string {
  if (decision.reason === 'insufficient_scope') return 'insufficient_scope';
  return decision.status === 403 ? 'forbidden' : 'invalid_request';
}

/** RFC 6750 §3: no error code where no token was sent. */
function challengeOf(challenge: Challenge): string {
  return bearer([
    ...(challenge.reason === 'no_credential'
      ? []
      : ([
          ['error', 'invalid_token'],
          ['error_description', challenge.description],
        ] as const)),
    ['resource_metadata', challenge.metadataUrl],
    ['scope', challenge.scopes.join(' ')],
  ]);
}

function stepUpOf(decision: Deny, step: NonNullable<Deny['step']>): string {
  return bearer([
    ['error', 'insufficient_scope'],
    ['error_description', decision.description],
    ['resource_metadata', step.metadataUrl],
    ['scope', step.scopes.join(' ')],
  ]);
}

function bearer(parameters: ReadonlyArray<readonly [name: string, value: string | undefined]>): string {
  const given = parameters.filter(([, value]) => value !== undefined && value !== '');
  return `Bearer ${given.map(([name, value]) => `${name}="${quotable(value as string)}"`).join(', ')}`.trim();
}

/** RFC 6750 §3: neither quotes nor backslashes in these values. */
function quotable(value: string): string {
  return value.replace(/[^\x20-\x7e]|["\\]/g, '');
}
