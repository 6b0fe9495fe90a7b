import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cause } from '../identity/denial-cause.ts';
import type { Identity } from '../identity/identity.ts';
import { DependencyUnavailable } from '../platform/errors.ts';
import { sendJsonText, sendText } from '../platform/http.ts';
import type { RenderedPage } from '../platform/pages/page.ts';
import { SERVER_ERROR } from './protocol/error-codes.ts';
import { writeJson } from './protocol/json.ts';
import type { MessageId } from './protocol/json-rpc.ts';

/** Why a request was refused. A closed set, because it becomes a metric label. */
export type RefusalReason =
  | 'not_found'
  | 'method_not_allowed'
  | 'token_in_query'
  | 'origin'
  | 'duplicate_header'
  | 'header_alias'
  | 'header_trailer'
  | 'header_connection'
  | 'spoof_attempt'
  | 'unproven_peer'
  | 'proxy_secret'
  | 'proxy_certificate'
  | 'no_identity'
  | 'assertion_missing'
  | 'assertion_invalid'
  | 'assertion_binding'
  | 'assertion_user'
  | 'credential_ended'
  | 'user_suspended'
  | 'jwt_missing'
  | 'jwt_invalid'
  | 'identity_conflict'
  | 'identity_malformed'
  | 'held_to_proxy'
  | 'held_to_jwt'
  | 'identity_too_large'
  | 'authentication_disabled'
  | 'dependency'
  | 'body_too_large'
  | 'content_type'
  | 'not_acceptable'
  | 'invalid_json'
  | 'batch'
  | 'invalid_message'
  | 'protocol_version'
  | 'header_mismatch'
  | 'insufficient_scope'
  | 'session_unknown'
  | 'session_server'
  | 'session_owner'
  | 'subprotocol'
  | 'upgrade'
  | 'too_many_requests'
  | 'budget_spent'
  | 'too_many_servers'
  | 'draining'
  | 'passthrough_value'
  | 'not_connected'
  | 'audit'
  | 'policy'
  | 'rate_limited'
  | 'tool_held_back'
  | 'arguments_too_large'
  | 'answer_too_large'
  | 'call_too_long'
  | 'upstream_credentials'
  | 'upstream_redirect'
  | 'upstream_page'
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'internal';

/** An answer that is no. `message` is for the caller; `rule`, `needs`, `has` and `fix` tell the operator why, in log and audit only. */
export interface Refusal extends Partial<Cause> {
  readonly status: number;
  readonly reason: RefusalReason;
  readonly message: string;
  /** Path of the rule in the configuration that decided. */
  readonly rule?: string;
  /** JSON-RPC error code; absent: -32000, the first of the codes left to implementations (JSON-RPC 2.0 §5.1). */
  readonly code?: number;
  readonly data?: object;
  /** Answers the request in place of an error: a question to the client (2026-07-28, basic/patterns/mrtr). */
  readonly result?: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What the operator gets to read of it. */
export function causeFields({
  rule,
  needs,
  has,
  fix,
}: Refusal): Partial<Record<'rule' | keyof Cause, string | undefined>> {
  return { rule, needs, has, fix };
}

/**
 * What only a forger or a broken proxy causes. They are counted from zero on, because of a series that begins with its first
 * event Prometheus sees no increase, and one event must raise the alarm.
 */
export const FORGERIES = [
  'spoof_attempt',
  'unproven_peer',
  'proxy_secret',
  'proxy_certificate',
  'header_alias',
  'header_trailer',
  'header_connection',
  'duplicate_header',
  'assertion_missing',
  'assertion_invalid',
  'assertion_binding',
  'assertion_user',
  'identity_malformed',
] as const satisfies readonly RefusalReason[];

const FORGED: ReadonlySet<RefusalReason> = new Set(FORGERIES);

export function isForgery(reason: RefusalReason): boolean {
  return FORGED.has(reason);
}

/** A request that ended here, before or instead of the server's answer. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal, cause?: unknown) {
    super(refusal.message, { cause });
    this.refusal = refusal;
  }
}

/** What went wrong behind a refusal, for the log; undefined where nothing did. */
export function causeOf(error: unknown): unknown {
  return error instanceof RefusedError ? error.cause : error;
}

/** What to answer where something failed that is not the caller's fault. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof RefusedError) return error.refusal;
  return error instanceof DependencyUnavailable
    ? { status: 503, reason: 'dependency', message: error.message, headers: { 'Retry-After': '5' } }
    : { status: 500, reason: 'internal', message: 'the relay failed; its log says why' };
}

/** A window cannot show what an MCP server answers. */
export const NOT_FOR_BROWSERS: Refusal = {
  status: 406,
  reason: 'not_acceptable',
  message: 'MCP clients ask for application/json and text/event-stream here; a browser has nothing to show',
};

export const NO_SUCH_SERVER: Refusal = { status: 404, reason: 'not_found', message: 'there is no such MCP server' };

/** The JSON-RPC error that says it (JSON-RPC 2.0 §5.1), or the question that it asks. */
export function errorOf(refusal: Refusal, id: MessageId): object {
  if (refusal.result !== undefined) return { jsonrpc: '2.0', id, result: refusal.result };
  const error = {
    code: refusal.code ?? SERVER_ERROR,
    message: refusal.message,
    ...(refusal.data === undefined ? {} : { data: refusal.data }),
  };
  return { jsonrpc: '2.0', error, id };
}

/** A refusal as a page; undefined: a program asked, and gets the JSON-RPC error. */
export type RefusalPage = (
  request: IncomingMessage,
  refusal: Refusal,
  identity: Identity | undefined,
) => RenderedPage | undefined;

/**
 * Answers with a JSON-RPC error, the form that every MCP client can show to its user.
 *
 * @param page instead, if a person asked
 */
export function sendRefusal(response: ServerResponse, refusal: Refusal, id: MessageId, page?: RenderedPage): void {
  const { status, headers } = refusal;
  if (page === undefined) sendJsonText(response, status, writeJson(errorOf(refusal, id)), headers);
  else sendText(response, status, page.body, { ...headers, ...page.headers });
}
