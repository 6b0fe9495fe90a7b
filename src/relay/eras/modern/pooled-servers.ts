import { randomUUID } from 'node:crypto';
import { withLinkedSignal } from '../../../platform/abort.ts';
import { isRecord } from '../../../platform/is-record.ts';
import type { Budgets } from '../../gate/budgets/budgets.ts';
import { offeredBy } from '../../protocol/capabilities.ts';
import type { ClientFacts } from '../../protocol/client-facts.ts';
import { INVALID_PARAMS, SERVER_ERROR } from '../../protocol/error-codes.ts';
import { ServerError, SessionLost } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { META, withServerInfo } from '../../protocol/meta.ts';
import { isVendorNotification } from '../../protocol/methods.ts';
import { toModernResult } from '../../protocol/to-modern-result.ts';
import { urlElicitations } from '../../protocol/url-elicitations.ts';
import { RemoteCalls } from '../../replicas/remote-call.ts';
import type { ReplicaChannel } from '../../replicas/replica-channel.ts';
import type { LegacySessions } from '../../upstreams/legacy-sessions.ts';
import { type ClientRequest, type Description, descriptionOf, type McpServer } from '../../upstreams/mcp-server.ts';
import {
  ignoreMessage,
  type OnMessage,
  ownerOf,
  type RequestContext,
  type RequestOptions,
} from '../../upstreams/upstream-request.ts';
import { listenInSession } from './listening.ts';
import type { PooledSession } from './pooled-session.ts';
import { type KeyOf, SessionPool } from './session-pool.ts';
import { type CallBudget, type Listener, SuspendedCall } from './suspended-call.ts';
import { isSuspendedState, SuspendedCalls } from './suspended-calls.ts';

/** Requests whose answer may be a question (2026-07-28, multi round-trip requests). */
const MAY_ASK: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read']);

/** A request of the stateless era, and on whose behalf it is. */
interface PooledRequest extends RequestContext, ClientRequest {
  readonly facts: ClientFacts;
}

/** A client's next request of a call that waits for it, here or in another replica. */
interface NextTurn {
  readonly state: string;
  readonly owner: string;
  /** The request that may go on with the call. */
  readonly what: string;
  readonly method: string;
  readonly inputResponses: unknown;
  readonly meta: Json;
}

/** Requests that may wait for other replicas. */
const REMOTE_LIMITS = { max: 1_000, perOwner: 16 };

/** Sessions of one identity for calls, and those among them that may wait for its answers. */
const CALLS = 16;
const WAITING_FOR_ANSWERS = 8;
const SESSIONS = 2_000;
/** Requests of one identity that may wait for a session. */
const WAITING_FOR_SESSIONS = 64;
/** Milliseconds that a pooled session waits for its client to ask again. */
const IDLE = 5 * 60_000;

export interface PooledServersOptions {
  readonly keyOf: KeyOf;
  /** Streams of one identity that last. */
  readonly streams: number;
  readonly budgets: Budgets;
  /** With the other replicas; undefined: there are none. */
  readonly channel: ReplicaChannel | undefined;
}

/** A server of the sessions' era for stateless clients: the relay opens the sessions. */
export class PooledServers {
  readonly #calls: SessionPool;
  readonly #listening: SessionPool;
  readonly #suspended = new SuspendedCalls(WAITING_FOR_ANSWERS);
  readonly #budgets: Budgets;
  readonly #remote: RemoteCalls<NextTurn> | undefined;

  constructor(sessions: LegacySessions, { keyOf, streams, budgets, channel }: PooledServersOptions) {
    const all = SESSIONS;
    const waiting = WAITING_FOR_SESSIONS;
    this.#calls = new SessionPool(sessions, keyOf, { perOwner: CALLS, all, waiting, idle: IDLE });
    this.#listening = new SessionPool(sessions, keyOf, { perOwner: streams, all, waiting: 0, idle: 0 });
    this.#budgets = budgets;
    this.#remote =
      channel &&
      new RemoteCalls(
        channel,
        (turn, { send, signal }) => this.#goOn(turn, { onMessage: send, signal }),
        REMOTE_LIMITS,
      );
  }

  /** The server as one client sees it. */
  for(facts: ClientFacts, context: RequestContext): McpServer {
    return {
      describe: (signal) => this.#describe(facts, context, signal),
      request: (request, options) =>
        this.#call({ ...request, ...context, facts }, options).catch((error: unknown) => asQuestion(error, facts)),
      listen: (filter = {}, options) => listenInSession(this.#listening, filter, facts, context, options),
      notify: async () => {},
      ping: async () => {},
      close: async () => {},
    };
  }

  async close(): Promise<void> {
    this.#remote?.close();
    this.#suspended.close();
    await Promise.all([this.#calls.close(), this.#listening.close()]);
  }

  async #describe(facts: ClientFacts, context: RequestContext, signal: AbortSignal): Promise<Description> {
    const { session, release } = await this.#calls.lease(context, facts, signal);
    release();
    const description = descriptionOf(session.described);
    return { ...description, capabilities: offeredBy({ capabilities: description.capabilities }) };
  }

  /** One turn of a call: a new one, or one that has waited for its client, here or in another replica. */
  async #call(request: PooledRequest, options: RequestOptions): Promise<Json> {
    const { method, params, caller } = request;
    const { inputResponses, requestState: state, ...asked } = params;
    const { _meta, ...content } = asked;
    const meta = isRecord(_meta) ? _meta : {};
    const about = { owner: ownerOf(caller), what: JSON.stringify([method, content]), method, meta };
    if (!isSuspendedState(state)) {
      const call = this.#begin({ ...request, params: asked }, options.signal);
      return this.#turn(call, about, options);
    }
    const turn = { ...about, state, inputResponses };
    const result = await (this.#goOn(turn, options) ?? this.#goOnRemotely(turn, options));
    if (result !== undefined) return result;
    throw new ServerError(INVALID_PARAMS, 'no call waits for this answer any more: make the call again', {
      reason: 'request_state',
    });
  }

  /** @returns undefined if no replica has a call that waits for this */
  async #goOnRemotely(turn: NextTurn, { onMessage, signal }: RequestOptions): Promise<Json | undefined> {
    const called = await this.#remote?.call(turn, { owner: turn.owner, signal, onMessage });
    if (called?.kind === 'lost')
      throw new ServerError(SERVER_ERROR, 'the replica that held the call has gone: make it again');
    return called?.kind === 'result' ? called.result : undefined;
  }

  /** @returns undefined where the call does not wait here */
  #goOn(turn: NextTurn, options: RequestOptions): Promise<Json> | undefined {
    const call = this.#suspended.take(turn.state, turn.owner, turn.what);
    return call === undefined ? undefined : this.#answered(call, turn, options);
  }

  async #answered(call: SuspendedCall, turn: NextTurn, options: RequestOptions): Promise<Json> {
    try {
      call.give(turn.inputResponses);
    } catch (error) {
      call.end();
      throw error;
    }
    return this.#turn(call, turn, options);
  }

  async #turn(
    call: SuspendedCall,
    { method, owner, what, meta }: Pick<NextTurn, 'method' | 'owner' | 'what' | 'meta'>,
    { onMessage, signal }: RequestOptions,
  ): Promise<Json> {
    const turn = await call.turn(listenerOf(meta, onMessage), signal);
    if (turn.kind === 'answer') return toModernResult(method, turn.result);
    const state = this.#suspended.keep(call, owner, what);
    return { resultType: 'input_required', inputRequests: turn.questions, requestState: state };
  }

  #begin(request: PooledRequest, signal: AbortSignal): SuspendedCall {
    const { capabilities } = request.facts;
    const budget = this.#budgetOf(ownerOf(request.caller));
    return new SuspendedCall(MAY_ASK.has(request.method) ? capabilities : {}, budget, ({ take, signal: ended }) =>
      // Until there is a session, only the client's own connection ends the wait for one.
      withLinkedSignal([signal, ended], (wanted) => this.#inSession(request, wanted, { take, ended })),
    );
  }

  /** @param owner from `ownerKey(identity)` @returns what one call of theirs may keep */
  #budgetOf(owner: string): CallBudget {
    const whole = this.#budgets.of(owner);
    return {
      ...this.#budgets.of(owner, `call ${randomUUID()}`),
      makeRoom: (charge) => {
        const hold = whole.take(charge);
        if ('status' in hold) return this.#suspended.endOldest(owner);
        hold.release();
        return false;
      },
    };
  }

  /** A session that has lain idle may be forgotten by now; this client has nothing in it that could be missed. */
  async #inSession(
    request: PooledRequest,
    wanted: AbortSignal,
    call: { take: (from: PooledSession, message: Json) => void; ended: AbortSignal },
  ): Promise<Json> {
    for (;;) {
      const lease = await this.#calls.lease(request, request.facts, wanted);
      try {
        return withServerInfo(await ask(lease.session, request, call), lease.session.described.serverInfo);
      } catch (error) {
        if (!(error instanceof SessionLost)) throw error;
        lease.session.lost = true;
        if (!lease.isUsed) throw error;
      } finally {
        lease.release();
      }
    }
  }
}

async function ask(
  session: PooledSession,
  { method, params, caller, elicitsUrls, kept }: PooledRequest,
  { take, ended: signal }: { take: (from: PooledSession, message: Json) => void; ended: AbortSignal },
): Promise<Json> {
  const level = isRecord(params._meta) ? params._meta[`${META}logLevel`] : undefined;
  await session.setLevel(level, { caller, kept, signal, onMessage: ignoreMessage });
  const onMessage: OnMessage = (message) => take(session, message);
  return session.request(method, params, { caller, elicitsUrls, kept, signal, onMessage });
}

/** What the server says on the way to its answer: progress, logs if the client asked for them, and what only the two of them know. */
function listenerOf(meta: Json, send: OnMessage): Listener {
  const logs = meta[`${META}logLevel`] !== undefined;
  return {
    progressToken: meta.progressToken,
    onMessage: (message) => {
      const { method } = message;
      const isWanted = method === 'notifications/progress' || (logs && method === 'notifications/message');
      if (isWanted || isVendorNotification(method)) send(message);
    },
  };
}

/** @throws error where it asks nothing */
function asQuestion(error: unknown, { capabilities }: ClientFacts): Json {
  const question = urlElicitations(error, capabilities);
  if (question === undefined) throw error;
  return question;
}
