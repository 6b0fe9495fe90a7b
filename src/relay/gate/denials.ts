import type { Cause } from '../../identity/denial-cause.ts';
import { bearerChallenge } from '../../platform/bearer-challenge.ts';
import type { Call, Denied } from '../policy/policy-decision.ts';
import { FORBIDDEN, INVALID_PARAMS, LIMITED } from '../protocol/error-codes.ts';
import type { Refusal } from '../refusal.ts';

const WHY: Readonly<Record<Denied['reason'], string>> = {
  no_rule: 'no rule of the policy allows it',
  rule: 'the policy forbids it',
  read_only: 'only tools that the server lists as read-only may be called here',
  unclear: 'the message can be read in more than one way; spell keys, names and methods exactly and give each once',
};

/**
 * A denial as the client gets it: a JSON-RPC error that names the permission. With status 200, because clients show the
 * error of a response and of another status only the number; where a scope is missing with 403 and a challenge, by which
 * they ask for it (basic/authorization, scope challenge).
 *
 * @param cause for the operator
 * @param metadataUrl protected-resource metadata of the server (RFC 9728)
 */
export function denialOf(
  denied: Denied,
  cause: Cause,
  { identity, answerable }: Pick<Call, 'identity'> & { readonly answerable: boolean },
  metadataUrl: string,
): Refusal {
  const { permission, reason, rule, scopes } = denied;
  const needs = scopes.length === 0 ? WHY[reason] : `it needs the scope ${scopes.join(' ')}`;
  const refusal = {
    reason: 'policy',
    message: `you may not use ${permission}: ${needs}`,
    ...{ rule, ...cause },
    code: FORBIDDEN,
    data: { permission, reason, ...(scopes.length === 0 ? {} : { scopes }) },
  } as const;
  // A GET and a notification have no JSON-RPC answer.
  const status = answerable ? 200 : 403;
  if (scopes.length === 0 || identity.method !== 'bearer') return { ...refusal, status };
  return {
    ...refusal,
    status: 403,
    headers: {
      'WWW-Authenticate': bearerChallenge({
        error: 'insufficient_scope',
        error_description: 'more scopes are needed',
        resource_metadata: metadataUrl,
        scope: scopes.join(' '),
      }),
    },
  };
}

/** @param retryIn milliseconds */
export function tooMany(by: string, retryIn: number): Refusal {
  const seconds = Math.max(1, Math.ceil(retryIn / 1000));
  return {
    status: 429,
    reason: 'rate_limited',
    message: `too many requests (limit by ${by}): try again in ${seconds} s`,
    fix: 'raise it in relay.rateLimits if so many are wanted',
    code: LIMITED,
    data: { retryAfter: seconds },
    headers: { 'Retry-After': String(seconds) },
  };
}

export const UNRECORDED: Refusal = {
  status: 503,
  reason: 'audit',
  message: 'the relay cannot record what is done; try again shortly',
  fix: 'the audit log cannot be written: look at its disk or store; audit.whenFull: drop would go on without it',
  headers: { 'Retry-After': '5' },
};

/** @param permission what may not be done */
export function heldBack(permission: string): Refusal {
  return {
    status: 200,
    reason: 'tool_held_back',
    message: `you may not use ${permission}: its definition is new or changed and waits for an operator's approval`,
    needs: 'an operator’s approval of the definition of the tool',
    has: 'a definition that is new or changed',
    fix: '`postern pins list` shows it, `postern pins approve` lets it through',
    code: FORBIDDEN,
    data: { permission, reason: 'tool_held_back' },
  };
}

/** @param limit bytes */
export function argumentsTooLarge(limit: number): Refusal {
  return {
    status: 200,
    reason: 'arguments_too_large',
    message: `the arguments of this tool may have ${limit} bytes`,
    fix: 'raise `maxArguments` in relay.callLimits if such calls are wanted',
    code: INVALID_PARAMS,
  };
}

/** @param limit bytes */
export function answerTooLarge(limit: number): Refusal {
  return {
    status: 502,
    reason: 'answer_too_large',
    message: `the answer of the MCP server is larger than ${limit} bytes`,
    fix: 'raise the limit in relay.callLimits, or relay.limits.maxServerMessage for lists, if such answers are wanted',
  };
}

/** @param limit milliseconds */
export function callTooLong(limit: number): Refusal {
  return {
    status: 504,
    reason: 'call_too_long',
    message: `the MCP server had not answered whole within ${limit} ms`,
    fix: 'raise `timeout` in relay.callLimits if such calls are wanted',
  };
}

export const UNREADABLE: Refusal = {
  status: 502,
  reason: 'upstream_unreachable',
  message: 'the MCP server answered in a form that the policy cannot read',
  fix: 'it must answer with application/json or text/event-stream in UTF-8, without Content-Encoding, and give each key once',
};

export const ANSWER_ELSEWHERE: Refusal = {
  status: 502,
  reason: 'upstream_unreachable',
  message: 'the MCP server answered another request than the one it was asked',
  fix: 'the id of its answer must be that of the request (JSON-RPC 2.0 §5)',
};
