import type { Id, Json } from '../protocol/json-rpc.ts';
import { type Refusal, RefusedError } from '../refusal.ts';
import type { Hear } from '../upstreams/post-message.ts';
import type { Description } from './capabilities.ts';

/** A request of the client as one server gets it. The id is the client's own: within one session it is the only one. */
export interface ServerRequest {
  readonly id: Id;
  readonly method: string;
  readonly params: Json;
  /** `Mcp-Param-*` fields of the client's request, names and values in turn: the server compares them with the body. */
  readonly mirrored?: readonly string[];
}

/** What a client wants to hear unasked (2026-07-28, `subscriptions/listen`); legacy clients hear all there is. */
export interface Filter {
  readonly toolsListChanged?: boolean;
  readonly promptsListChanged?: boolean;
  readonly resourcesListChanged?: boolean;
  /** URIs as the server knows them. */
  readonly resourceSubscriptions?: readonly string[];
}

/** One MCP server among several, as one identity sees it. */
export interface Member {
  readonly server: string;
  /**
   * What the server says of itself: asked once, then known.
   *
   * @throws ServerError, Unreached
   */
  describe(signal: AbortSignal): Promise<Description>;
  /**
   * @param hear what belongs to the request and comes before its answer
   * @returns `result` of the answer
   * @throws ServerError where the server answered with an error, Unreached where it gave no answer
   */
  request(request: ServerRequest, signal: AbortSignal, hear: Hear): Promise<Json>;
  /** Sends a notification, or the answer to a request of the server. Never rejects: nobody waits for what comes of it. */
  tell(message: Json): Promise<void>;
  /**
   * Whether the caller may hear of this resource when it changes.
   *
   * @param uri as the server knows it
   */
  mayHear(uri: string): Promise<boolean>;
  /**
   * Hears what the server says unasked, until the signal ends it.
   *
   * @returns when there is no such stream any more: `not_offered` where the server has none, `lost` where it broke
   */
  listen(filter: Filter | undefined, hear: Hear, signal: AbortSignal): Promise<'not_offered' | 'lost'>;
  /** Whether the server answers now; a session that it has forgotten is opened anew. */
  isThere(signal: AbortSignal): Promise<boolean>;
  /** Ends the server's session. Never rejects. */
  close(): Promise<void>;
}

/** Where the session of one server is within a client's session. Whoever opens it anew says so here. */
export interface SessionSlot {
  /** Everything that another replica needs to go on with it; undefined: it must be opened first. */
  session: string | undefined;
  /** Somebody is opening it. */
  opening: Promise<void> | undefined;
}

/** Why a request's signal was aborted where the client has taken it back; otherwise the client is gone. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
}

/** Why there is no answer of a server. A closed set: it is shown to clients beside the server's name. */
export type UnreachedReason = 'timeout' | 'unreachable' | 'refused' | 'answer_too_large' | 'failed';

/** The server gave no answer that can be passed on. */
export class Unreached extends Error {
  override readonly name = 'Unreached';
  readonly reason: UnreachedReason;
  /** The relay's own answer, where it has one that says more. */
  readonly refusal: Refusal | undefined;

  /** @param message for the client */
  constructor(reason: UnreachedReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.refusal = cause instanceof RefusedError ? cause.refusal : undefined;
  }
}
