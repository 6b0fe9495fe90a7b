import type { ServerResponse } from 'node:http';
import { LRUCache } from 'lru-cache';
import type { Dispatcher } from 'undici';
import { ownerKey } from '../../identity/identity.ts';
import { isRecord } from '../../platform/is-record.ts';
import type { Budgets } from '../gate/budgets/budgets.ts';
import type { ResponseGuard } from '../gate/response-guard.ts';
import { type ClientFacts, factsOf, modernFacts } from '../protocol/client-facts.ts';
import { parseJson } from '../protocol/json.ts';
import type { Id, Json } from '../protocol/json-rpc.ts';
import { type Message, parseMessage } from '../protocol/message.ts';
import { type Era, negotiatedVersion } from '../protocol/versions.ts';
import { RefusedError, refusalOf } from '../refusal.ts';
import type { Caller } from '../trust/caller.ts';
import { answerHandler } from '../upstreams/answer-handler.ts';
import { LocalResponse } from '../upstreams/local-response.ts';
import type { RelayEvents, StreamTimes } from '../upstreams/response-relay.ts';
import type { Upstream, UpstreamRequest } from '../upstreams/upstream.ts';
import { headerOf } from '../upstreams/upstream-request.ts';
import { Conversation, type ConversationDeps } from './conversation.ts';
import { LegacySession, SessionMemory } from './legacy.ts';
import type { Member, SessionSlot } from './member.ts';
import { answerModern } from './modern.ts';
import { SessionSlots } from './session-slots.ts';
import { type SessionState, sessionState } from './session-state.ts';

/** A request as every MCP server of the relay gets it, on somebody's behalf. */
type AggregateRequest = UpstreamRequest & { readonly caller: Caller };

/** Whoever a server is asked for. */
export interface MemberClient {
  readonly caller: Caller;
  readonly era: Era;
  readonly facts: ClientFacts;
}

/** Begins or goes on with one server for one client, in the form of the client's era. */
export type OpenMember = (server: string, client: MemberClient, slot: SessionSlot) => Member;

export interface AggregateServerDeps extends ConversationDeps {
  /** The servers in the whole, in the order of the lists. */
  readonly servers: readonly string[];
  readonly mayUse: (caller: Caller, server: string) => boolean;
  readonly open: OpenMember;
  readonly budgets: Budgets;
  /** Bytes of messages that may wait for a client which does not read. */
  readonly limit: number;
  readonly streams: StreamTimes;
  /** Something failed that is no server: a dependency, or this program. */
  readonly onFailure: (error: unknown) => void;
}

/** Sessions that this process remembers; each can be taken up again from its id alone. */
const REMEMBERED = { max: 10_000, ttl: 60 * 60 * 1000 };

/** All servers as one MCP server, in this process: it is asked as the others are, over the transports that they have. */
export class AggregateServer implements Upstream {
  readonly #deps: AggregateServerDeps;
  readonly #sessions = new LRUCache<string, SessionMemory>(REMEMBERED);

  constructor(deps: AggregateServerDeps) {
    this.#deps = deps;
  }

  forward(request: UpstreamRequest, response: ServerResponse, events: RelayEvents, guard?: ResponseGuard): void {
    this.dispatch(request, answerHandler(response, events, this.#deps.streams, guard));
  }

  /** Answers as a streamable HTTP server would. Never throws. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const { caller } = request;
    const owner = caller === undefined ? '' : ownerKey(caller.identity);
    const response = new LocalResponse(handler, this.#deps.limit, this.#deps.budgets.of(owner));
    if (caller === undefined) return void response.status(401);
    this.#serve({ ...request, caller }, response).catch((error: unknown) => {
      if (response.aborted) return;
      this.#deps.onFailure(error);
      response.abort(new RefusedError(refusalOf(error)));
    });
  }

  /** Its servers are closed by who opened them; streams end with their clients. */
  async close(): Promise<void> {}

  async #serve(request: AggregateRequest, response: LocalResponse): Promise<void> {
    const { era } = request;
    if (request.method !== 'POST') return this.#withoutMessage(request, response);
    const body = request.body ?? Buffer.alloc(0);
    const parsed = parseMessage(body);
    if ('refusal' in parsed) return response.status(400);
    const whole = parseJson(body.toString()) as Json;
    const message = { ...parsed.message, params: isRecord(whole.params) ? whole.params : {} };
    if (era === 'modern') return this.#modern(message, request, response);
    return this.#legacy(message, whole, request, response);
  }

  async #modern({ id, method, params }: Message, request: AggregateRequest, response: LocalResponse): Promise<void> {
    // A stateless client takes a request back by closing its stream, and has nothing to answer.
    if (method === undefined || id === undefined || id === null) return response.status(202);
    const conversation = this.#converse(request.caller, 'modern', modernFacts(params), new SessionSlots());
    const mirrored = mirroredParams(request.headers);
    await answerModern({ id, method, params, mirrored }, conversation, response);
  }

  async #legacy(message: Message, whole: Json, request: AggregateRequest, response: LocalResponse): Promise<void> {
    const { id, method, params } = message;
    if (method === 'initialize' && id !== undefined && id !== null)
      return this.#initialize(id, params, request, response);
    const session = this.#session(request);
    if (session === undefined) return response.status(404);
    if (method !== undefined && id !== undefined && id !== null)
      return session.request({ id, method, params }, response);
    // A server that is slow to take it in must not keep the client waiting, and nobody else would hear what fails.
    session.tell(message, whole).catch(this.#deps.onFailure);
    response.status(202);
  }

  async #initialize(id: Id, params: Json, { caller }: AggregateRequest, response: LocalResponse): Promise<void> {
    const client = factsOf(params, negotiatedVersion(params.protocolVersion));
    const memory = new SessionMemory(new SessionSlots());
    const session = new LegacySession(this.#converse(caller, 'legacy', client, memory.slots), memory, this.#deps.ids);
    const state = await session.initialize(id, response);
    this.#sessions.set(keyOf(state, caller), memory);
  }

  /** The stream of a session, or its end. */
  async #withoutMessage(request: AggregateRequest, response: LocalResponse): Promise<void> {
    const session = this.#session(request);
    if (session === undefined) return response.status(404);
    if (request.method === 'GET') return session.listen(response);
    await session.end();
    response.status(200);
  }

  /** What the user may use is asked for each request; what the servers' sessions are is in the id. */
  #session({ headers, caller }: AggregateRequest): LegacySession | undefined {
    const state = sessionState(headerOf(headers, 'mcp-session-id') ?? '');
    if (state === undefined) return undefined;
    const key = keyOf(state, caller);
    const memory = this.#sessions.get(key) ?? new SessionMemory(new SessionSlots(state.members));
    this.#sessions.set(key, memory);
    return new LegacySession(this.#converse(caller, 'legacy', state.client, memory.slots), memory, this.#deps.ids);
  }

  #converse(caller: Caller, era: Era, client: ClientFacts, slots: SessionSlots): Conversation {
    const { servers, mayUse, open } = this.#deps;
    const usable = servers.filter((server) => mayUse(caller, server));
    const members = usable.map((server) => open(server, { caller, era, facts: client }, slots.of(server)));
    return new Conversation(caller, client, members, this.#deps);
  }
}

function keyOf({ id }: SessionState, { identity }: Caller): string {
  return JSON.stringify([id, ownerKey(identity)]);
}

/** The fields that mirror arguments of a tool (2026-07-28, `x-mcp-header`). */
function mirroredParams(headers: readonly string[]): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase().startsWith('mcp-param-') === true);
}
