import { isRecord } from '../../../platform/is-record.ts';
import type { ClientFacts } from '../../protocol/client-facts.ts';
import { HEADER_MISMATCH, INTERNAL_ERROR, INVALID_REQUEST } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { META } from '../../protocol/meta.ts';
import type { ParameterHeaders } from '../../protocol/parameter-headers.ts';
import { toLegacyNotification } from '../../protocol/to-legacy-result.ts';
import type { LocalResponse } from '../../upstreams/local-response.ts';
import type { ClientRequest } from '../../upstreams/mcp-server.ts';
import { ModernClient } from '../../upstreams/modern-client.ts';
import {
  ignoreMessage,
  type RequestContext,
  type RequestOptions,
  type UpstreamLink,
} from '../../upstreams/upstream-request.ts';
import { askClient } from './input-requests.ts';
import type { SessionMemory } from './session-memory.ts';

/** How often a server may ask before it answers. */
const MAX_ROUNDS = 32;
/** Pages of a list of tools that are looked through for one. */
const MAX_PAGES = 20;

export interface SessionRequestDeps {
  readonly link: UpstreamLink;
  readonly mirrored: ParameterHeaders;
}

/** One request of a client of sessions at a server that has none: several requests there, where the server asks back. */
export class SessionRequest {
  readonly #deps: SessionRequestDeps;
  readonly #client: ClientFacts;
  readonly #memory: SessionMemory;
  readonly #response: LocalResponse;

  constructor(deps: SessionRequestDeps, client: ClientFacts, memory: SessionMemory, response: LocalResponse) {
    this.#deps = deps;
    this.#client = client;
    this.#memory = memory;
    this.#response = response;
  }

  /** @throws as `post` does; ServerError where the client cannot be asked what the server wants to know */
  async answer(request: ClientRequest, context: RequestContext): Promise<Json> {
    const { running } = this.#memory;
    if (running.has(request.id)) throw new ServerError(INVALID_REQUEST, 'a request with this id waits for its answer');
    const cancel = new AbortController();
    running.set(request.id, cancel);
    const signal = AbortSignal.any([this.#response.signal, cancel.signal]);
    try {
      return await this.#rounds(request, { ...context, signal, onMessage: (message) => this.#onMessage(message) });
    } finally {
      running.delete(request.id);
    }
  }

  async #rounds({ id, method, params }: ClientRequest, options: RequestOptions): Promise<Json> {
    let further: Json = {};
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const result = await this.#ask({ id, method, params: { ...params, ...further } }, options);
      if (result.resultType !== 'input_required') return result;
      const { inputRequests, requestState } = result;
      const client = {
        capabilities: this.#client.capabilities,
        memory: this.#memory,
        send: (message: Json) => this.#response.event(message),
      };
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
      await this.#learn(request.params.name, options);
      return this.#post(request, options);
    }
  }

  async #learn(tool: unknown, options: RequestOptions): Promise<void> {
    let params: Json = {};
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const { tools, nextCursor } = await this.#post(
        { id: 'tools', method: 'tools/list', params },
        { ...options, onMessage: ignoreMessage },
      );
      this.#deps.mirrored.learn(tools);
      const found = Array.isArray(tools) && tools.some((one: unknown) => isRecord(one) && one.name === tool);
      if (found || typeof nextCursor !== 'string') return;
      params = { cursor: nextCursor };
    }
  }

  #post({ id, method, params }: ClientRequest, options: RequestOptions): Promise<Json> {
    const { level } = this.#memory;
    const meta = isRecord(params._meta) ? params._meta : {};
    const wanted = level === undefined ? params : { ...params, _meta: { ...meta, [`${META}logLevel`]: level } };
    const client = new ModernClient(this.#deps.link, this.#client, { caller: options.caller });
    return client.request({ id, method, params: wanted, mirrored: this.#deps.mirrored.of(method, params) }, options);
  }

  /** Nothing that a stateless server says before its answer is a request. */
  #onMessage(message: Json): void {
    if (message.id === undefined) this.#response.event(toLegacyNotification(message));
  }
}
