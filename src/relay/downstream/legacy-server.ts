import { isRecord } from '../../platform/is-record.ts';
import { INVALID_REQUEST, NO_SESSION } from '../protocol/error-codes.ts';
import { Cancelled, ServerError, SessionLost } from '../protocol/failures.ts';
import { errorMessage, isId, type Json } from '../protocol/json-rpc.ts';
import type { McpMethod } from '../protocol/methods.ts';
import { type LegacySession, type LegacySessions, notifyIn, requestIn } from '../upstreams/legacy-sessions.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import type { McpServer } from '../upstreams/mcp-server.ts';
import type { RequestContext } from '../upstreams/upstream-request.ts';
import { answerFailure } from './answer-failure.ts';

export interface LegacyRequest {
  readonly verb: McpMethod;
  /** Undefined: none, as for `initialize`. */
  readonly sessionId: string | undefined;
  readonly message: Json;
  readonly context: RequestContext;
}

/** Answers one request of a client of the sessions' era, as a streamable HTTP server does. @throws as `answerFailure` does */
export async function answerLegacy(
  request: LegacyRequest,
  sessions: LegacySessions,
  response: LocalResponse,
  onFailure: (error: unknown) => void,
): Promise<void> {
  const id = isId(request.message.id) ? request.message.id : null;
  try {
    if (request.sessionId === undefined) return await begin(request, sessions, response);
    const session = sessions.find(request.sessionId, request.context);
    if (session === undefined) throw new SessionLost();
    await inside(request, session, response, onFailure);
  } catch (error) {
    if (error instanceof SessionLost)
      return void response.answer(errorMessage(id, NO_SESSION, 'session not found'), 404);
    if (error instanceof Cancelled) response.abort(error);
    else answerFailure(error, id, response, 'legacy');
  }
}

async function begin(
  { message, context }: LegacyRequest,
  sessions: LegacySessions,
  response: LocalResponse,
): Promise<void> {
  const { id, method, params } = message;
  if (method !== 'initialize' || !isId(id))
    return void response.answer(errorMessage(isId(id) ? id : null, INVALID_REQUEST, 'begin with initialize'), 400);
  const opened = await sessions.open({ id, method, params: isRecord(params) ? params : {} }, context, response.signal);
  if (opened.id !== '') response.headers['mcp-session-id'] = opened.id;
  response.answer({ jsonrpc: '2.0', id, result: opened.result });
}

async function inside(
  { verb, message }: Pick<LegacyRequest, 'verb' | 'message'>,
  session: LegacySession,
  response: LocalResponse,
  onFailure: (error: unknown) => void,
): Promise<void> {
  const { id, method, params } = message;
  if (verb === 'DELETE') {
    await session.server.close();
    return void response.status(200);
  }
  if (verb === 'GET') return listen(session.server, response);
  if (typeof method !== 'string' || !isId(id)) {
    const sent = notifyIn(session, message);
    // A server that is slow to take it in must not keep the client waiting.
    if (session.isRemote) await sent;
    else sent.catch(onFailure);
    return void response.status(202);
  }
  const request = { id, method, params: isRecord(params) ? params : {} };
  const { signal } = response;
  const onUnderWay = () => response.underWay();
  if (!session.isRemote) onUnderWay();
  const onMessage = (received: Json) => response.event(received);
  const result = await requestIn(session, request, { signal, onUnderWay, onMessage });
  response.answer({ jsonrpc: '2.0', id, result });
}

async function listen(server: McpServer, response: LocalResponse): Promise<void> {
  const onOpen = () => response.stream();
  const onMessage = (received: Json) => response.event(received);
  try {
    const how = await server.listen(undefined, { signal: response.signal, onMessage, onOpen });
    if (how !== 'not_offered') return response.abort(new Error('the stream has ended'));
    response.answer(errorMessage(null, INVALID_REQUEST, 'this server tells no changes'), 405);
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    response.answer({ jsonrpc: '2.0', id: null, error: error.json }, 409);
  }
}
