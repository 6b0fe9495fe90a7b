import { errors } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import { AnswerCut, NoAnswer, ServerError, SessionLost } from '../protocol/failures.ts';
import { type Refusal, RefusedError } from '../refusal.ts';
import { type Outcome, refusedAnswer, TIMEOUT, unreachable } from './response-relay.ts';

export const SESSION_LOST: Refusal = {
  status: 404,
  reason: 'session_unknown',
  message: 'the MCP server has ended the session: connect again',
};

export interface UpstreamFailure {
  /** What to tell the client. */
  readonly refusal: Refusal;
  readonly outcome: Outcome;
  /** For the log; undefined: the server works, and has answered this. */
  readonly cause: Error | undefined;
}

/** What becomes of a request that was not answered. @param error what `post` failed with */
export function failureOf(error: Error): UpstreamFailure {
  const fail = (refusal: Refusal, outcome: Outcome, cause?: Error) => ({ refusal, outcome, cause });
  if (error instanceof RefusedError) return fail(error.refusal, 'refused', error);
  if (error instanceof RangeError)
    return fail({ status: 502, reason: 'body_too_large', message: error.message }, 'upstream_cut', error);
  if (error instanceof SessionLost) return fail(SESSION_LOST, 'relayed');
  if (error instanceof ServerError) return fail(noAnswer(error), 'relayed');
  if (error instanceof AnswerCut) return fail(noAnswer(error), 'upstream_cut', error.cause as Error | undefined);
  if (error instanceof NoAnswer) {
    const refused = refusedAnswer(error.status);
    return refused === undefined ? fail(noAnswer(error), 'relayed') : fail(refused, 'upstream_refused');
  }
  return error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError
    ? fail(TIMEOUT, 'upstream_timeout', error)
    : fail(unreachable(error), 'upstream_unreachable', error);
}

function noAnswer({ message, code, data }: Error & Partial<Pick<ServerError, 'code' | 'data'>>): Refusal {
  return {
    status: 502,
    reason: 'upstream_unreachable',
    message,
    ...(code === undefined ? {} : { code }),
    ...(isRecord(data) ? { data } : {}),
  };
}
