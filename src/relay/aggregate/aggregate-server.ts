import type { Dispatcher } from 'undici';
import { ownerKey } from '../../identity/identity.ts';
import { BoundedCache } from '../../platform/bounded-cache.ts';
import { type LocalServerDeps, serveLocally } from '../downstream/local-server.ts';
import type { Budgets } from '../gate/budgets/budgets.ts';
import { type ClientFacts, factsOf } from '../protocol/client-facts.ts';
import { ParameterHeaders } from '../protocol/parameter-headers.ts';
import { type Era, negotiatedVersion } from '../protocol/versions.ts';
import { RefusedError, refusalOf } from '../refusal.ts';
import type { Caller } from '../trust/caller.ts';
import type { InitializedSession, LegacySession, LegacySessions } from '../upstreams/legacy-sessions.ts';
import type { ClientRequest, McpServer } from '../upstreams/mcp-server.ts';
import { RunningRequests } from '../upstreams/running-requests.ts';
import type { Upstream, UpstreamRequest } from '../upstreams/upstream.ts';
import type { RequestContext } from '../upstreams/upstream-request.ts';
import { Aggregate, type AggregateDeps } from './aggregate.ts';
import type { Member, SessionSlot } from './member.ts';
import { SessionSlots } from './session-slots.ts';
import { newSession, type SessionState, sessionId, sessionState } from './session-state.ts';

/** Whoever a server is asked for. */
export interface MemberClient {
  readonly caller: Caller;
  readonly era: Era;
  readonly facts: ClientFacts;
}

/** Begins or goes on with one server for one client, in the form of the client's era. */
export type OpenMember = (server: string, client: MemberClient, slot: SessionSlot) => Member;

export interface AggregateServerDeps extends AggregateDeps {
  /** The servers in the whole, in the order of the lists. */
  readonly servers: readonly string[];
  readonly mayUse: (caller: Caller, server: string) => boolean;
  readonly open: OpenMember;
  readonly budgets: Budgets;
  /** Bytes of messages that may wait for a client which does not read. */
  readonly limit: number;
  /** Something failed that is no server: a dependency, or this program. */
  readonly onFailure: (error: unknown) => void;
}

/** What a process remembers of a session between two requests; every other one can do without. */
interface Remembered {
  readonly slots: SessionSlots;
  readonly running: RunningRequests;
}

/** Sessions that this process remembers; each can be taken up again from its id alone. */
const REMEMBERED = { max: 10_000, ttl: 60 * 60 * 1000 };

/** All servers as one MCP server, in this process: it is asked as the others are, over the transports that they have. */
export class AggregateServer implements Upstream, LegacySessions {
  #deps: AggregateServerDeps;
  #local: LocalServerDeps;
  readonly #mirrored = new ParameterHeaders();
  readonly #sessions = new BoundedCache<string, Remembered>(REMEMBERED);
  readonly legacy = this;

  constructor(deps: AggregateServerDeps) {
    this.#deps = deps;
    this.#local = this.#localDeps(deps);
  }

  /** Takes another configuration; sessions and streams go on, and their next request is made by it. */
  reconfigure(deps: AggregateServerDeps): void {
    this.#deps = { ...deps, subscribers: this.#deps.subscribers };
    this.#local = this.#localDeps(deps);
  }

  #localDeps({ limit, budgets, onFailure }: AggregateServerDeps): LocalServerDeps {
    return {
      limit,
      budgets,
      legacy: this,
      mirrored: this.#mirrored,
      modern: (facts, context) => this.modern(facts, context),
      onFailure: (error) => {
        if (error instanceof RefusedError) return error;
        onFailure(error);
        return new RefusedError(refusalOf(error));
      },
    };
  }

  /** Answers as a streamable HTTP server would. Never throws. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    serveLocally(request, handler, this.#local);
  }

  modern(facts: ClientFacts, context: RequestContext): McpServer {
    return this.#of({ ...client(context), era: 'modern', facts }, new SessionSlots());
  }

  /** Its servers are closed by who opened them; streams end with their clients. */
  async close(): Promise<void> {}

  /** Begins the session at every server. Its id holds all that another replica needs. */
  async open({ params }: ClientRequest, context: RequestContext, signal: AbortSignal): Promise<InitializedSession> {
    const { caller } = client(context);
    const facts = factsOf(params, negotiatedVersion(params.protocolVersion));
    const remembered = { slots: new SessionSlots(), running: new RunningRequests() };
    const described = await this.#of({ caller, era: 'legacy', facts }, remembered.slots).describe(signal);
    const state = newSession(facts, remembered.slots.sessions());
    this.#sessions.set(keyOf(state, caller), remembered);
    const { capabilities, serverInfo, instructions } = described;
    const { protocolVersion } = facts;
    const result = { protocolVersion, capabilities, serverInfo, ...(instructions && { instructions }) };
    return { id: sessionId(state), result };
  }

  /** What the user may use is asked for each request; what the servers' sessions are is in the id. */
  find(id: string, context: RequestContext): LegacySession | undefined {
    const state = sessionState(id);
    if (state === undefined) return undefined;
    const { caller } = client(context);
    const key = keyOf(state, caller);
    const remembered = this.#sessions.get(key) ?? {
      slots: new SessionSlots(state.members),
      running: new RunningRequests(),
    };
    this.#sessions.set(key, remembered);
    const server = this.#of({ caller, era: 'legacy', facts: state.client }, remembered.slots);
    return { server, running: remembered.running };
  }

  #of(asking: MemberClient, slots: SessionSlots): Aggregate {
    const { servers, mayUse, open } = this.#deps;
    const usable = servers.filter((server) => mayUse(asking.caller, server));
    const members = usable.map((server) => open(server, asking, slots.of(server)));
    return new Aggregate(asking, members, this.#deps);
  }
}

/** @throws Error for the relay itself, which asks no aggregate */
function client({ caller }: RequestContext): { readonly caller: Caller } {
  if (caller === undefined) throw new Error('all servers as one were asked on behalf of no client');
  return { caller };
}

function keyOf({ id }: SessionState, { identity }: Caller): string {
  return JSON.stringify([id, ownerKey(identity)]);
}
