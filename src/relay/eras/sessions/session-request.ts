import { isRecord } from '../../../platform/is-record.ts';
import type { ClientFacts } from '../../protocol/client-facts.ts';
import { HEADER_MISMATCH, INTERNAL_ERROR, INVALID_REQUEST } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Id, Json } from '../../protocol/json-rpc.ts';
import { mirroredHeaders } from '../../protocol/mcp-headers.ts';
import { META, withEnvelope } from '../../protocol/meta.ts';
import type { ParameterHeaders } from '../../protocol/parameter-headers.ts';
import { toLegacyNotification } from '../../protocol/to-legacy-result.ts';
import type { LocalResponse } from '../../upstreams/local-response.ts';
import { type Asking, askServer, type From, IGNORE, type ServerLink } from '../server-link.ts';
import { askClient } from './questions.ts';
import type { SessionMemory } from './session-memory.ts';

/** How often a server may ask before it answers. */
const MAX_ROUNDS = 32;
/** 2026-07-28: header fields do not mirror the body. */
/** Pages of a list of tools that are looked through for one. */
const MAX_PAGES = 20;

export interface SessionRequestDeps {
  readonly link: ServerLink;
  readonly mirrored: ParameterHeaders;
}

interface Request {
  readonly id: Id;
  readonly method: string;
  readonly params: Json;
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
  async answer(request: Request, from: From): Promise<Json> {
    const { running } = this.#memory;
    if (running.has(request.id)) throw new ServerError(INVALID_REQUEST, 'a request with this id waits for its answer');
    const cancel = new AbortController();
    running.set(request.id, cancel);
    const signal = AbortSignal.any([this.#response.signal, cancel.signal]);
    const hear = (message: Json) => this.#hear(message);
    try {
      return await this.#rounds(request, { ...from, signal, hear });
    } finally {
      running.delete(request.id);
    }
  }

  async #rounds({ id, method, params }: Request, asking: Asking): Promise<Json> {
    let further: Json = {};
    for (let round = 0; round < MAX_ROUNDS; round += 1) {
      const result = await this.#ask({ id, method, params: { ...params, ...further } }, asking);
      if (result.resultType !== 'input_required') return result;
      const { inputRequests, requestState } = result;
      const client = {
        capabilities: this.#client.capabilities,
        memory: this.#memory,
        say: (message: Json) => this.#response.event(message),
      };
      further = {
        ...(isRecord(inputRequests) && { inputResponses: await askClient(inputRequests, client, asking.signal) }),
        ...(requestState !== undefined && { requestState }),
      };
    }
    throw new ServerError(INTERNAL_ERROR, 'the MCP server asks again and again');
  }

  async #ask(request: Request, asking: Asking): Promise<Json> {
    try {
      return await this.#post(request, asking);
    } catch (error) {
      if (request.method !== 'tools/call' || !(error instanceof ServerError) || error.code !== HEADER_MISMATCH)
        throw error;
      // It wants arguments mirrored, which only its list of tools says.
      await this.#learn(request.params.name, asking);
      return this.#post(request, asking);
    }
  }

  async #learn(tool: unknown, asking: Asking): Promise<void> {
    let params: Json = {};
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const { tools, nextCursor } = await this.#post(
        { id: 'tools', method: 'tools/list', params },
        { ...asking, hear: IGNORE },
      );
      this.#deps.mirrored.learn(tools);
      const found = Array.isArray(tools) && tools.some((one: unknown) => isRecord(one) && one.name === tool);
      if (found || typeof nextCursor !== 'string') return;
      params = { cursor: nextCursor };
    }
  }

  async #post({ id, method, params }: Request, asking: Asking): Promise<Json> {
    const { level } = this.#memory;
    const meta = isRecord(params._meta) ? params._meta : {};
    const wanted = level === undefined ? params : { ...params, _meta: { ...meta, [`${META}logLevel`]: level } };
    const whole = withEnvelope(wanted, this.#client);
    const headers = [...mirroredHeaders(method, whole), ...this.#deps.mirrored.of(method, whole)];
    const { result } = await askServer(
      { jsonrpc: '2.0', id, method, params: whole },
      'modern',
      headers,
      this.#deps.link,
      asking,
    );
    return result;
  }

  /** Nothing that a stateless server says before its answer is a request. */
  #hear(message: Json): void {
    if (message.id === undefined) this.#response.event(toLegacyNotification(message));
  }
}
