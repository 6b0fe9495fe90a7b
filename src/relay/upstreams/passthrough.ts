import type { ServerResponse } from 'node:http';
import { GuardedResponse } from '../gate/guarded-response.ts';
import type { ResponseGuard } from '../gate/response-guard.ts';
import type { Era } from '../protocol/versions.ts';
import { guarded } from './guarded-handler.ts';
import { type RelayEvents, ResponseRelay, type StreamTimes } from './response-relay.ts';
import type { HttpServer, UpstreamRequest } from './upstream.ts';
import { headerOf } from './upstream-request.ts';

/**
 * The byte-for-byte path: a request and its response go on as they came, and nothing between reads a message, which costs least
 * and hides nothing that a client and a server of the same era have agreed on. It is for requests over HTTP whose server is
 * reached by HTTP and speaks their era, in a session of the server's own if there is one.
 *
 * @param speaks whether the server speaks an era; undefined: not known yet
 * @param isOwn whether the relay answers for a session in the place of its server
 */
export function passesThrough(
  { era, method, headers }: UpstreamRequest,
  speaks: (era: Era) => boolean | undefined,
  isOwn: (session: string) => boolean,
): boolean {
  if (era === 'modern') return speaks('modern') === true;
  const session = headerOf(headers, 'mcp-session-id');
  if (session !== undefined) return !isOwn(session);
  return method !== 'POST' || speaks('legacy') === true;
}

/** Answers one HTTP request by what the server answers. @param guard if that must be read or limited on its way */
export function passThrough(
  upstream: HttpServer,
  request: UpstreamRequest,
  response: ServerResponse,
  events: RelayEvents,
  times: StreamTimes,
  guard: ResponseGuard | undefined,
): void {
  const relay = guarded(new ResponseRelay(response, events, times));
  upstream.dispatch(request, guard === undefined ? relay : guarded(new GuardedResponse(relay, guard, events.holds)));
}
