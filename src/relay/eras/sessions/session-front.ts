import { isRecord } from '../../../platform/is-record.ts';
import type { Budgets } from '../../gate/budgets/budgets.ts';
import { offeredBy } from '../../protocol/capabilities.ts';
import type { ClientFacts } from '../../protocol/client-facts.ts';
import { INVALID_REQUEST, NO_SESSION } from '../../protocol/error-codes.ts';
import { NoAnswer, ServerError } from '../../protocol/failures.ts';
import { errorMessage, type Id, isId, type Json } from '../../protocol/json-rpc.ts';
import { META } from '../../protocol/meta.ts';
import { ParameterHeaders } from '../../protocol/parameter-headers.ts';
import { toLegacyResult } from '../../protocol/to-legacy-result.ts';
import type { ReplicaChannel } from '../../replicas/replica-channel.ts';
import type { McpMethod } from '../../transports/streamable-http/route.ts';
import type { Caller } from '../../trust/caller.ts';
import type { LocalResponse } from '../../upstreams/local-response.ts';
import { ModernClient } from '../../upstreams/modern-client.ts';
import { ownerOf, type RequestContext } from '../../upstreams/upstream-request.ts';
import { answerFailure } from '../answer-failure.ts';
import { ServerStream, type ServerStreamDeps } from './server-stream.ts';
import { openedBy, type SessionState, sessionIdOf, sessionOf } from './session-id.ts';
import { SessionMemories, type SessionMemory } from './session-memory.ts';
import { applySessionMethod, onClientMessage, SESSION_METHODS } from './session-methods.ts';
import { SessionRequest } from './session-request.ts';

/** A request of a client of sessions. */
export interface InSession extends RequestContext {
  readonly method: McpMethod;
  /** Undefined: none, as for `initialize`. */
  readonly sessionId: string | undefined;
  readonly message: Json;
}

export interface SessionFrontDeps extends ServerStreamDeps {
  readonly budgets: Budgets;
  /** Undefined: there is one process only. */
  readonly channel: ReplicaChannel | undefined;
}

interface Session {
  readonly state: SessionState;
  readonly memory: SessionMemory;
}

/** Shows clients of sessions a server that knows none: the relay answers for the sessions. */
export class SessionFront {
  readonly #deps: SessionFrontDeps;
  readonly #ended: (() => void) | undefined;
  readonly #memories: SessionMemories;
  readonly #mirrored = new ParameterHeaders();

  constructor(deps: SessionFrontDeps) {
    this.#deps = deps;
    this.#memories = new SessionMemories(deps.budgets);
    this.#ended = deps.channel?.subscribe((message) => this.#receive(message));
  }

  /** Answers one request. Never rejects. */
  async answer(request: InSession, response: LocalResponse): Promise<void> {
    const { sessionId, message, caller } = request;
    const id = isId(message.id) ? message.id : null;
    if (sessionId === undefined) return this.#outside(request, response);
    const state = sessionOf(sessionId);
    const owner = ownerOf(caller);
    if (state === undefined || this.#memories.hasEnded(owner, state.id))
      return void response.answer(errorMessage(id, NO_SESSION, 'session not found'), 404);
    if (request.method === 'DELETE') {
      this.#memories.end(owner, state.id);
      this.#deps.channel?.publish({ kind: 'ended', owner, id: state.id });
      return void response.status(200);
    }
    let memory: SessionMemory;
    try {
      memory = this.#memories.of(owner, state.id);
    } catch (error) {
      return answerFailure(error, id ?? 'session', response, 200);
    }
    await this.#inside(request, { state, memory }, response);
  }

  close(): void {
    this.#ended?.();
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
    const result = await new ModernClient(this.#deps.link, client, { caller }).discover(signal);
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
      if (!onClientMessage(request.message, session.memory)) this.#share(request, session.state);
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
  }

  #result(
    request: InSession,
    { state, memory }: Session,
    { id, method }: { readonly id: Id; readonly method: string },
    response: LocalResponse,
  ): Json | Promise<Json> {
    if (method === 'ping') return {};
    if (method === 'initialize')
      throw new ServerError(INVALID_REQUEST, 'this session has begun: initialize without it to begin another');
    if (SESSION_METHODS.has(method)) return this.#remember(request, state, memory);
    const params = isRecord(request.message.params) ? request.message.params : {};
    return new SessionRequest({ link: this.#deps.link, mirrored: this.#mirrored }, state.client, memory, response)
      .answer({ id, method, params }, request)
      .then(toLegacyResult);
  }

  async #remember(request: InSession, state: SessionState, memory: SessionMemory): Promise<Json> {
    const result = await applySessionMethod(request.message, memory);
    this.#share(request, state);
    return result;
  }

  /** Whichever replica holds the session's stream, or its request that asks something, hears what its client says. */
  #share({ message, caller }: InSession, { id }: SessionState): void {
    this.#deps.channel?.publish({ kind: 'session', owner: ownerOf(caller), id, message });
  }

  #receive({ kind, owner, id, message }: Json): void {
    if (typeof owner !== 'string' || typeof id !== 'string') return;
    if (kind === 'ended') this.#memories.end(owner, id);
    if (kind !== 'session' || !isRecord(message)) return;
    if (!SESSION_METHODS.has(message.method)) {
      const memory = this.#memories.known(owner, id);
      if (memory !== undefined) onClientMessage(message, memory);
      return;
    }
    // Where this replica holds the stream and the server does not tell, nobody is there to hear so any more.
    this.#applyRemote(owner, id, message).catch(() => {});
  }

  async #applyRemote(owner: string, id: string, message: Json): Promise<void> {
    await applySessionMethod(message, this.#memories.of(owner, id));
  }
}
