import { ownerKey } from '../../identity/identity.ts';
import { isRecord } from '../../platform/is-record.ts';
import { version } from '../../platform/version.ts';
import { INVALID_PARAMS, METHOD_NOT_FOUND } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { withServerInfo } from '../protocol/meta.ts';
import type { Era } from '../protocol/versions.ts';
import type { Caller } from '../trust/caller.ts';
import {
  acknowledged,
  type ClientRequest,
  type Description,
  type Filter,
  type McpServer,
} from '../upstreams/mcp-server.ts';
import { ignoreMessage, type RequestOptions, translated } from '../upstreams/upstream-request.ts';
import { mergedCapabilities, mergedInstructions } from './capabilities.ts';
import { withClientUris } from './content-uris.ts';
import type { Cursors } from './cursors.ts';
import { destinationOf } from './destination.ts';
import type { HungServers } from './hung-servers.ts';
import { type ListPage, listPage } from './list-page.ts';
import { LISTINGS, type ListMethod } from './listings.ts';
import { type Member, Unreached } from './member.ts';
import type { Names } from './names.ts';
import type { ReconnectTimes } from './reconnecting-listener.ts';
import { forClient } from './server-messages.ts';
import type { ServerRequestIds } from './server-requests.ts';
import type { Subscribers } from './subscribers.ts';
import { Subscription } from './subscription.ts';
import { uriToServer } from './uris.ts';

export const SERVER_INFO = { name: 'postern', version: version() };

export interface AggregateDeps {
  readonly names: Names;
  readonly cursors: Cursors;
  readonly ids: ServerRequestIds;
  readonly separator: string;
  readonly hung: HungServers;
  readonly times: ReconnectTimes;
  /** A list came without these. */
  readonly onGaps: (caller: Caller, page: ListPage) => void;
  /** What is asked of a server that the identity may not use, or that is none: for the records. */
  readonly onHidden: (caller: Caller, server: string, request: ClientRequest) => Promise<void>;
  readonly subscribers: Subscribers;
}

/** For whom the servers are one. */
export interface RequestingClient {
  readonly caller: Caller;
  readonly era: Era;
}

/** Several servers as one, for one client: what is asked of the whole goes to the one that is meant, or to all. */
export class Aggregate implements McpServer {
  readonly #caller: Caller;
  readonly #era: Era;
  readonly #owner: string;
  readonly #members: ReadonlyMap<string, Member>;
  readonly #deps: AggregateDeps;

  /** @param members the servers that the identity may use, in the order of the lists */
  constructor({ caller, era }: RequestingClient, members: readonly Member[], deps: AggregateDeps) {
    this.#caller = caller;
    this.#era = era;
    this.#owner = ownerKey(caller.identity);
    this.#members = new Map(members.map((member) => [member.server, member]));
    this.#deps = deps;
  }

  get #all(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** Asks every server what it is; one that does not answer in time is not part of what is offered. */
  async describe(signal: AbortSignal): Promise<Description> {
    const described = await Promise.all(
      this.#all.map(async (member): Promise<[string, Description] | undefined> => {
        try {
          const { server } = member;
          const ask = (limited: AbortSignal) => member.describe(limited);
          return [server, await this.#deps.hung.within({ server, owner: this.#owner, signal, ask })];
        } catch (error) {
          if (error instanceof ServerError) return undefined;
          throw error;
        }
      }),
    );
    const known = new Map(described.filter((entry) => entry !== undefined));
    return {
      capabilities: mergedCapabilities(known.values()),
      instructions: mergedInstructions(known, this.#deps.separator),
      serverInfo: SERVER_INFO,
    };
  }

  /** @throws ServerError if the answer is an error; Unreached if the server that is meant gives none */
  async request(request: ClientRequest, options: RequestOptions): Promise<Json> {
    const result = await this.#route(request, translated(options));
    return this.#era === 'modern' ? withServerInfo(result, SERVER_INFO) : result;
  }

  async #route(request: ClientRequest, options: RequestOptions): Promise<Json> {
    const destination = destinationOf(request.method, request.params, this.#deps.names);
    switch (destination.kind) {
      case 'list':
        return this.#list(destination.method, request, options);
      case 'one':
        return this.#ask(destination.server, { ...request, params: destination.params }, options);
      case 'log_level':
        return this.#setLevel(request, options);
      case 'self':
        return {};
      case 'not_found':
        throw nothingThere(destination.what, request.params);
      case 'listen':
      case 'unknown_method':
        throw new ServerError(METHOD_NOT_FOUND, `there is no method ${request.method.slice(0, 100)} here`);
      default:
        throw destination satisfies never;
    }
  }

  /** Hands an answer to the server that has asked, and to all what is about none. */
  async notify(message: Json): Promise<void> {
    const { id, method } = message;
    if (method === undefined) {
      const asked = this.#deps.ids.toServer(this.#owner, id);
      if (asked !== undefined) await this.#members.get(asked.server)?.notify({ ...message, id: asked.id });
    } else if (method === 'notifications/cancelled' || method === 'notifications/roots/list_changed')
      await Promise.all(this.#all.map((member) => member.notify(message)));
  }

  /** Takes what the servers send unasked, until the signal ends it. */
  async listen(wanted: Filter | undefined, { signal, onMessage, onOpen }: RequestOptions): Promise<'lost'> {
    const filter = wanted && (await this.#allowed(wanted));
    if (filter !== undefined) onMessage(acknowledged(filter));
    onOpen?.();
    const { hung, times, ids, subscribers } = this.#deps;
    const context = { owner: this.#owner, ids };
    const listening = new Subscription(this.#all, filter, { hung, times, context }, onMessage);
    await subscribers.during(this.#owner, listening, () => listening.run(signal));
    return 'lost';
  }

  async ping(): Promise<void> {}

  /** Ends the sessions of all servers. */
  async close(): Promise<void> {
    await Promise.all(this.#all.map((member) => member.close()));
  }

  /** The part of the wishes that can come true: lists can always change, resources are those that the caller may hear of. */
  async #allowed({ resourceSubscriptions = [], ...lists }: Filter): Promise<Filter> {
    const uris: string[] = [];
    for (const uri of resourceSubscriptions) {
      const own = uriToServer(uri);
      if (own !== undefined && (await this.#members.get(own.server)?.mayHear(own.name)) === true) uris.push(uri);
    }
    return { ...lists, ...(uris.length > 0 && { resourceSubscriptions: uris }) };
  }

  async #ask(server: string, request: ClientRequest, options: RequestOptions): Promise<Json> {
    const member = this.#members.get(server);
    // The same answer as for a server that is not: who may not use it learns nothing of it.
    if (member === undefined) {
      await this.#deps.onHidden(this.#caller, server, request);
      throw nothingThere('server', request.params);
    }
    const { _meta: meta } = request.params;
    const token = isRecord(meta) ? meta.progressToken : undefined;
    const isProgressToken = (candidate: unknown) => token !== undefined && candidate === token;
    const onMessage = (message: Json) => {
      const found = forClient(message, { server, owner: this.#owner, ids: this.#deps.ids, isProgressToken });
      if (found.kind === 'pass') options.onMessage(found.message);
      else if (found.kind === 'list_changed') options.onMessage({ jsonrpc: '2.0', method: found.method });
    };
    const result = await member.request(request, { ...options, onMessage });
    const changed = withClientUris(server, result);
    // Whatever the server says, what one identity sees of several servers is nothing for a shared cache.
    return 'cacheScope' in changed ? { ...changed, cacheScope: 'private' } : changed;
  }

  async #list(method: ListMethod, request: ClientRequest, { signal }: RequestOptions): Promise<Json> {
    const asked = {
      owner: this.#owner,
      cursor: request.params.cursor,
      meta: withoutToken(request.params._meta),
      signal,
      id: request.id,
    };
    const page = await listPage(method, asked, this.#all, this.#deps);
    if (page === undefined)
      throw new ServerError(INVALID_PARAMS, 'the cursor is none of this list: begin again without one');
    for (const { server } of page.unavailable) this.#deps.subscribers.missed(this.#owner, server);
    this.#deps.onGaps(this.#caller, page);
    const { entries, nextCursor, unavailable, leftOut, ttlMs } = page;
    return {
      [LISTINGS[method].entries]: entries,
      ...(nextCursor === undefined ? {} : { nextCursor }),
      ...(this.#era === 'modern' && { ttlMs, cacheScope: 'private' }),
      ...(unavailable.length + leftOut.length === 0
        ? {}
        : {
            _meta: {
              ...(unavailable.length === 0 ? {} : { 'postern/unavailable': unavailable }),
              ...(leftOut.length === 0 ? {} : { 'postern/leftOut': leftOut }),
            },
          }),
    };
  }

  /** Every server that logs gets the level; one that is away starts with its own. */
  async #setLevel(request: ClientRequest, { signal }: RequestOptions): Promise<Json> {
    const settled = await Promise.allSettled(
      this.#all.map((member) => {
        const ask = async (limited: AbortSignal) => {
          const { capabilities } = await member.describe(limited);
          if (isRecord(capabilities.logging))
            await member.request(request, { signal: limited, onMessage: ignoreMessage });
        };
        return this.#deps.hung.within({ server: member.server, owner: this.#owner, signal, ask });
      }),
    );
    const refused = settled.filter(({ status }) => status === 'rejected');
    const errors = refused.map((entry) => (entry as PromiseRejectedResult).reason as unknown);
    const wrong = errors.find((error) => error instanceof ServerError && !(error instanceof Unreached));
    // A level that does not exist is refused by all alike; where one took it, it is good.
    if (wrong !== undefined && refused.length === settled.length) throw wrong;
    return {};
  }
}

function nothingThere(what: string, params: Json): ServerError {
  const name = params.name ?? params.uri;
  const shown = typeof name === 'string' ? ` "${name.slice(0, 200)}"` : '';
  return new ServerError(INVALID_PARAMS, `there is no such ${what}${shown}: names begin with their server`);
}

/** One server's progress is none of the whole list. */
function withoutToken(meta: unknown): Json | undefined {
  if (!isRecord(meta)) return undefined;
  const { progressToken: _, ...rest } = meta;
  return rest;
}
