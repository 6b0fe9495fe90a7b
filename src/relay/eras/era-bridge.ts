import type { Dispatcher } from 'undici';
import { type LocalServerDeps, serveLocally } from '../downstream/local-server.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { ParameterHeaders } from '../protocol/parameter-headers.ts';
import type { Era } from '../protocol/versions.ts';
import type { Caller } from '../trust/caller.ts';
import { NO_CONNECTION } from '../upstreams/authorized-dispatch.ts';
import { guarded } from '../upstreams/guarded-handler.ts';
import { HttpSessions } from '../upstreams/http-sessions.ts';
import type { InitializedSession, LegacySession, LegacySessions } from '../upstreams/legacy-sessions.ts';
import { type ClientRequest, type McpServer, serverThrough } from '../upstreams/mcp-server.ts';
import { ModernClient } from '../upstreams/modern-client.ts';
import { passesThrough } from '../upstreams/passthrough.ts';
import type { RetryTimes } from '../upstreams/resumable-stream.ts';
import { type HttpServer, messageOf, type Upstream, type UpstreamRequest } from '../upstreams/upstream.ts';
import { headerOf, ownerOf, type RequestContext, type UpstreamLink } from '../upstreams/upstream-request.ts';
import { EraDetection, mayRefuseEra } from './era-detection.ts';
import { EmulatedSessions } from './legacy/emulated-sessions.ts';
import { isOwnSession } from './legacy/session-id.ts';
import { PooledServers, type PooledServersOptions } from './modern/pooled-servers.ts';

export interface EraBridgeOptions extends PooledServersOptions {
  /** What the server speaks; `auto`: found out by asking. */
  readonly era: Era | 'both' | 'auto';
  /** Bytes of one message, and those that may wait for a slow client. */
  readonly limit: number;
  readonly retry: RetryTimes;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/**
 * A server over streamable HTTP that may speak another era of the protocol than its client: what both speak passes as it came,
 * everything else is translated.
 */
export class EraBridge implements Upstream, LegacySessions {
  readonly #inner: HttpServer;
  readonly #link: UpstreamLink;
  readonly #detection: EraDetection;
  readonly #http: HttpSessions;
  readonly #emulated: EmulatedSessions;
  readonly #pooled: PooledServers;
  readonly #local: LocalServerDeps;
  readonly legacy = this;

  constructor(inner: HttpServer, { era, limit, retry, now, ...options }: EraBridgeOptions) {
    this.#inner = inner;
    const { budgets, channel } = options;
    this.#link = { upstream: inner, limit, retry, budgetOf: (caller) => budgets.of(ownerOf(caller)) };
    this.#detection = new EraDetection(era, this.#link, now);
    this.#http = new HttpSessions(this.#link);
    const mirrored = new ParameterHeaders();
    this.#emulated = new EmulatedSessions({ link: this.#link, channel, budgets, mirrored });
    this.#pooled = new PooledServers(this.#http, options);
    this.#local = {
      limit,
      budgets,
      legacy: this,
      mirrored,
      modern: (facts, context) => this.#pooled.for(facts, context),
      onFailure: (error) => error as Error,
    };
  }

  modern(facts: ClientFacts, context: RequestContext): McpServer {
    const direct = new ModernClient(this.#link, facts, context);
    const pooled = this.#pooled.for(facts, context);
    return serverThrough(async (work) => work((await this.#speaksModern(context.caller)) ? direct : pooled));
  }

  async open(request: ClientRequest, context: RequestContext, signal: AbortSignal): Promise<InitializedSession> {
    if (this.#detection.speaks('legacy', context.caller) === false)
      return this.#emulated.open(request, context, signal);
    try {
      const opened = await this.#http.open(request, context, signal);
      this.#detection.saw('legacy');
      return opened;
    } catch (error) {
      if (!mayRefuseEra(error) || (await this.#speaksLegacy(context.caller))) throw error;
      return this.#emulated.open(request, context, signal);
    }
  }

  find(id: string, context: RequestContext): LegacySession | undefined {
    return (isOwnSession(id) ? this.#emulated : this.#http).find(id, context);
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const speaks = (era: Era) => this.#detection.speaks(era, request.caller);
    if (passesThrough(request, speaks, isOwnSession)) this.#inner.dispatch(request, handler);
    else this.#serve(request, guarded(handler)).catch((error) => handler.onResponseError?.(NO_CONNECTION, error));
  }

  async close(): Promise<void> {
    this.#emulated.close();
    await this.#pooled.close();
    await this.#inner.close();
  }

  /** For whom it may have to be found out first. */
  async #serve(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): Promise<void> {
    const passes = request.era === 'modern' ? await this.#speaksModern(request.caller) : this.#isForServer(request);
    if (passes) this.#inner.dispatch(request, handler);
    else serveLocally(request, handler, this.#local);
  }

  /** What comes outside of a session and begins none: some servers of the sessions' era do without, and the others refuse it. */
  #isForServer(request: UpstreamRequest): boolean {
    const { headers, caller } = request;
    if (headerOf(headers, 'mcp-session-id') !== undefined || this.#detection.speaks('legacy', caller) === false)
      return false;
    return (request.asks ?? messageOf(request).method) !== 'initialize';
  }

  /** Whether a server that refused to begin a session did not mean the era; what it answered stands where that is not found out. */
  async #speaksLegacy(caller: Caller | undefined): Promise<boolean> {
    if (!(await this.#detection.ask('modern', caller).catch(() => false))) return true;
    return this.#detection.ask('legacy', caller).catch(() => true);
  }

  /** Where it cannot be found out, what the server answers stands. */
  #speaksModern(caller: Caller | undefined): Promise<boolean> {
    return this.#detection.ask('modern', caller).catch(() => true);
  }
}
