import type { Budget } from '../../gate/budgets/budgets.ts';
import type { ServerGate } from '../../intake.ts';
import type { Refusal } from '../../refusal.ts';
import type { Caller } from '../../trust/caller.ts';
import type { Outcome } from '../../upstreams/response-relay.ts';

/** What became of one message; `seconds` for a request that was answered. */
export interface ReportDetails {
  readonly refusal?: Refusal;
  readonly error?: Error;
  readonly seconds?: number;
}

/** The client's end of a channel. */
export interface ChannelSink {
  /** @returns false where the client must first read; `Channel.resume` is called when it has */
  send(text: string): boolean;
  /** The server is gone for good, or only its session is; close the connection. */
  lost(how: 'session_lost' | 'unreachable'): void;
  /** Called after each message that has been dealt with: `idle` and `saturated` may have changed. */
  settled(): void;
  report(outcome: Outcome, details: ReportDetails): void;
}

export interface ChannelOptions {
  /** Characters that may wait for a client that does not read; more ends the connection. */
  readonly limit: number;
  readonly userAgent: string | undefined;
  readonly caller: Caller;
  /** Of this connection. */
  readonly budget: Budget;
  readonly gate: ServerGate;
}
