import { withLinkedSignal } from '../../platform/abort.ts';
import type { Permit } from '../gate/gate.ts';
import { AnswerRefused } from '../gate/response-guard.ts';
import { SERVER_ERROR } from '../protocol/error-codes.ts';
import { Cancelled, ServerError } from '../protocol/failures.ts';
import { writeJson } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { type Refusal, RefusedError } from '../refusal.ts';
import type { ClientRequest } from '../upstreams/mcp-server.ts';
import type { OnMessage, RequestOptions } from '../upstreams/upstream-request.ts';

/**
 * One request that the gate has let in: what the server sends passes the gate's rules on its way back, and ends with its limits.
 *
 * @returns `result` of the answer, as the caller may see it
 * @throws RefusedError where the answer is over a limit; what `send` throws
 */
export async function throughGate(
  { guard }: Permit,
  { id }: Pick<ClientRequest, 'id'>,
  options: RequestOptions,
  send: (options: RequestOptions) => Promise<Json>,
): Promise<Json> {
  if (guard === undefined) return send(options);
  const stop = new AbortController();
  let refused: Refusal | undefined;
  const refuse = (refusal: Refusal) => {
    refused ??= refusal;
    stop.abort(new Cancelled(refusal.message));
  };
  guard.start(refuse);
  const seen = (message: Json) => {
    try {
      const text = writeJson(message);
      guard.count(Buffer.byteLength(text));
      return guard.pass(message, text)?.value;
    } catch (error) {
      if (!(error instanceof AnswerRefused)) throw error;
      refuse(error.refusal);
      return undefined;
    }
  };
  const onMessage: OnMessage = (message) => {
    const passing = seen(message);
    if (passing !== undefined && !stop.signal.aborted) options.onMessage(passing);
  };
  try {
    const asked = withLinkedSignal([options.signal, stop.signal], (signal) => send({ ...options, signal, onMessage }));
    const result = await asked.catch((error: unknown) => {
      if (error instanceof ServerError) seen({ jsonrpc: '2.0', id, error: error.json });
      throw error;
    });
    const answer = seen({ jsonrpc: '2.0', id, result });
    stop.signal.throwIfAborted();
    if (answer === undefined) throw new RefusedError(guard.unanswered);
    return answer.result as Json;
  } catch (error) {
    throw refused === undefined ? error : new RefusedError(refused);
  } finally {
    guard.end();
  }
}

/** A refusal in the form of a server's error: it is the answer to one message among several. */
export function refusedError({ code = SERVER_ERROR, message, data }: Refusal): ServerError {
  return new ServerError(code, message, data);
}
