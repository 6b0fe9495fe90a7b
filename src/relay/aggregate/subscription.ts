import type { Json } from '../protocol/json-rpc.ts';
import { isWished } from '../protocol/list-changes.ts';
import type { Filter } from '../upstreams/mcp-server.ts';
import { Coalescing } from './coalescing.ts';
import type { HungServers } from './hung-servers.ts';
import type { Member } from './member.ts';
import { ReconnectingListener, type ReconnectTimes } from './reconnecting-listener.ts';
import { forClient, type MessageContext } from './server-messages.ts';
import { uriToServer } from './uris.ts';

/** Milliseconds that one announcement waits for others of its kind. */
const COALESCE = 100;

export interface SubscriptionDeps {
  readonly hung: HungServers;
  readonly times: ReconnectTimes;
  readonly context: Omit<MessageContext, 'server' | 'isProgressToken'>;
}

/** The stream of what several servers say unasked. */
export class Subscription {
  readonly #watches: ReadonlyMap<string, ReconnectingListener>;
  readonly #coalescing: Coalescing;
  readonly #filter: Filter | undefined;

  /** @param filter what the client asked for, in its own URIs; undefined: everything */
  constructor(
    members: readonly Member[],
    filter: Filter | undefined,
    deps: SubscriptionDeps,
    send: (message: Json) => void,
  ) {
    this.#filter = filter;
    this.#coalescing = new Coalescing(COALESCE, (method) => send({ jsonrpc: '2.0', method }));
    const events = {
      onMessage: (server: string, message: Json) => {
        const found = forClient(message, { ...deps.context, server, isProgressToken: () => false });
        if (found.kind === 'list_changed') this.#announce(found.method);
        else if (found.kind === 'pass') send(found.message);
      },
      isBack: (server: string) => deps.hung.askAgain(server, deps.context.owner),
      listChanged: (method: string) => this.#announce(method),
    };
    this.#watches = new Map(
      members.map((member) => [member.server, new ReconnectingListener(member, events, deps.hung.limit, deps.times)]),
    );
  }

  /** A list came without this server. */
  missed(server: string): void {
    this.#watches.get(server)?.missed();
  }

  /** Ends with the signal, and not before. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await Promise.all(
        [...this.#watches].map(([server, watch]) => watch.run(filterFor(server, this.#filter), signal)),
      );
    } finally {
      this.#coalescing.close();
    }
  }

  #announce(method: string): void {
    if (this.#filter === undefined || isWished(this.#filter, method)) this.#coalescing.announce(method);
  }
}

/** What of a client's filter concerns one server, in its own URIs. */
function filterFor(server: string, filter: Filter | undefined): Filter | undefined {
  if (filter?.resourceSubscriptions === undefined) return filter;
  const own = filter.resourceSubscriptions.flatMap((uri) => {
    const found = uriToServer(uri);
    return found?.server === server ? [found.name] : [];
  });
  const { resourceSubscriptions: _, ...lists } = filter;
  return own.length === 0 ? lists : { ...lists, resourceSubscriptions: own };
}
