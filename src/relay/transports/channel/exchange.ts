import type { Hold } from '../../gate/budgets/budgets.ts';
import type { Permit } from '../../gate/gate.ts';
import type { ResponseGuard } from '../../gate/response-guard.ts';
import type { Message } from '../../protocol/message.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';

/** One message of the client on its way to the server, and for a request the wait for its answer. */
export interface Exchange {
  readonly message: Message;
  readonly bytes: Buffer;
  readonly startedAt: number;
  /** Ends it at the server. */
  readonly cancel: AbortController;
  /** Whether and how it was let in; a promise until that is known. */
  permit: Permit | Promise<void>;
  /** Of its bytes, and of a request that waits. */
  readonly hold: Hold;
  /** Dealt with: answered, refused, cancelled or failed. */
  ended: boolean;
}

export function isRequest(message: Message): boolean {
  return message.method !== undefined && message.id !== undefined;
}

/** Messages that make the session; whatever comes after them relies on it. */
export function mustGoFirst({ method }: Message): boolean {
  return method === 'initialize' || method === 'notifications/initialized';
}

/** The request that a `notifications/cancelled` takes back. */
export function cancelledId(message: Message): unknown {
  return message.method === 'notifications/cancelled' ? message.params.requestId : undefined;
}

/** What its answer must pass. */
export function guardOf({ permit }: Exchange): ResponseGuard | undefined {
  return permit instanceof Promise ? undefined : permit.guard;
}

/** Nothing more comes of it. */
export function end(exchange: Exchange, outcome: Outcome | 'refused'): void {
  exchange.ended = true;
  if (outcome !== 'relayed') exchange.cancel.abort();
  guardOf(exchange)?.end();
  exchange.hold.release();
  if (!(exchange.permit instanceof Promise)) exchange.permit.ended(outcome);
}
