import type { Dispatcher } from 'undici';
import { type LocalServerDeps, serveLocally } from '../downstream/local-server.ts';
import type { Budgets } from '../gate/budgets/budgets.ts';
import type { Era } from '../protocol/versions.ts';
import type { ReplicaChannel } from '../replicas/replica-channel.ts';
import type { Caller } from '../trust/caller.ts';
import { NO_CONNECTION } from '../upstreams/authorized-dispatch.ts';
import { guarded } from '../upstreams/guarded-handler.ts';
import { passesThrough } from '../upstreams/passthrough.ts';
import type { RetryTimes } from '../upstreams/resumable-stream.ts';
import { messageOf, type Upstream, type UpstreamRequest } from '../upstreams/upstream.ts';
import { headerOf, ownerOf } from '../upstreams/upstream-request.ts';
import { EraDetection } from './era-detection.ts';
import { EraProbe } from './era-probe.ts';
import { EmulatedSessions } from './legacy/emulated-sessions.ts';
import { isOwnSession } from './legacy/session-id.ts';
import { PooledServers } from './modern/pooled-servers.ts';
import { type KeyOf, SessionPool } from './modern/session-pool.ts';
import { SuspendedCalls } from './modern/suspended-calls.ts';

export interface EraBridgeOptions {
  /** The one era that the server speaks; undefined: found out by asking. */
  readonly era: Era | undefined;
  /** Bytes of one message, and those that may wait for a slow client. */
  readonly limit: number;
  readonly retry: RetryTimes;
  readonly budgets: Budgets;
  readonly keyOf: KeyOf;
  /** Streams of one identity that last. */
  readonly streams: number;
  /** With the other replicas; undefined: there are none. */
  readonly channel: ReplicaChannel | undefined;
  /** Unix time in milliseconds. */
  readonly now: () => number;
}

/** Sessions of one identity for calls, and those among them that may wait for its answers. */
const CALLS = 16;
const WAITING_FOR_ANSWERS = 8;
const SESSIONS = 2_000;
/** Requests of one identity that may wait for a session. */
const WAITING_FOR_SESSIONS = 64;
/** Milliseconds that a held session waits for its client to ask again. */
const IDLE = 5 * 60_000;

/**
 * A server that may speak another era of the protocol than its client: what both speak passes as it came, everything else is
 * translated.
 */
export class EraBridge implements Upstream {
  readonly #inner: Upstream;
  readonly #detection: EraDetection;
  readonly #pooled: PooledServers;
  readonly #local: LocalServerDeps;
  readonly #sessions: EmulatedSessions;

  constructor(inner: Upstream, options: EraBridgeOptions) {
    this.#inner = inner;
    const { limit, retry, streams, channel, budgets, keyOf } = options;
    const budgetOf = (caller: Caller | undefined) => budgets.of(ownerOf(caller));
    const link = { upstream: inner, limit, retry, budgetOf };
    this.#detection = new EraDetection(options.era, link, options.now);
    this.#sessions = new EmulatedSessions({ link, channel, budgets });
    const all = SESSIONS;
    this.#pooled = new PooledServers({
      sessions: new SessionPool(link, keyOf, { perOwner: CALLS, all, waiting: WAITING_FOR_SESSIONS, idle: IDLE }),
      listening: new SessionPool(link, keyOf, { perOwner: streams, all, waiting: 0, idle: 0 }),
      waiting: new SuspendedCalls(WAITING_FOR_ANSWERS),
      budgets,
      channel,
    });
    this.#local = {
      limit,
      budgets,
      legacy: this.#sessions,
      modern: (facts, context) => this.#pooled.for(facts, context),
      onFailure: (error) => error as Error,
    };
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const speaks = (era: Era) => this.#detection.speaks(era, request.caller);
    if (passesThrough(request, speaks, isOwnSession)) this.#inner.dispatch(request, handler);
    else this.#route(request, guarded(handler));
  }

  async close(): Promise<void> {
    this.#sessions.close();
    await this.#pooled.close();
    await this.#inner.close();
  }

  #route(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    const { era, headers, caller } = request;
    const inOwnSession = era === 'legacy' && headerOf(headers, 'mcp-session-id') !== undefined;
    if (inOwnSession || this.#detection.speaks(era, caller) === false) return void this.#translate(request, handler);
    const failed = (error: unknown) => handler.onResponseError?.(NO_CONNECTION, error as Error);
    if (era === 'modern') return void this.#askFirst(request, handler).catch(failed);
    const events = {
      // Of what a client sends outside of a session only this is of one era alone.
      understood: () => {
        if (messageOf(request).method === 'initialize') this.#detection.saw('legacy');
      },
      refused: (pass: () => void) => {
        this.#reconsider(request, handler, pass).catch(failed);
      },
    };
    this.#inner.dispatch(request, new EraProbe(handler, events));
  }

  /** Servers of sessions answer stateless requests too, some of them all, so that an answer shows nothing. */
  async #askFirst(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): Promise<void> {
    const spoken = await this.#detection.ask('modern', request.caller).catch(() => true);
    if (spoken) this.#inner.dispatch(request, handler);
    else this.#translate(request, handler);
  }

  /** The server may have refused the request itself, or the era that it is of. Where it does not say which, its answer stands. */
  async #reconsider(request: UpstreamRequest, handler: Dispatcher.DispatchHandler, pass: () => void): Promise<void> {
    const spoken = await this.#isSpoken(request).catch(() => true);
    if (spoken) pass();
    else this.#translate(request, handler);
  }

  async #isSpoken(request: UpstreamRequest): Promise<boolean> {
    const { caller } = request;
    // Whatever else comes outside of a session, a server of sessions may refuse.
    if (messageOf(request).method !== 'initialize' || !(await this.#detection.ask('modern', caller))) return true;
    return this.#detection.ask('legacy', caller);
  }

  #translate(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    serveLocally(request, handler, this.#local);
  }
}
