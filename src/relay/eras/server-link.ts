import { ownerKey } from '../../identity/identity.ts';
import type { Outgoing } from '../credentials/credential.ts';
import { METHOD_NOT_FOUND, SERVER_ERROR } from '../protocol/error-codes.ts';
import { NoAnswer, ServerError, SessionLost } from '../protocol/failures.ts';
import { errorMessage, type Id, type Json } from '../protocol/json-rpc.ts';
import type { Era } from '../protocol/versions.ts';
import type { Caller } from '../trust/caller.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import { type Answered, type Hear, post } from '../upstreams/post-message.ts';
import { refusedAnswer } from '../upstreams/response-relay.ts';
import type { RetryTimes } from '../upstreams/resumable-stream.ts';
import type { Upstream } from '../upstreams/upstream.ts';

/** How the requests of the bridge reach its server. */
export interface ServerLink {
  readonly upstream: Upstream;
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly retry: RetryTimes;
}

/** On whose behalf a request is. */
export interface From {
  readonly caller: Caller | undefined;
  readonly elicitsUrls?: Outgoing['elicitsUrls'];
  /** Of the client's request, what says nothing of its era; names and values in turn. */
  readonly kept?: readonly string[] | undefined;
}

/** And until when it is wanted. */
export interface Asking extends From {
  readonly signal: AbortSignal;
  readonly hear: Hear;
}

const KEPT: ReadonlySet<string> = new Set(['traceparent', 'tracestate', 'user-agent', 'x-request-id']);

export const IGNORE: Hear = () => {};

/**
 * Posts one message to the server.
 *
 * @param era in whose form the message is
 * @param headers names and values in turn, beside those that every POST has
 * @throws as `post` does
 */
export function askServer(
  message: Json,
  era: Era,
  headers: readonly string[],
  { upstream, limit, retry }: ServerLink,
  { caller, elicitsUrls, kept = [], signal, hear }: Asking,
): Promise<Answered> {
  return post(
    message,
    ['content-type', 'application/json', 'accept', 'application/json, text/event-stream', ...kept, ...headers],
    {
      send: (method, all, body, handler) =>
        upstream.dispatch({ method, era, headers: all, body, caller, elicitsUrls }, handler),
      limit,
      retry: era === 'legacy' ? retry : undefined,
      signal,
      hear,
    },
  );
}

/**
 * Answers with what went wrong: a server's error as it said it; what there was no answer for as if nothing stood between, so that
 * it is counted and told like any other failure of that server.
 *
 * @param unknownMethod status where the server does not know the method
 */
export function answerFailure(error: unknown, id: Id, response: LocalResponse, unknownMethod: 200 | 404): void {
  if (response.aborted) return;
  if (error instanceof ServerError)
    return void response.answer(
      { jsonrpc: '2.0', id, error: error.json },
      error.code === METHOD_NOT_FOUND ? unknownMethod : 200,
    );
  const said = error instanceof NoAnswer || error instanceof SessionLost;
  if (!said) return void response.abort(error as Error);
  if (error instanceof NoAnswer && refusedAnswer(error.status) !== undefined) return void response.status(error.status);
  response.answer(errorMessage(id, SERVER_ERROR, error.message), 502);
}

/** To whom what is held belongs: one identity, or where there is none the relay itself. */
export function ownerOf(caller: Caller | undefined): string {
  return caller === undefined ? '' : ownerKey(caller.identity);
}

/** @param headers of the client's request @returns those that go with each request that comes of it */
export function keptHeaders(headers: readonly string[]): string[] {
  const kept: string[] = [];
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] as string;
    if (KEPT.has(name.toLowerCase())) kept.push(name, headers[index + 1] as string);
  }
  return kept;
}

/** @param name in lower case, as the relay writes it @returns undefined where there is none */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  for (let index = 0; index < headers.length; index += 2) if (headers[index] === name) return headers[index + 1];
  return undefined;
}
