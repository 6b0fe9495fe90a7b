import type { Hold } from '../../gate/budgets/budgets.ts';
import type { Permit } from '../../gate/gate.ts';
import type { Message } from '../../protocol/message.ts';
import { INITIALIZED } from '../../protocol/methods.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';

/** One message of the client on its way to the server, and for a request the wait for its answer. */
export interface Exchange {
  readonly message: Message;
  readonly bytes: Buffer;
  readonly startedAt: number;
  /** Ends it at the server. */
  readonly cancel: AbortController;
  /** Undefined: it has not been let in yet. */
  permit: Permit | undefined;
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
  return method === 'initialize' || method === INITIALIZED;
}

/** Nothing more comes of it. */
export function end(exchange: Exchange, outcome: Outcome | 'refused'): void {
  exchange.ended = true;
  if (outcome !== 'relayed') exchange.cancel.abort();
  exchange.permit?.guard?.end();
  exchange.hold.release();
  exchange.permit?.ended(outcome);
}
