import { METHOD_NOT_FOUND, SERVER_ERROR } from '../protocol/error-codes.ts';
import { NoAnswer, ServerError, SessionLost } from '../protocol/failures.ts';
import { errorMessage, type MessageId } from '../protocol/json-rpc.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import { refusedAnswer } from '../upstreams/response-relay.ts';

/**
 * Answers with what went wrong: a server's error as it sent it; what there was no answer for as if nothing stood between, so that
 * it is counted and told like any other failure of that server.
 *
 * @param unknownMethod status if the server does not know the method
 * @throws any other error
 */
export function answerFailure(error: unknown, id: MessageId, response: LocalResponse, unknownMethod: 200 | 404): void {
  if (response.aborted) return;
  if (error instanceof ServerError)
    return void response.answer(
      { jsonrpc: '2.0', id, error: error.json },
      error.code === METHOD_NOT_FOUND ? unknownMethod : 200,
    );
  if (!(error instanceof NoAnswer || error instanceof SessionLost)) throw error;
  if (error instanceof NoAnswer && refusedAnswer(error.status) !== undefined) return void response.status(error.status);
  response.answer(errorMessage(id, SERVER_ERROR, error.message), 502);
}
