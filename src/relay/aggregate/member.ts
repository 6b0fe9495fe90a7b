import { SERVER_ERROR } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import { RefusedError } from '../refusal.ts';
import type { McpServer } from '../upstreams/mcp-server.ts';
import type { Outcome } from '../upstreams/response-relay.ts';
import { failureOf } from '../upstreams/upstream-error.ts';

/** One MCP server among several, as one identity sees it. */
export interface Member extends McpServer {
  readonly server: string;
  /**
   * Whether the caller may hear of this resource when it changes.
   *
   * @param uri as the server knows it
   */
  mayHear(uri: string): Promise<boolean>;
}

/** Where the session of one server is within a client's session. Whoever opens it anew says so here. */
export interface SessionSlot {
  /** Everything that another replica needs to go on with it; undefined: it must be opened first. */
  session: string | undefined;
  /** Somebody is opening it. */
  opening: Promise<void> | undefined;
}

/** Why there is no answer of a server. A closed set: it is shown to clients beside the server's name. */
export type UnreachedReason = 'timeout' | 'unreachable' | 'refused' | 'answer_too_large' | 'failed';

/** The server gave no answer that can be passed on; what the client is told in its place. */
export class Unreached extends ServerError {
  override readonly name = 'Unreached';
  readonly reason: UnreachedReason;

  /** @param message for the client */
  constructor(reason: UnreachedReason, message: string, cause?: unknown) {
    // The relay's own answer, if it has one that says more.
    const refusal = cause instanceof RefusedError ? cause.refusal : undefined;
    super(refusal?.code ?? SERVER_ERROR, message, { reason, ...refusal?.data }, cause);
    this.reason = reason;
  }
}

const REASONS: Partial<Record<Outcome, UnreachedReason>> = {
  refused: 'refused',
  upstream_refused: 'refused',
  upstream_timeout: 'timeout',
  upstream_unreachable: 'unreachable',
};

/** What to tell of a server that gave no JSON-RPC answer. @param error what a request failed with */
export function unreached(error: Error): Unreached {
  const { refusal, outcome } = failureOf(error);
  const reason = error instanceof RangeError ? 'answer_too_large' : (REASONS[outcome] ?? 'failed');
  return new Unreached(reason, refusal.message, error);
}
