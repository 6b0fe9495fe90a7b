import { answerTooLarge, callTooLong } from '../gate/denials.ts';
import type { Permit } from '../gate/gate.ts';
import { SERVER_ERROR } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { type Refusal, RefusedError } from '../refusal.ts';
import type { Hear } from '../upstreams/post-message.ts';
import type { ServerRequest } from './member.ts';

/** Sends the request, and gives what comes before its answer to `hear`. */
export type Send = (signal: AbortSignal, hear: Hear) => Promise<Json>;

/**
 * One request that the gate has let in: what the server says passes the gate's rules on its way back, and ends with its limits.
 *
 * @returns `result` of the answer, as the caller may see it
 * @throws RefusedError where the answer is over a limit; what `send` throws
 */
export async function throughGate(
  { rules }: Permit,
  { id }: Pick<ServerRequest, 'id'>,
  signal: AbortSignal,
  hear: Hear,
  send: Send,
): Promise<Json> {
  if (rules === undefined) return send(signal, hear);
  const { rewrite, maxBytes, maxTime } = rules;
  const stop = new AbortController();
  const refuse = (refusal: Refusal) => stop.abort(new RefusedError(refusal));
  const timer = maxTime === undefined ? undefined : setTimeout(() => refuse(callTooLong(maxTime)), maxTime);
  const seen = (message: Json) => {
    const passing = rewrite?.(message) ?? message;
    if (maxBytes !== undefined && Buffer.byteLength(JSON.stringify(passing)) > maxBytes)
      refuse(answerTooLarge(maxBytes));
    return passing;
  };
  const heard: Hear = (message) => {
    const passing = seen(message);
    if (!stop.signal.aborted) hear(passing);
  };
  try {
    const answer = seen({ jsonrpc: '2.0', id, result: await send(AbortSignal.any([signal, stop.signal]), heard) });
    stop.signal.throwIfAborted();
    return answer.result as Json;
  } finally {
    clearTimeout(timer);
  }
}

/** A refusal in the form of a server's error: it is the answer to one message among several. */
export function refusedError({ code = SERVER_ERROR, message, data }: Refusal): ServerError {
  return new ServerError(code, message, data);
}
