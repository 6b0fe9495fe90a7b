import { randomUUID } from 'node:crypto';
import { isRecord } from '../../../platform/is-record.ts';
import { HEADER_MISMATCH, INTERNAL_ERROR, INVALID_REQUEST } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { META, metaOf } from '../../protocol/meta.ts';
import type { ParameterHeaders } from '../../protocol/parameter-headers.ts';
import { toLegacyNotification, toLegacyResult } from '../../protocol/to-legacy-result.ts';
import type { ClientRequest, Description, Filter, McpServer } from '../../upstreams/mcp-server.ts';
import { ModernClient } from '../../upstreams/modern-client.ts';
import {
  ignoreMessage,
  type RequestContext,
  type RequestOptions,
  translated,
  type UpstreamLink,
} from '../../upstreams/upstream-request.ts';
import { askClient } from './input-requests.ts';
import { ServerStream } from './server-stream.ts';
import type { SessionState } from './session-id.ts';
import type { SessionMemory } from './session-memory.ts';
import { applySessionMethod, onClientMessage, SESSION_METHODS } from './session-methods.ts';

/** How often a server may ask before it answers. */
const MAX_ROUNDS = 32;

export interface EmulatedSessionDeps {
  readonly link: UpstreamLink;
  readonly mirrored: ParameterHeaders;
  /** To the other replicas, about this session. */
  readonly publish: (message: Json) => void;
  readonly end: () => void;
}

/**
 * One session of a client at a server that has none. A request is several at the server if that asks back; what is about the session
 * itself the relay answers.
 */
export class EmulatedSession implements McpServer {
  readonly #deps: EmulatedSessionDeps;
  readonly #state: SessionState;
  readonly #memory: SessionMemory;
  readonly #context: RequestContext;
  readonly #server: ModernClient;

  constructor(
    deps: EmulatedSessionDeps,
    { state, memory }: { readonly state: SessionState; readonly memory: SessionMemory },
    context: RequestContext,
  ) {
    this.#deps = deps;
    this.#state = state;
    this.#memory = memory;
    this.#context = context;
    this.#server = new ModernClient(deps.link, state.client, context);
  }

  describe(signal: AbortSignal): Promise<Description> {
    return this.#server.describe(signal);
  }

  /** @throws as `post` does; ServerError if the client cannot be asked what the server wants to know */
  async request(request: ClientRequest, options: RequestOptions): Promise<Json> {
    const { method, params } = request;
    if (method === 'ping') return {};
    if (method === 'initialize')
      throw new ServerError(INVALID_REQUEST, 'this session has begun: initialize without it to begin another');
    if (!SESSION_METHODS.has(method)) return this.#rounds(request, translated(options));
    const result = await applySessionMethod({ method, params }, this.#memory);
    this.#share({ method, params });
    return result;
  }

  async notify(message: Json): Promise<void> {
    if (!onClientMessage(message, this.#memory)) this.#share(message);
  }

  listen(_filter: Filter | undefined, options: RequestOptions): Promise<'not_offered' | 'lost'> {
    const server = new ModernClient(this.#deps.link, this.#state.client, { caller: this.#context.caller });
    return new ServerStream(server, this.#deps.link.retry, this.#memory, options).run();
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {
    this.#deps.end();
    this.#deps.publish({ kind: 'ended' });
  }

  #share(message: Json): void {
    this.#deps.publish({ kind: 'session', message });
  }

  async #rounds({ id, method, params }: ClientRequest, options: RequestOptions): Promise<Json> {
    const { capabilities } = this.#state.client;
    const client = { capabilities, memory: this.#memory, refused: new Set<string>(), send: options.onMessage };
    let further: Json = {};
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      // Each round is a request of its own, with an id of its own (2026-07-28, basic/patterns/mrtr).
      const own = round === 0 ? id : randomUUID();
      const result = await this.#ask({ id: own, method, params: { ...params, ...further } }, options);
      if (result.resultType !== 'input_required') return toLegacyResult(result);
      const { inputRequests, requestState } = result;
      further = {
        ...(isRecord(inputRequests) && { inputResponses: await askClient(inputRequests, client, options.signal) }),
        ...(requestState !== undefined && { requestState }),
      };
    }
    throw new ServerError(INTERNAL_ERROR, 'the MCP server asks again and again');
  }

  async #ask(request: ClientRequest, options: RequestOptions): Promise<Json> {
    try {
      return await this.#post(request, options);
    } catch (error) {
      if (request.method !== 'tools/call' || !(error instanceof ServerError) || error.code !== HEADER_MISMATCH)
        throw error;
      // It wants arguments mirrored, which only its list of tools says.
      await this.#deps.mirrored.find(request.params.name, (params) =>
        this.#post({ id: randomUUID(), method: 'tools/list', params }, { ...options, onMessage: ignoreMessage }),
      );
      return this.#post(request, options);
    }
  }

  #post({ id, method, params }: ClientRequest, options: RequestOptions): Promise<Json> {
    const { level } = this.#memory;
    const wanted =
      level === undefined ? params : { ...params, _meta: { ...metaOf(params), [`${META}logLevel`]: level } };
    // Nothing that a stateless server sends before its answer is a request.
    const onMessage = (message: Json) => {
      if (message.id === undefined) options.onMessage(toLegacyNotification(message));
    };
    const mirrored = this.#deps.mirrored.of(method, params);
    return this.#server.request({ id, method, params: wanted, mirrored }, { ...options, onMessage });
  }
}
