import { errors } from 'undici';
import { NoAnswer } from '../protocol/failures.ts';
import { RefusedError } from '../refusal.ts';
import { refusedAnswer, TIMEOUT, unreachable } from '../upstreams/response-relay.ts';
import { Unreached } from './member.ts';

/** What to tell of a server that gave no JSON-RPC answer. @param error what `post` failed with */
export function unreached(error: unknown): Unreached {
  if (error instanceof Unreached) return error;
  if (error instanceof RefusedError) return new Unreached('refused', error.message, error);
  if (error instanceof NoAnswer) {
    const refused = refusedAnswer(error.status);
    return refused === undefined
      ? new Unreached('failed', error.message, error)
      : new Unreached('refused', refused.message, error);
  }
  if (error instanceof RangeError) return new Unreached('answer_too_large', error.message, error);
  return error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError
    ? new Unreached('timeout', TIMEOUT.message, error)
    : new Unreached('unreachable', unreachable(error).message, error);
}
