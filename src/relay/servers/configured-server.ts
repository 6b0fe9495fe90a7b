import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { NO_SUCH_SERVER, RefusedError } from '../refusal.ts';
import { NO_CONNECTION } from '../upstreams/authorized-dispatch.ts';
import type { LegacySessions } from '../upstreams/legacy-sessions.ts';
import { type McpServer, serverThrough } from '../upstreams/mcp-server.ts';
import { PassingHandler } from '../upstreams/passing-handler.ts';
import type { Upstream, UpstreamRequest } from '../upstreams/upstream.ts';
import type { RequestContext } from '../upstreams/upstream-request.ts';

export interface ConfiguredServerOptions {
  /** Tells one configuration of the server from another; the same in every replica. */
  readonly definition: string;
  /** Milliseconds without a request after which nothing of it is needed, once another configuration has replaced it. */
  readonly unused: number;
  /** Unix time in milliseconds. */
  readonly now: () => number;
  /** Gives back what it shares with other servers. */
  readonly onClose: () => void;
}

/** One MCP server by one configuration of it, with what has to be known to replace it. */
export class ConfiguredServer implements Upstream {
  readonly definition: string;
  readonly #upstream: Upstream;
  readonly #options: ConfiguredServerOptions;
  #running = 0;
  #usedAt: number;
  #closed: Promise<void> | undefined;

  constructor(upstream: Upstream, options: ConfiguredServerOptions) {
    this.#upstream = upstream;
    this.#options = options;
    this.definition = options.definition;
    this.#usedAt = options.now();
  }

  /** No request waits for its answer, and no stream is open. */
  get idle(): boolean {
    return this.#running === 0;
  }

  get unused(): boolean {
    return this.idle && this.#options.now() - this.#usedAt > this.#options.unused;
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    if (this.#closed !== undefined)
      return void handler.onResponseError?.(NO_CONNECTION, new RefusedError(NO_SUCH_SERVER));
    this.#began();
    this.#upstream.dispatch(request, new CountedHandler(handler, () => this.#ended()));
  }

  get legacy(): LegacySessions {
    const { legacy } = this.#upstream;
    return {
      open: (request, context, signal) => this.#counted(() => legacy.open(request, context, signal)),
      find: (id, context) => {
        const session = legacy.find(id, context);
        return session && { ...session, server: this.#watched(session.server) };
      },
    };
  }

  modern(facts: ClientFacts, context: RequestContext): McpServer {
    return this.#watched(this.#upstream.modern(facts, context));
  }

  /** Its sessions and what they run end with it. */
  close(): Promise<void> {
    this.#closed ??= this.#upstream.close().finally(() => this.#options.onClose());
    return this.#closed;
  }

  #watched(server: McpServer): McpServer {
    return serverThrough((work) => this.#counted(() => work(server)));
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw new RefusedError(NO_SUCH_SERVER);
    this.#began();
    try {
      return await work();
    } finally {
      this.#ended();
    }
  }

  #began(): void {
    this.#usedAt = this.#options.now();
    this.#running += 1;
  }

  #ended(): void {
    this.#running -= 1;
    this.#usedAt = this.#options.now();
  }
}

/** Tells once of the end of a response. */
class CountedHandler extends PassingHandler {
  #onEnd: (() => void) | undefined;

  constructor(inner: Dispatcher.DispatchHandler, onEnd: () => void) {
    super(inner);
    this.#onEnd = onEnd;
  }

  override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#end();
    super.onResponseEnd(controller, trailers);
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#end();
    super.onResponseError(controller, error);
  }

  #end(): void {
    this.#onEnd?.();
    this.#onEnd = undefined;
  }
}
