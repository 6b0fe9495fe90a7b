import { SERVER_ERROR } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';

/** A client's next request of a call that waits for it. */
export interface NextTurn {
  readonly state: string;
  readonly owner: string;
  /** The request that may go on with the call. */
  readonly what: string;
  readonly method: string;
  readonly inputResponses: unknown;
  readonly meta: Json;
}

/** What a turn comes to, for the replica that the client's request came to. @param turn undefined: the call does not wait here */
export function sendTurn(turn: Promise<Json> | undefined): Promise<Json> | undefined {
  return turn?.then(
    (answer) => ({ answer }),
    (error: unknown) => {
      const { json } =
        error instanceof ServerError ? error : new ServerError(SERVER_ERROR, 'the MCP server gave no answer');
      return { error: json };
    },
  );
}

export function errorOf({ code, message, data }: Json): ServerError {
  return new ServerError(Number(code), String(message), data);
}
