import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import type { Outgoing } from '../credentials/credential.ts';
import { ServerError, SessionLost } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { Era } from '../protocol/versions.ts';
import { RefusedError } from '../refusal.ts';
import type { McpMethod } from '../transports/streamable-http/route.ts';
import type { Caller } from '../trust/caller.ts';
import { type Answered, type Hear, post } from '../upstreams/post-message.ts';
import type { RetryTimes } from '../upstreams/resumable-stream.ts';
import type { Upstream } from '../upstreams/upstream.ts';
import { unreached } from './unreached.ts';

/** The way to one server for one client, in whose form the server answers: `EraBridge` sees to that. */
export interface ServerLink {
  readonly upstream: Upstream;
  readonly caller: Caller;
  readonly era: Era;
  readonly elicitsUrls: Outgoing['elicitsUrls'];
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly retry: RetryTimes;
}

export const NOBODY: Hear = () => {};
const ACCEPT = 'application/json, text/event-stream';

/** @param headers names and values in turn */
export function dispatchTo(
  { upstream, caller, era, elicitsUrls }: ServerLink,
  method: McpMethod,
  headers: string[],
  body: Buffer | null,
  handler: Dispatcher.DispatchHandler,
): void {
  upstream.dispatch({ method, era, headers, body, caller, elicitsUrls }, handler);
}

/**
 * Posts one message and waits for its answer.
 *
 * @param headers beside those that every POST has
 * @throws ServerError, SessionLost, Unreached; the signal's reason where that ended it
 */
export async function ask(
  link: ServerLink,
  message: Json,
  headers: readonly string[],
  signal: AbortSignal,
  hear: Hear,
): Promise<Answered> {
  try {
    return await post(message, ['content-type', 'application/json', 'accept', ACCEPT, ...headers], {
      send: (method, all, body, handler) => dispatchTo(link, method, all, body, handler),
      limit: link.limit,
      retry: link.era === 'legacy' ? link.retry : undefined,
      signal,
      hear,
    });
  } catch (error) {
    // The relay's own question to a stateless client, in the place of the server's answer.
    if (error instanceof RefusedError && isRecord(error.refusal.result))
      return { result: error.refusal.result, sessionId: undefined };
    if (signal.aborted || error instanceof ServerError || error instanceof SessionLost) throw error;
    throw unreached(error);
  }
}
