import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import type { Budgets } from '../gate/budgets/budgets.ts';
import { type ClientFacts, modernFacts } from '../protocol/client-facts.ts';
import { isId } from '../protocol/json-rpc.ts';
import { LocalResponse } from '../upstreams/local-response.ts';
import type { McpServer } from '../upstreams/mcp-server.ts';
import { messageOf, type UpstreamRequest } from '../upstreams/upstream.ts';
import { headerOf, keptHeaders, ownerOf, type RequestContext } from '../upstreams/upstream-request.ts';
import { answerLegacy, type LegacySessions } from './legacy-server.ts';
import { answerModern } from './modern-server.ts';

export interface LocalServerDeps {
  /** Bytes of messages that may wait for a client which does not read. */
  readonly limit: number;
  readonly budgets: Budgets;
  readonly legacy: LegacySessions;
  /** The server as one stateless client sees it. */
  readonly modern: (facts: ClientFacts, context: RequestContext) => McpServer;
  /** Takes what failed beside the server. @returns what ends the response */
  readonly onFailure: (error: unknown) => Error;
}

/** Serves one request in this process, as a streamable HTTP server of the request's era would. Never throws. */
export function serveLocally(
  request: UpstreamRequest,
  handler: Dispatcher.DispatchHandler,
  deps: LocalServerDeps,
): void {
  const response = new LocalResponse(handler, deps.limit, deps.budgets.of(ownerOf(request.caller)));
  if (response.aborted) return;
  answer(request, response, deps).catch((error: unknown) => {
    if (!response.aborted) response.abort(deps.onFailure(error));
  });
}

async function answer(request: UpstreamRequest, response: LocalResponse, deps: LocalServerDeps): Promise<void> {
  const { era, method: verb, headers, caller, elicitsUrls } = request;
  const context = { caller, elicitsUrls, kept: keptHeaders(headers) };
  const message = messageOf(request);
  if (era === 'legacy') {
    const sessionId = headerOf(headers, 'mcp-session-id');
    return answerLegacy({ verb, sessionId, message, context }, deps.legacy, response, deps.onFailure);
  }
  const { id, method, params: given } = message;
  // A stateless client takes a request back by closing its response, and sends nothing else that is for a session.
  if (!isId(id) || typeof method !== 'string') return response.status(202);
  const params = isRecord(given) ? given : {};
  const server = deps.modern(modernFacts(params), context);
  await answerModern({ id, method, params, mirrored: mirroredParams(headers) }, server, response);
}

/** The fields that mirror arguments of a tool (2026-07-28, `x-mcp-header`). */
function mirroredParams(headers: readonly string[]): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase().startsWith('mcp-param-') === true);
}
