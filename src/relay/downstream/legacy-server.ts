import { isRecord } from '../../platform/is-record.ts';
import { INVALID_REQUEST, NO_SESSION } from '../protocol/error-codes.ts';
import { Cancelled, ServerError } from '../protocol/failures.ts';
import { errorMessage, isId, type Json } from '../protocol/json-rpc.ts';
import type { McpMethod } from '../protocol/methods.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import type { McpServer } from '../upstreams/mcp-server.ts';
import type { RequestContext } from '../upstreams/upstream-request.ts';
import { answerFailure } from './answer-failure.ts';
import type { RunningRequests } from './running-requests.ts';

/** One session of a client, for one request of it. */
export interface LegacySession {
  readonly server: McpServer;
  readonly running: RunningRequests;
}

/** @typeParam Context on whose behalf a request is */
export interface LegacySessions<Context = RequestContext> {
  /** Begins a session. @returns its id, and the answer to `initialize` */
  open(params: Json, context: Context, signal: AbortSignal): Promise<{ readonly id: string; readonly result: Json }>;
  /** @returns undefined if the session is not known, or has ended @throws ServerError if there is no room for it */
  find(id: string, context: Context): LegacySession | undefined;
}

export interface LegacyRequest<Context = RequestContext> {
  readonly verb: McpMethod;
  /** Undefined: none, as for `initialize`. */
  readonly sessionId: string | undefined;
  readonly message: Json;
  readonly context: Context;
}

/** Answers one request of a client of the sessions' era, as a streamable HTTP server does. @throws as `answerFailure` does */
export async function answerLegacy<Context>(
  request: LegacyRequest<Context>,
  sessions: LegacySessions<Context>,
  response: LocalResponse,
  onFailure: (error: unknown) => void,
): Promise<void> {
  const id = isId(request.message.id) ? request.message.id : null;
  try {
    if (request.sessionId === undefined) return await begin(request, sessions, response);
    const session = sessions.find(request.sessionId, request.context);
    if (session === undefined) return void response.answer(errorMessage(id, NO_SESSION, 'session not found'), 404);
    await inside(request, session, response, onFailure);
  } catch (error) {
    if (!(error instanceof Cancelled)) return answerFailure(error, id, response, 'legacy');
    // Its answer is not wanted any more (2025-11-25, cancellation).
    response.stream();
    response.finish();
  }
}

async function begin<Context>(
  { message, context }: LegacyRequest<Context>,
  sessions: LegacySessions<Context>,
  response: LocalResponse,
): Promise<void> {
  const { id, method, params } = message;
  if (method !== 'initialize' || !isId(id))
    return void response.answer(errorMessage(isId(id) ? id : null, INVALID_REQUEST, 'begin with initialize'), 400);
  const opened = await sessions.open(isRecord(params) ? params : {}, context, response.signal);
  response.headers['mcp-session-id'] = opened.id;
  response.answer({ jsonrpc: '2.0', id, result: opened.result });
}

async function inside(
  { verb, message }: Pick<LegacyRequest, 'verb' | 'message'>,
  { server, running }: LegacySession,
  response: LocalResponse,
  onFailure: (error: unknown) => void,
): Promise<void> {
  const { id, method, params } = message;
  if (verb === 'DELETE') {
    await server.close();
    return void response.status(200);
  }
  if (verb === 'GET') return listen(server, response);
  if (typeof method !== 'string' || !isId(id)) {
    const isCancelled = method === 'notifications/cancelled' && isRecord(params) && running.cancel(params);
    // A server that is slow to take it in must not keep the client waiting.
    if (!isCancelled) server.notify(message).catch(onFailure);
    return void response.status(202);
  }
  const request = { id, method, params: isRecord(params) ? params : {} };
  const onMessage = (received: Json) => response.event(received);
  response.underWay();
  const result = await running.run(id, response.signal, (signal) => server.request(request, { signal, onMessage }));
  response.answer({ jsonrpc: '2.0', id, result });
}

async function listen(server: McpServer, response: LocalResponse): Promise<void> {
  const onOpen = () => response.stream();
  const onMessage = (received: Json) => response.event(received);
  try {
    const how = await server.listen(undefined, { signal: response.signal, onMessage, onOpen });
    if (how === 'lost') return response.abort(new Error('the stream has ended'));
    response.answer(errorMessage(null, INVALID_REQUEST, 'this server tells no changes'), 405);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    response.answer({ jsonrpc: '2.0', id: null, error: error.json }, 409);
  }
}
