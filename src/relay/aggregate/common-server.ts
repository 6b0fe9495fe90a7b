import { isRecord } from '../../platform/is-record.ts';
import { INVALID_PARAMS, METHOD_NOT_FOUND, SERVER_ERROR } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { ClientRequest, Description } from '../upstreams/mcp-server.ts';
import { ignoreMessage } from '../upstreams/upstream-request.ts';
import { mergedCapabilities, mergedInstructions } from './capabilities.ts';
import { withClientUris } from './content-uris.ts';
import { destinationOf } from './destination.ts';
import { type ListDeps, type ListPage, listPage } from './list-page.ts';
import { LISTINGS, type ListMethod } from './listings.ts';
import { type Member, Unreached } from './member.ts';

export interface CommonRequest {
  readonly owner: string;
  readonly signal: AbortSignal;
  /** Takes what `server` says before its answer. */
  readonly onMessage: (server: string, message: Json) => void;
}

export interface CommonServerDeps extends ListDeps {
  readonly separator: string;
  /** What is asked of a server that the identity may not use, or that is none: for the records. */
  readonly onHidden: (server: string, request: ClientRequest) => Promise<void>;
  /** A list came without these. */
  readonly onGaps: (method: ListMethod, page: ListPage) => void;
}

/** Several servers as one, for one identity: what is asked of the whole goes to the one that is meant, or to all. */
export class CommonServer {
  readonly #members: ReadonlyMap<string, Member>;
  readonly #deps: CommonServerDeps;

  /** @param members the servers that the identity may use, in the order of the lists */
  constructor(members: readonly Member[], deps: CommonServerDeps) {
    this.#members = new Map(members.map((member) => [member.server, member]));
    this.#deps = deps;
  }

  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  member(server: string): Member | undefined {
    return this.#members.get(server);
  }

  /** Asks every server what it is; one that does not answer in time is not part of what is offered. */
  async describe(owner: string, signal: AbortSignal): Promise<Description> {
    const described = await Promise.all(
      this.members.map(async (member): Promise<[string, Description] | undefined> => {
        try {
          const { server } = member;
          const ask = (limited: AbortSignal) => member.describe(limited);
          return [server, await this.#deps.hung.within({ server, owner, signal, ask })];
        } catch (error) {
          if (error instanceof Unreached || error instanceof ServerError) return undefined;
          throw error;
        }
      }),
    );
    const known = new Map(described.filter((entry) => entry !== undefined));
    return {
      capabilities: mergedCapabilities(known.values()),
      instructions: mergedInstructions(known, this.#deps.separator),
    };
  }

  /**
   * Answers every request but those that begin a conversation or a stream.
   *
   * @returns `result` of the answer
   * @throws ServerError where the answer is an error, Unreached where the server that is meant gives none
   */
  async answer(request: ClientRequest, context: CommonRequest): Promise<Json> {
    const destination = destinationOf(request.method, request.params, this.#deps.names);
    switch (destination.kind) {
      case 'list':
        return this.#list(destination.method, request, context);
      case 'one':
        return this.#ask(destination.server, { ...request, params: destination.params }, context);
      case 'log_level':
        return this.#setLevel(request, context);
      case 'self':
        return {};
      case 'nowhere':
        throw nothingThere(destination.what, request.params);
      case 'listen':
      case 'unknown_method':
        throw new ServerError(METHOD_NOT_FOUND, `there is no method ${request.method.slice(0, 100)} here`);
      default:
        throw destination satisfies never;
    }
  }

  async #ask(server: string, request: ClientRequest, { signal, onMessage }: CommonRequest): Promise<Json> {
    const member = this.#members.get(server);
    // The same answer as for a server that is not: who may not use it learns nothing of it.
    if (member === undefined) {
      await this.#deps.onHidden(server, request);
      throw nothingThere('server', request.params);
    }
    const result = await member.request(request, {
      signal,
      onMessage: (message) => onMessage(server, message),
    });
    const changed = withClientUris(server, result);
    // Whatever the server says, what one identity sees of several servers is nothing for a shared cache.
    return 'cacheScope' in changed ? { ...changed, cacheScope: 'private' } : changed;
  }

  async #list(method: ListMethod, request: ClientRequest, { owner, signal }: CommonRequest): Promise<Json> {
    const asked = {
      owner,
      cursor: request.params.cursor,
      meta: withoutToken(request.params._meta),
      signal,
      id: request.id,
    };
    const page = await listPage(method, asked, this.members, this.#deps);
    if (page === undefined)
      throw new ServerError(INVALID_PARAMS, 'the cursor is none of this list: begin again without one');
    this.#deps.onGaps(method, page);
    const { entries, nextCursor, unavailable, leftOut, ttlMs } = page;
    return {
      [LISTINGS[method].entries]: entries,
      ...(nextCursor === undefined ? {} : { nextCursor }),
      ttlMs,
      cacheScope: 'private',
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
  async #setLevel(request: ClientRequest, { owner, signal }: CommonRequest): Promise<Json> {
    const settled = await Promise.allSettled(
      this.members.map((member) => {
        const ask = async (limited: AbortSignal) => {
          const { capabilities } = await member.describe(limited);
          if (isRecord(capabilities.logging))
            await member.request(request, { signal: limited, onMessage: ignoreMessage });
        };
        return this.#deps.hung.within({ server: member.server, owner, signal, ask });
      }),
    );
    const refused = settled.filter(({ status }) => status === 'rejected');
    const errors = refused.map((entry) => (entry as PromiseRejectedResult).reason as unknown);
    const wrong = errors.find((error) => error instanceof ServerError);
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

/** The JSON-RPC error that says what went wrong. */
export function errorFor(error: ServerError | Unreached): Json {
  if (error instanceof ServerError) return error.json;
  const { message, reason, refusal } = error;
  return { code: refusal?.code ?? SERVER_ERROR, message, data: { reason, ...refusal?.data } };
}
