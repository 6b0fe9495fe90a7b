import { type ClientFacts, META } from '../../messages/client-facts.ts';
import { mirroredHeaders, withEnvelope } from '../../messages/envelope.ts';
import { NoAnswer, ServerError } from '../../messages/failures.ts';
import { errorMessage, type Id, INVALID_REQUEST, isId, type Json, NO_SESSION } from '../../messages/json-rpc.ts';
import { isRecord } from '../../transports/streamable-http/message.ts';
import type { McpMethod } from '../../transports/streamable-http/route.ts';
import type { Caller } from '../../trust/caller.ts';
import type { LocalResponse } from '../../upstreams/local-response.ts';
import { offeredBy } from '../capabilities.ts';
import { type Asking, answerFailure, askServer, IGNORE, ownerOf } from '../server-link.ts';
import { legacyResult } from './legacy-form.ts';
import { ParameterHeaders } from './parameter-headers.ts';
import { ServerStream, type ServerStreamDeps } from './server-stream.ts';
import { openedBy, type SessionState, sessionIdOf, sessionOf } from './session-id.ts';
import { SessionMemories, type SessionMemory } from './session-memory.ts';
import { SessionRequest } from './session-request.ts';

/** Levels of logs, the least severe first (server/utilities/logging). */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'];
/** Resources that one session may subscribe to. */
const MAX_RESOURCES = 1_000;

/** A request of a client of sessions. */
export interface InSession {
  readonly method: McpMethod;
  /** Undefined: none, as for `initialize`. */
  readonly sessionId: string | undefined;
  readonly message: Json;
  readonly caller: Caller | undefined;
  readonly elicitsUrls: Asking['elicitsUrls'];
}

interface Session {
  readonly state: SessionState;
  readonly memory: SessionMemory;
}

/** Shows clients of sessions a server that knows none: the relay answers for the sessions. */
export class SessionFront {
  readonly #deps: ServerStreamDeps;
  readonly #memories = new SessionMemories();
  readonly #mirrored = new ParameterHeaders();

  constructor(deps: ServerStreamDeps) {
    this.#deps = deps;
  }

  /** Answers one request. Never rejects. */
  async answer(request: InSession, response: LocalResponse): Promise<void> {
    const { sessionId, message, caller } = request;
    const id = isId(message.id) ? message.id : null;
    if (sessionId === undefined) return this.#outside(request, response);
    const state = sessionOf(sessionId);
    if (state === undefined) return void response.answer(errorMessage(id, NO_SESSION, 'session not found'), 404);
    const owner = ownerOf(caller);
    if (request.method === 'DELETE') {
      this.#memories.end(owner, state.id);
      return void response.status(200);
    }
    await this.#inside(request, { state, memory: this.#memories.of(owner, state.id) }, response);
  }

  close(): void {
    this.#memories.close();
  }

  async #outside({ message, caller }: InSession, response: LocalResponse): Promise<void> {
    const { id, method, params } = message;
    if (method !== 'initialize' || !isId(id))
      return void response.answer(errorMessage(isId(id) ? id : null, INVALID_REQUEST, 'begin with initialize'), 400);
    const state = openedBy(isRecord(params) ? params : {});
    try {
      const result = await this.#describe(state.client, caller, response.signal);
      response.headers['mcp-session-id'] = sessionIdOf(state);
      response.answer({ jsonrpc: '2.0', id, result });
    } catch (error) {
      answerFailure(error, id, response, 200);
    }
  }

  /** What the server would have said to `initialize`. @throws as `post` does */
  async #describe(client: ClientFacts, caller: Caller | undefined, signal: AbortSignal): Promise<Json> {
    const params = withEnvelope({}, client);
    const message = { jsonrpc: '2.0', id: 'discover', method: 'server/discover', params };
    const headers = mirroredHeaders('server/discover', params);
    const { result } = await askServer(message, 'modern', headers, this.#deps.link, { caller, signal, hear: IGNORE });
    const { _meta, instructions } = result;
    const serverInfo = isRecord(_meta) ? _meta[`${META}serverInfo`] : undefined;
    return {
      protocolVersion: client.protocolVersion,
      capabilities: offeredBy(result),
      serverInfo: isRecord(serverInfo) ? serverInfo : { name: 'unknown', version: '0' },
      ...(typeof instructions === 'string' && { instructions }),
    };
  }

  async #inside(request: InSession, session: Session, response: LocalResponse): Promise<void> {
    if (request.method === 'GET') return this.#listen(request, session, response);
    const { id, method } = request.message;
    if (typeof method !== 'string' || !isId(id)) {
      tell(request.message, session.memory);
      return void response.status(202);
    }
    try {
      const result = await this.#result(request, session, { id, method }, response);
      response.answer({ jsonrpc: '2.0', id, result });
    } catch (error) {
      answerFailure(error, id, response, 200);
    }
  }

  async #listen({ caller }: InSession, session: Session, response: LocalResponse): Promise<void> {
    const stream = new ServerStream(this.#deps, session, caller, response);
    try {
      await stream.open();
    } catch (error) {
      // A server without such a stream: so says the sessions' era too (2025-11-25, basic/transports).
      const none = error instanceof ServerError || (error instanceof NoAnswer && error.status < 500);
      if (none) return void response.answer(errorMessage(null, INVALID_REQUEST, 'this server tells no changes'), 405);
      return answerFailure(error, 'listen', response, 200);
    }
    // A client that has lost the last one opens another; nobody reads two.
    session.memory.listener?.end();
    session.memory.listener = stream;
  }

  #result(
    request: InSession,
    { state, memory }: Session,
    { id, method }: { readonly id: Id; readonly method: string },
    response: LocalResponse,
  ): Json | Promise<Json> {
    const params = isRecord(request.message.params) ? request.message.params : {};
    switch (method) {
      case 'ping':
        return {};
      case 'initialize':
        throw new ServerError(INVALID_REQUEST, 'this session has begun: initialize without it to begin another');
      case 'logging/setLevel':
        return setLevel(params.level, memory);
      case 'resources/subscribe':
        return subscribe(params.uri, memory);
      case 'resources/unsubscribe':
        return unsubscribe(params.uri, memory);
      default:
        return new SessionRequest({ link: this.#deps.link, mirrored: this.#mirrored }, state.client, memory, response)
          .answer({ id, method, params }, request)
          .then(legacyResult);
    }
  }
}

/** A notification of the client, or its answer to a question. */
function tell(message: Json, memory: SessionMemory): void {
  const { method, params } = message;
  if (method === undefined) return void memory.answered(message);
  if (method !== 'notifications/cancelled' || !isRecord(params)) return;
  memory.running.get(params.requestId as Id)?.abort(new ServerError(-32000, 'the request was taken back'));
}

function setLevel(level: unknown, memory: SessionMemory): Json {
  if (typeof level !== 'string' || !LEVELS.includes(level))
    throw new ServerError(-32602, `"level" must be one of ${LEVELS.join(', ')}`);
  memory.level = level;
  return {};
}

async function subscribe(uri: unknown, memory: SessionMemory): Promise<Json> {
  if (typeof uri !== 'string') throw new ServerError(-32602, '"uri" must name a resource');
  if (memory.resources.size >= MAX_RESOURCES)
    throw new ServerError(-32000, `a session may subscribe to ${MAX_RESOURCES} resources`);
  memory.resources.add(uri);
  const told = await memory.listener?.relisten();
  if (told === undefined || told.has(uri)) return {};
  memory.resources.delete(uri);
  throw new ServerError(-32602, 'the MCP server does not tell when this resource changes');
}

async function unsubscribe(uri: unknown, memory: SessionMemory): Promise<Json> {
  if (typeof uri === 'string' && memory.resources.delete(uri)) await memory.listener?.relisten();
  return {};
}
