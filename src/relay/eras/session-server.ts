import type { Dispatcher } from 'undici';
import { type LocalServerDeps, serveLocally } from '../downstream/local-server.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { ParameterHeaders } from '../protocol/parameter-headers.ts';
import type { LegacySessions } from '../upstreams/legacy-sessions.ts';
import type { McpServer } from '../upstreams/mcp-server.ts';
import type { Upstream, UpstreamRequest } from '../upstreams/upstream.ts';
import type { RequestContext } from '../upstreams/upstream-request.ts';
import { PooledServers, type PooledServersOptions } from './modern/pooled-servers.ts';

/** A server of the sessions' era that is reached by no HTTP of MCP: it is served to HTTP clients of both eras here. */
export class SessionServer implements Upstream {
  readonly legacy: LegacySessions & { close(): Promise<void> };
  readonly #pooled: PooledServers;
  readonly #local: LocalServerDeps;

  /** @param limit bytes that may wait for a slow client */
  constructor(sessions: SessionServer['legacy'], limit: number, options: PooledServersOptions) {
    this.legacy = sessions;
    this.#pooled = new PooledServers(sessions, options);
    const { budgets } = options;
    const modern = (facts: ClientFacts, context: RequestContext) => this.modern(facts, context);
    const mirrored = new ParameterHeaders();
    this.#local = { limit, budgets, legacy: sessions, modern, mirrored, onFailure: (error) => error as Error };
  }

  modern(facts: ClientFacts, context: RequestContext): McpServer {
    return this.#pooled.for(facts, context);
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    serveLocally(request, handler, this.#local);
  }

  async close(): Promise<void> {
    await this.#pooled.close();
    await this.legacy.close();
  }
}
