import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { isRecord } from '../../platform/is-record.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { SessionLost } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { sessionVersion } from '../protocol/versions.ts';
import { beginSession, type LegacySession, type LegacySessions, requestIn } from '../upstreams/legacy-sessions.ts';
import {
  type ClientRequest,
  type Description,
  descriptionOf,
  type Filter,
  type ListeningEnd,
  type McpServer,
} from '../upstreams/mcp-server.ts';
import { ignoreMessage, type RequestContext, type RequestOptions } from '../upstreams/upstream-request.ts';
import type { SessionSlot } from './member.ts';

/** One server, asked for a client of the sessions' era, whose session with it is part of the client's own. */
export class LegacyMember implements McpServer {
  readonly #facts: ClientFacts;
  readonly #slot: SessionSlot;
  readonly #sessions: LegacySessions;
  readonly #context: RequestContext;
  #description: Description | undefined;

  constructor(facts: ClientFacts, slot: SessionSlot, sessions: LegacySessions, context: RequestContext) {
    this.#facts = facts;
    this.#slot = slot;
    this.#sessions = sessions;
    this.#context = context;
  }

  async describe(signal: AbortSignal): Promise<Description> {
    const { capabilities } = fromText(await this.#open(signal));
    return this.#description ?? descriptionOf({ capabilities });
  }

  async request(request: ClientRequest, options: RequestOptions): Promise<Json> {
    const session = await this.#open(options.signal);
    try {
      return await requestIn(this.#at(session), request, options);
    } catch (error) {
      if (!(error instanceof SessionLost)) throw error;
      // Another request may have opened a new one meanwhile.
      if (this.#slot.session === session) this.#slot.session = undefined;
    }
    return requestIn(this.#at(await this.#open(options.signal)), request, options);
  }

  async notify(message: Json): Promise<void> {
    await this.#known()?.server.notify(message);
  }

  async listen(filter: Filter | undefined, options: RequestOptions): Promise<ListeningEnd> {
    try {
      const { server } = this.#at(await this.#open(options.signal));
      return await server.listen(filter, options);
    } catch {
      return 'lost';
    }
  }

  async ping(signal: AbortSignal): Promise<void> {
    if (this.#slot.session === undefined) await this.#open(signal);
    else await this.request({ id: randomUUID(), method: 'ping', params: {} }, { signal, onMessage: ignoreMessage });
  }

  async close(): Promise<void> {
    await this.#known()?.server.close();
  }

  /** @returns undefined if no session is open, or the server has ended it */
  #known(session = this.#slot.session): LegacySession | undefined {
    if (session === undefined) return undefined;
    const { id, version } = fromText(session);
    return this.#sessions.find(id, { ...this.#context, version });
  }

  /** @throws SessionLost */
  #at(session: string): LegacySession {
    const found = this.#known(session);
    if (found === undefined) throw new SessionLost();
    return found;
  }

  /** One opens, the others wait for that. @returns the session, as it is in the slot */
  async #open(signal: AbortSignal): Promise<string> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#slot.session !== undefined) return this.#slot.session;
      this.#slot.opening ??= this.#begin(signal)
        .catch((error: unknown) => {
          // Taken back by the request that opened it for all: the next one opens it.
          if (!signal.aborted) throw error;
        })
        .finally(() => {
          this.#slot.opening = undefined;
        });
      await this.#slot.opening;
    }
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { id, result } = await beginSession(this.#sessions, this.#facts, this.#context, signal);
    this.#description = descriptionOf(result);
    const { capabilities } = this.#description;
    const version = sessionVersion(result) ?? this.#facts.protocolVersion;
    this.#slot.session = JSON.stringify([id, version, usedCapabilities(capabilities)]);
  }
}

const stored = z.tuple([z.string(), z.string(), z.record(z.string(), z.unknown())]);

/** A session, as it is kept in the id of the client's own. @throws where the text is none */
function fromText(text: string): { readonly id: string; readonly version: string; readonly capabilities: Json } {
  const [id, version, capabilities] = stored.parse(JSON.parse(text));
  return { id, version, capabilities };
}

/** Of what a server offers, the part that the whole can offer; the rest would only make ids of sessions long. */
function usedCapabilities(given: Json): Json {
  const used: Record<string, unknown> = {};
  for (const name of ['tools', 'prompts', 'resources', 'logging', 'completions'])
    if (isRecord(given[name])) used[name] = {};
  if (isRecord(given.resources) && given.resources.subscribe === true) used.resources = { subscribe: true };
  return used;
}
