import { ownerKey } from '../../identity/identity.ts';
import { isRecord } from '../../platform/is-record.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { METHOD_NOT_FOUND } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { Caller } from '../trust/caller.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import type { ClientRequest, Filter } from '../upstreams/mcp-server.ts';
import { CommonServer, type CommonServerDeps, errorFor } from './common-server.ts';
import type { Cursors } from './cursors.ts';
import type { HungServers } from './hung-servers.ts';
import type { ListPage } from './list-page.ts';
import type { Listeners } from './listeners.ts';
import { Listening } from './listening.ts';
import { type Member, Unreached } from './member.ts';
import type { Names } from './names.ts';
import { forClient } from './server-messages.ts';
import type { ServerRequestIds } from './server-requests.ts';
import type { WatchTimes } from './watch.ts';

export interface ConversationDeps {
  readonly names: Names;
  readonly cursors: Cursors;
  readonly ids: ServerRequestIds;
  readonly separator: string;
  readonly hung: HungServers;
  readonly times: WatchTimes;
  readonly onGaps: (caller: Caller, page: ListPage) => void;
  /** A server was asked for that is hidden from the caller, or is none. */
  readonly onHidden: (caller: Caller, server: string, request: ClientRequest) => Promise<void>;
  readonly listeners: Listeners;
}

/** One client and the servers that it may use: everything that both eras of the protocol have in common. */
export class Conversation {
  readonly owner: string;
  readonly common: CommonServer;
  readonly client: ClientFacts;
  readonly #deps: ConversationDeps;

  constructor(caller: Caller, client: ClientFacts, members: readonly Member[], deps: ConversationDeps) {
    this.owner = ownerKey(caller.identity);
    this.client = client;
    this.#deps = deps;
    const { names, cursors, separator, hung } = deps;
    const onGaps: CommonServerDeps['onGaps'] = (_method, page) => {
      for (const { server } of page.unavailable) deps.listeners.missed(this.owner, server);
      deps.onGaps(caller, page);
    };
    this.common = new CommonServer(members, {
      names,
      cursors,
      separator,
      hung,
      onGaps,
      onHidden: (server, request) => deps.onHidden(caller, server, request),
    });
  }

  /**
   * Answers one request into the response.
   *
   * @param form of the client's era
   * @param signal takes the request back
   */
  async answer(
    request: ClientRequest,
    response: LocalResponse,
    form: { readonly result: (result: Json) => Json; readonly unknownMethod: 200 | 404 },
    signal: AbortSignal = response.signal,
  ): Promise<void> {
    const { id, params } = request;
    const token = isRecord(params._meta) ? params._meta.progressToken : undefined;
    const isProgressToken = (candidate: unknown) => token !== undefined && candidate === token;
    const onMessage = (server: string, message: Json) => {
      const found = forClient(message, { server, owner: this.owner, ids: this.#deps.ids, isProgressToken });
      if (found.kind === 'pass') response.event(found.message);
      else if (found.kind === 'list_changed') response.event({ jsonrpc: '2.0', method: found.method });
    };
    try {
      const result = await this.common.answer(request, { owner: this.owner, signal, onMessage });
      response.answer({ jsonrpc: '2.0', id, result: form.result(result) });
    } catch (error) {
      if (!(error instanceof ServerError || error instanceof Unreached)) throw error;
      const json = errorFor(error);
      response.answer({ jsonrpc: '2.0', id, error: json }, json.code === METHOD_NOT_FOUND ? form.unknownMethod : 200);
    }
  }

  /** Ends the sessions of all servers. */
  async end(): Promise<void> {
    await Promise.all(this.common.members.map((member) => member.close()));
  }

  /** Says what the servers say unasked, until the signal ends it. @param send puts it into the form of the client's era */
  async listen(filter: Filter | undefined, signal: AbortSignal, send: (message: Json) => void): Promise<void> {
    const { hung, times, ids } = this.#deps;
    const context = { owner: this.owner, ids };
    const listening = new Listening(this.common.members, filter, { hung, times, context }, send);
    await this.#deps.listeners.during(this.owner, listening, () => listening.run(signal));
  }
}
