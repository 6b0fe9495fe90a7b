import { SERVER_ERROR } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Id, Json, MessageId } from '../protocol/json-rpc.ts';
import type { Message } from '../protocol/message.ts';
import { toLegacyResult } from '../protocol/to-legacy-result.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import { errorFor } from './common-server.ts';
import type { Conversation } from './conversation.ts';
import { Cancelled } from './member.ts';
import { SERVER_INFO } from './modern.ts';
import type { ServerRequestIds } from './server-requests.ts';
import type { SessionSlots } from './session-slots.ts';
import { newSession, type SessionState, sessionId } from './session-state.ts';

/** What a process remembers of a session between two requests; every other one can do without. */
export class SessionMemory {
  readonly slots: SessionSlots;
  readonly running = new Map<MessageId, AbortController>();

  constructor(slots: SessionSlots) {
    this.slots = slots;
  }
}

/** One session of the eras up to 2025-11-25, for one request of its client. */
export class LegacySession {
  readonly conversation: Conversation;
  readonly #ids: ServerRequestIds;
  readonly #memory: SessionMemory;

  constructor(conversation: Conversation, memory: SessionMemory, ids: ServerRequestIds) {
    this.conversation = conversation;
    this.#memory = memory;
    this.#ids = ids;
  }

  /** Begins the session at every server. Its id holds all that another replica needs. */
  async initialize(id: Id, response: LocalResponse): Promise<SessionState> {
    const { owner, client, common } = this.conversation;
    const { capabilities, instructions } = await common.describe(owner, response.signal);
    const state = newSession(client, this.#memory.slots.sessions());
    response.headers['mcp-session-id'] = sessionId(state);
    const { protocolVersion } = client;
    const result = { protocolVersion, capabilities, serverInfo: SERVER_INFO, ...(instructions && { instructions }) };
    response.answer({ jsonrpc: '2.0', id, result });
    return state;
  }

  async request(
    request: { readonly id: Id; readonly method: string; readonly params: Json },
    response: LocalResponse,
  ): Promise<void> {
    const { id } = request;
    const cancel = new AbortController();
    this.#memory.running.set(id, cancel);
    const signal = AbortSignal.any([response.signal, cancel.signal]);
    try {
      await this.conversation.answer(request, response, FORM, signal);
    } catch (error) {
      if (!cancel.signal.aborted || response.signal.aborted) throw error;
      const gone = new ServerError(SERVER_ERROR, 'the request was taken back');
      response.answer({ jsonrpc: '2.0', id, error: errorFor(gone) });
    } finally {
      if (this.#memory.running.get(id) === cancel) this.#memory.running.delete(id);
    }
  }

  /** Takes a notification of the client, or its answer to a request of a server. */
  async tell(message: Message, whole: Json): Promise<void> {
    const { common, owner } = this.conversation;
    if (message.method === undefined) {
      const asked = this.#ids.toServer(owner, message.id);
      if (asked !== undefined) await common.member(asked.server)?.notify({ ...whole, id: asked.id });
      return;
    }
    if (message.method === 'notifications/cancelled' && this.#cancel(message.params.requestId)) return;
    if (message.method === 'notifications/cancelled' || message.method === 'notifications/roots/list_changed')
      await Promise.all(common.members.map((member) => member.notify(whole)));
  }

  /** What is said unasked, until the client has enough. */
  async listen(response: LocalResponse): Promise<void> {
    response.stream();
    await this.conversation.listen(undefined, response.signal, (message) => response.event(message));
  }

  end(): Promise<void> {
    return this.conversation.end();
  }

  /** @returns false where the request is not known here: another replica may have it */
  #cancel(id: unknown): boolean {
    const running = this.#memory.running.get(id as MessageId);
    running?.abort(new Cancelled());
    return running !== undefined;
  }
}

const FORM = { result: toLegacyResult, unknownMethod: 200 } as const;
