import type { MessageId } from '../streamable-http/json-rpc-error.ts';
import type { Message } from '../streamable-http/message.ts';
import type { MessageReader } from './message-reader.ts';
import type { StandingStream } from './standing-stream.ts';

/** One message of the client on its way to the server, and for a request the wait for its answer. */
export interface Exchange {
  readonly message: Message;
  readonly bytes: Buffer;
  readonly startedAt: number;
  reader: MessageReader | undefined;
  /** The rest of an answer whose first stream ended too early. */
  rest: StandingStream | undefined;
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

/** Whether a server's message answers the request with that id. */
export function answers(value: Readonly<Record<string, unknown>>, id: MessageId | undefined): boolean {
  return value.method === undefined && value.id === id && ('result' in value || 'error' in value);
}

/** The request that a `notifications/cancelled` takes back. */
export function cancelledId(message: Message): unknown {
  return message.method === 'notifications/cancelled' ? message.params.requestId : undefined;
}
