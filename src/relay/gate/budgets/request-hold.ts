import type { ServerResponse } from 'node:http';
import type { Message } from '../../protocol/message.ts';
import type { Charge } from './budget-limits.ts';
import type { Hold } from './budgets.ts';

/** What a message is until it has been dealt with, beside its bytes: only requests wait for answers. */
export function chargeOf({ id, method }: Message): Charge {
  if (id === undefined || method === undefined) return {};
  return method === 'subscriptions/listen' ? { streams: 1 } : { requests: 1 };
}

/** Whatever ends the response ends the hold. */
export function releaseWith(response: ServerResponse, hold: Hold): void {
  if (response.closed) hold.release();
  else response.once('close', () => hold.release());
}
