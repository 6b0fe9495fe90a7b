import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { GuardedResponse } from '../gate/guarded-response.ts';
import type { ResponseGuard } from '../gate/response-guard.ts';
import { guarded } from './guarded-handler.ts';
import { type RelayEvents, ResponseRelay, type StreamTimes } from './response-relay.ts';

/** What takes a server's response for one HTTP response of the relay. @param guard where it must be read or limited on its way */
export function answerHandler(
  response: ServerResponse,
  events: RelayEvents,
  times: StreamTimes,
  guard: ResponseGuard | undefined,
): Dispatcher.DispatchHandler {
  const relay = guarded(new ResponseRelay(response, events, times));
  return guard === undefined ? relay : guarded(new GuardedResponse(relay, guard));
}
