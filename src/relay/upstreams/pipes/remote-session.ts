import { isRecord } from '../../../platform/is-record.ts';
import type { Origin, Outgoing } from '../../credentials/credential.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import type { ResponseHandler } from '../../protocol/response-handler.ts';
import type { RemoteContext } from '../../replicas/remote-call.ts';
import type { LocalResponse } from '../local-response.ts';
import type { UpstreamRequest } from '../upstream.ts';

/** A request within a session, as the replica that it came to asks the one that holds the session. */
export interface RemoteSessionRequest extends Pick<UpstreamRequest, 'method'> {
  readonly session: string;
  /** From `ownerKey(identity)`, which the asking replica has authenticated. */
  readonly owner: string;
  /** What the headers of its message depend on; absent: they are those of the message before it. */
  readonly origin?: Origin;
  readonly elicitsUrls?: Outgoing['elicitsUrls'];
  /** The message; null: none. */
  readonly body: string | null;
}

/** Sends a response piece by piece. @returns resolves when it is over */
export function sendResponse(
  { send, signal }: RemoteContext,
  serve: (handler: ResponseHandler) => void,
): Promise<Json> {
  return new Promise((resolve) =>
    serve({
      onRequestStart: (controller) =>
        signal.addEventListener('abort', () => controller.abort(signal.reason as Error), { once: true }),
      onUnderWay: () => send({ underWay: true }),
      onResponseStart: (_controller, status, headers) => send({ status, headers }),
      onResponseData: (_controller, chunk) => send({ text: chunk.toString() }),
      onResponseEnd: () => resolve({}),
      onResponseError: (_controller, { message }) => resolve({ failed: message }),
    }),
  );
}

/** One piece of a response that another replica sends. */
export function takePiece({ underWay, status, headers, text }: Json, response: LocalResponse): void {
  if (underWay === true) response.underWay();
  if (typeof status === 'number' && isRecord(headers)) response.begin(status, headers as Record<string, string>);
  if (typeof text === 'string') response.write(text);
}
