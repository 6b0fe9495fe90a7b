import { z } from 'zod';
import { isRecord } from '../../platform/is-record.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { SessionLost } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { LegacyClient, type SessionFields } from '../upstreams/legacy-client.ts';
import {
  type ClientRequest,
  type Description,
  descriptionOf,
  type Filter,
  type McpServer,
} from '../upstreams/mcp-server.ts';
import {
  ignoreMessage,
  type RequestContext,
  type RequestOptions,
  type UpstreamLink,
} from '../upstreams/upstream-request.ts';
import type { SessionSlot } from './member.ts';

/** One server, asked for a client of the sessions' era, whose session with it is part of the client's own. */
export class LegacyMember implements McpServer {
  readonly #facts: ClientFacts;
  readonly #slot: SessionSlot;
  readonly #link: UpstreamLink;
  readonly #context: RequestContext;
  #description: Description | undefined;

  constructor(facts: ClientFacts, slot: SessionSlot, link: UpstreamLink, context: RequestContext) {
    this.#facts = facts;
    this.#slot = slot;
    this.#link = link;
    this.#context = context;
  }

  async describe(signal: AbortSignal): Promise<Description> {
    const { capabilities } = fromText(await this.#open(signal));
    return this.#description ?? descriptionOf({ capabilities });
  }

  async request(request: ClientRequest, options: RequestOptions): Promise<Json> {
    const { id, method, params } = request;
    const message = { jsonrpc: '2.0', id, method, params };
    const ask = (session: string) => this.#client(session).request(message, options);
    const session = await this.#open(options.signal);
    try {
      return await ask(session);
    } catch (error) {
      if (!(error instanceof SessionLost)) throw error;
      // Another request may have opened a new one meanwhile.
      if (this.#slot.session === session) this.#slot.session = undefined;
    }
    return ask(await this.#open(options.signal));
  }

  async notify(message: Json): Promise<void> {
    const { session } = this.#slot;
    if (session !== undefined) await this.#client(session).notify(message);
  }

  async listen(_filter: Filter | undefined, { signal, onMessage }: RequestOptions): Promise<'not_offered' | 'lost'> {
    const session = await this.#open(signal).catch(() => undefined);
    if (session === undefined) return 'lost';
    return new Promise((resolve) => {
      const stream = this.#client(session).stream({
        message: onMessage,
        finished: (how) => resolve(how === 'not_offered' || how === 'refused' ? 'not_offered' : 'lost'),
      });
      signal.addEventListener('abort', () => {
        stream.stop();
        resolve('lost');
      });
      stream.start();
    });
  }

  async ping(signal: AbortSignal): Promise<void> {
    if (this.#slot.session === undefined) await this.#open(signal);
    else await this.request({ id: 'ping', method: 'ping', params: {} }, { signal, onMessage: ignoreMessage });
  }

  async close(): Promise<void> {
    const { session } = this.#slot;
    if (session !== undefined) await this.#client(session).close();
  }

  #client(session?: string): LegacyClient {
    return new LegacyClient(this.#link, this.#context, session === undefined ? undefined : fromText(session));
  }

  /** One opens, the others wait for that. @returns the session, as it is in the slot */
  async #open(signal: AbortSignal): Promise<string> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#slot.session !== undefined) return this.#slot.session;
      this.#slot.opening ??= this.#initialize(signal)
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

  async #initialize(signal: AbortSignal): Promise<void> {
    const client = this.#client();
    this.#description = descriptionOf(await client.initialize(this.#facts, { signal, onMessage: ignoreMessage }));
    const { id, version = this.#facts.protocolVersion } = client.session;
    this.#slot.session = toText({ id, version }, this.#description);
  }
}

const stored = z.tuple([z.string(), z.string(), z.record(z.string(), z.unknown())]);

/** As it is kept in the id of the client's session. */
function toText({ id = '', version }: SessionFields, { capabilities }: Description): string {
  return JSON.stringify([id, version, usedCapabilities(capabilities)]);
}

/** @throws where the text is none of {@link toText} */
function fromText(text: string): SessionFields & { readonly capabilities: Json } {
  const [id, version, capabilities] = stored.parse(JSON.parse(text));
  return { id: id === '' ? undefined : id, version, capabilities };
}

/** Of what a server offers, the part that the whole can offer; the rest would only make ids of sessions long. */
function usedCapabilities(given: Json): Json {
  const used: Record<string, unknown> = {};
  for (const name of ['tools', 'prompts', 'resources', 'logging', 'completions'])
    if (isRecord(given[name])) used[name] = {};
  if (isRecord(given.resources) && given.resources.subscribe === true) used.resources = { subscribe: true };
  return used;
}
