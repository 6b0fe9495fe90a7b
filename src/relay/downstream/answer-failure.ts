import {
  HEADER_MISMATCH,
  METHOD_NOT_FOUND,
  MISSING_CAPABILITY,
  SERVER_ERROR,
  UNSUPPORTED_VERSION,
} from '../protocol/error-codes.ts';
import { NoAnswer, ServerError, SessionLost } from '../protocol/failures.ts';
import { errorMessage, type MessageId } from '../protocol/json-rpc.ts';
import { toModernError } from '../protocol/to-modern-result.ts';
import type { Era } from '../protocol/versions.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import { refusedAnswer } from '../upstreams/response-relay.ts';

/** Codes that the stateless era says by a status too (2026-07-28, streamable HTTP). */
const STATUS: ReadonlyMap<unknown, number> = new Map([
  [METHOD_NOT_FOUND, 404],
  [HEADER_MISMATCH, 400],
  [MISSING_CAPABILITY, 400],
  [UNSUPPORTED_VERSION, 400],
]);

/**
 * Answers with what went wrong: a server's error as it sent it; what there was no answer for as if nothing stood between, so that
 * it is counted and told like any other failure of that server.
 *
 * @param era of the client
 * @throws any other error
 */
export function answerFailure(error: unknown, id: MessageId, response: LocalResponse, era: Era): void {
  if (response.aborted) return;
  if (error instanceof ServerError) {
    const shown = era === 'modern' ? toModernError(error.json) : error.json;
    const status = era === 'modern' ? (STATUS.get(shown.code) ?? 200) : 200;
    return void response.answer({ jsonrpc: '2.0', id, error: shown }, status);
  }
  // One message that is too large says nothing of the server.
  if (!(error instanceof NoAnswer || error instanceof SessionLost || error instanceof RangeError)) throw error;
  if (error instanceof NoAnswer && refusedAnswer(error.status) !== undefined) return void response.status(error.status);
  response.answer(errorMessage(id, SERVER_ERROR, error.message), 502);
}
