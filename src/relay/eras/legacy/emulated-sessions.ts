import { isRecord } from '../../../platform/is-record.ts';
import type { Budgets } from '../../gate/budgets/budgets.ts';
import { offeredBy } from '../../protocol/capabilities.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import type { ReplicaChannel } from '../../replicas/replica-channel.ts';
import type { InitializedSession, LegacySession, LegacySessions } from '../../upstreams/legacy-sessions.ts';
import type { ClientRequest } from '../../upstreams/mcp-server.ts';
import { ModernClient } from '../../upstreams/modern-client.ts';
import { ownerOf, type RequestContext } from '../../upstreams/upstream-request.ts';
import { EmulatedSession, type EmulatedSessionDeps } from './emulated-session.ts';
import { openedBy, sessionIdOf, sessionOf } from './session-id.ts';
import { SessionMemories } from './session-memory.ts';
import { applySessionMethod, onClientMessage, SESSION_METHODS } from './session-methods.ts';

export interface EmulatedSessionsDeps extends Pick<EmulatedSessionDeps, 'link' | 'mirrored'> {
  readonly budgets: Budgets;
  /** Undefined: there is one process only. */
  readonly channel: ReplicaChannel | undefined;
}

/** The sessions of clients at a server that knows none: the relay answers for them. */
export class EmulatedSessions implements LegacySessions {
  readonly #deps: EmulatedSessionsDeps;
  readonly #unsubscribe: (() => void) | undefined;
  readonly #memories: SessionMemories;

  constructor(deps: EmulatedSessionsDeps) {
    this.#deps = deps;
    this.#memories = new SessionMemories(deps.budgets);
    this.#unsubscribe = deps.channel?.subscribe((message) => this.#receive(message));
  }

  /** The answer is what the server would have given to `initialize`. */
  async open({ params }: ClientRequest, { caller }: RequestContext, signal: AbortSignal): Promise<InitializedSession> {
    const state = openedBy(params);
    const server = new ModernClient(this.#deps.link, state.client, { caller });
    const { capabilities, serverInfo, instructions } = await server.describe(signal);
    const { protocolVersion } = state.client;
    return {
      id: sessionIdOf(state),
      result: {
        protocolVersion,
        capabilities: offeredBy({ capabilities }),
        serverInfo,
        ...(instructions !== undefined && { instructions }),
      },
    };
  }

  find(sessionId: string, context: RequestContext): LegacySession | undefined {
    const state = sessionOf(sessionId);
    const owner = ownerOf(context.caller);
    if (state === undefined || this.#memories.hasEnded(owner, state.id)) return undefined;
    const { link, mirrored, channel } = this.#deps;
    const memory = this.#memories.of(owner, state.id);
    const publish = (message: Json) => channel?.publish({ ...message, owner, id: state.id });
    const end = () => this.#memories.end(owner, state.id);
    const server = new EmulatedSession({ link, mirrored, publish, end }, { state, memory }, context);
    return { server, running: memory.running };
  }

  close(): void {
    this.#unsubscribe?.();
    this.#memories.close();
  }

  /** Whichever replica holds the session's stream, or its request that asks something, takes what its client sends. */
  #receive({ kind, owner, id, message }: Json): void {
    if (typeof owner !== 'string' || typeof id !== 'string') return;
    if (kind === 'ended') this.#memories.end(owner, id);
    if (kind !== 'session' || !isRecord(message)) return;
    if (!SESSION_METHODS.has(message.method)) {
      const memory = this.#memories.known(owner, id);
      if (memory !== undefined) onClientMessage(message, memory);
      return;
    }
    // If this replica holds the stream and the server does not tell, no client waits here for the error.
    this.#applyRemote(owner, id, message).catch(() => {});
  }

  async #applyRemote(owner: string, id: string, message: Json): Promise<void> {
    await applySessionMethod(message, this.#memories.of(owner, id));
  }
}
