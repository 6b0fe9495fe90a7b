import { randomUUID } from 'node:crypto';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { ServerError } from '../protocol/failures.ts';
import { writeJson } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { mirroredHeaders } from '../protocol/mcp-headers.ts';
import { withEnvelope } from '../protocol/meta.ts';
import { type ClientRequest, type Description, descriptionOf, type Filter, type McpServer } from './mcp-server.ts';
import { plainReader, post } from './post-message.ts';
import {
  ignoreMessage,
  postHeaders,
  type RequestContext,
  type RequestOptions,
  sendTo,
  type UpstreamLink,
} from './upstream-request.ts';

/** A client of one server of the stateless era, since 2026-07-28: every request stands by itself. */
export class ModernClient implements McpServer {
  readonly #link: UpstreamLink;
  readonly #facts: ClientFacts;
  readonly #context: RequestContext;

  /** @param facts what each request says of the client */
  constructor(link: UpstreamLink, facts: ClientFacts, context: RequestContext) {
    this.#link = link;
    this.#facts = facts;
    this.#context = context;
  }

  /** @returns the result of `server/discover` @throws as `post` does */
  discover(signal: AbortSignal): Promise<Json> {
    const request = { id: randomUUID(), method: 'server/discover', params: {} };
    return this.request(request, { signal, onMessage: ignoreMessage });
  }

  async describe(signal: AbortSignal): Promise<Description> {
    return descriptionOf(await this.discover(signal));
  }

  request({ id, method, params, mirrored = [] }: ClientRequest, options: RequestOptions): Promise<Json> {
    const context = { ...this.#context, ...options };
    const message = { jsonrpc: '2.0', id, method, params: withEnvelope(params, this.#facts) };
    const fields = [...mirroredHeaders(method, message.params), ...mirrored];
    return post(message, Buffer.from(writeJson(message)), postHeaders(context, fields), {
      ...options,
      send: sendTo(this.#link, 'modern', context),
      limit: this.#link.limit,
      readerOf: plainReader(this.#link, this.#context.caller),
    });
  }

  /** A stateless client sends nothing beside requests. */
  async notify(): Promise<void> {}

  async listen(filter: Filter = {}, options: RequestOptions): Promise<'not_offered' | 'lost'> {
    try {
      const params = { notifications: filter };
      await this.request({ id: randomUUID(), method: 'subscriptions/listen', params }, options);
      return 'lost';
    } catch (error) {
      return error instanceof ServerError ? 'not_offered' : 'lost';
    }
  }

  async ping(signal: AbortSignal): Promise<void> {
    await this.discover(signal);
  }

  /** There is nothing to end. */
  async close(): Promise<void> {}
}
