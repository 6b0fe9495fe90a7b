import { errors } from 'undici';
import { isRecord } from '../../../platform/is-record.ts';
import { INVALID_REQUEST, UNSUPPORTED_VERSION } from '../../protocol/error-codes.ts';
import type { Message } from '../../protocol/message.ts';
import type { MessageReader } from '../../protocol/message-reader.ts';
import { metaOf, VERSION_KEY } from '../../protocol/meta.ts';
import { eraOf, LEGACY_VERSIONS } from '../../protocol/versions.ts';
import { type Refusal, RefusedError } from '../../refusal.ts';
import { isForgotten } from '../../upstreams/post-message.ts';
import { type Outcome, refusedAnswer, TIMEOUT, unreachable } from '../../upstreams/response-relay.ts';

/** Messages of one connection, beside requests, that may be on their way to the server at a time. */
export const MAX_POSTS = 128;

export const TOO_MANY: Refusal = {
  status: 429,
  reason: 'too_many_requests',
  message: 'too many messages at once: read the stream of this connection, then go on',
  headers: { 'Retry-After': '1' },
};
export const DRAINING: Refusal = {
  status: 503,
  reason: 'draining',
  message: 'the relay is shutting down; reconnect',
};
export const ALREADY_INITIALIZED: Refusal = {
  status: 400,
  reason: 'invalid_message',
  message: 'this connection has its session already: open another one to initialize again',
  code: INVALID_REQUEST,
};
export const SESSION_LOST: Refusal = {
  status: 404,
  reason: 'session_unknown',
  message: 'the MCP server has ended the session: connect again',
};
const NO_ANSWER: Refusal = {
  status: 502,
  reason: 'upstream_unreachable',
  message: 'the MCP server gave no answer to this request',
};
export const CUT: Refusal = {
  status: 502,
  reason: 'upstream_unreachable',
  message: 'the connection to the MCP server broke before it had answered',
};

/** The stateless era has neither this transport nor sessions; whoever asks for it here is told what there is. */
export const MODERN_NOT_HERE: Refusal = {
  status: 400,
  reason: 'protocol_version',
  message: 'since 2026-07-28 the protocol is spoken over streamable HTTP only, at /servers/<name>/mcp',
  code: UNSUPPORTED_VERSION,
  data: { supported: LEGACY_VERSIONS },
};

/** A message that claims the stateless era, whose headers nobody could have compared with it. */
export function claimsModern(message: Message): boolean {
  const version = metaOf(message.params)[VERSION_KEY];
  return version !== undefined && (typeof version !== 'string' || eraOf(version) !== 'legacy');
}

/** What to tell of an upstream response that brought no answer. */
export function failureOf(
  reader: MessageReader,
  error: Error | undefined,
  hasSession: boolean,
): { refusal: Refusal; outcome: Outcome; sessionLost: boolean } {
  const fail = (refusal: Refusal, outcome: Outcome, sessionLost = false) => ({ refusal, outcome, sessionLost });
  const { status } = reader;
  if (error instanceof RefusedError) return fail(error.refusal, 'refused');
  if (error instanceof RangeError)
    return fail({ status: 502, reason: 'body_too_large', message: error.message }, 'upstream_cut');
  if (status === 0)
    return error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError
      ? fail(TIMEOUT, 'upstream_timeout')
      : fail(unreachable(error), 'upstream_unreachable');
  const refused = refusedAnswer(status);
  if (refused !== undefined) return fail(refused, 'upstream_refused');
  if (hasSession && isForgotten(status, reader.failure?.code)) return fail(SESSION_LOST, 'relayed', true);
  if (error !== undefined) return fail(CUT, 'upstream_cut');
  if (status < 300) return fail(NO_ANSWER, 'relayed');
  const { code, message, data } = reader.failure ?? {};
  return fail(
    {
      status: 502,
      reason: 'upstream_unreachable',
      message: typeof message === 'string' ? message : `the MCP server answered ${status}`,
      ...(typeof code === 'number' ? { code } : {}),
      ...(isRecord(data) ? { data } : {}),
    },
    'relayed',
  );
}
