import type { ClientFacts } from '../protocol/client-facts.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { mirroredHeaders } from '../protocol/mcp-headers.ts';
import { withEnvelope } from '../protocol/meta.ts';
import type { Hear } from '../upstreams/post-message.ts';
import type { Description } from './capabilities.ts';
import type { Filter, Member, ServerRequest } from './member.ts';
import { descriptionOf } from './opened.ts';
import { ask, NOBODY, type ServerLink } from './server-link.ts';

/** One server, asked for a client of the stateless era: every request stands by itself. */
export class StatelessMember implements Member {
  readonly server: string;
  readonly #client: ClientFacts;
  readonly #link: ServerLink;

  constructor(server: string, client: ClientFacts, link: ServerLink) {
    this.server = server;
    this.#client = client;
    this.#link = link;
  }

  async describe(signal: AbortSignal): Promise<Description> {
    const request = { id: 'discover', method: 'server/discover', params: {} };
    return descriptionOf(await this.request(request, signal, NOBODY));
  }

  async request({ id, method, params, mirrored = [] }: ServerRequest, signal: AbortSignal, hear: Hear): Promise<Json> {
    const enveloped = withEnvelope(params, this.#client);
    const headers = [...mirroredHeaders(method, enveloped), ...mirrored];
    const message = { jsonrpc: '2.0', id, method, params: enveloped };
    return (await ask(this.#link, message, headers, signal, hear)).result;
  }

  /** A stateless client has nothing to say unasked. */
  async tell(): Promise<void> {}

  /** Which server it is says nothing of that. */
  async mayHear(): Promise<boolean> {
    return true;
  }

  async listen(filter: Filter | undefined, hear: Hear, signal: AbortSignal): Promise<'not_offered' | 'lost'> {
    try {
      const params = { notifications: filter ?? {} };
      await this.request({ id: 'listen', method: 'subscriptions/listen', params }, signal, hear);
      return 'lost';
    } catch (error) {
      return error instanceof ServerError ? 'not_offered' : 'lost';
    }
  }

  async isThere(signal: AbortSignal): Promise<boolean> {
    await this.describe(signal);
    return true;
  }

  /** There is nothing to end. */
  async close(): Promise<void> {}
}
