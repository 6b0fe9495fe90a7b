import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import type { Budgets } from '../gate/budgets/budgets.ts';
import { modernFacts } from '../protocol/client-facts.ts';
import { INVALID_PARAMS, UNSUPPORTED_VERSION } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import { isId, type Json } from '../protocol/json-rpc.ts';
import { CAPABILITIES_KEY, metaOf, VERSION_KEY } from '../protocol/meta.ts';
import type { ParameterHeaders } from '../protocol/parameter-headers.ts';
import { SUPPORTED_VERSIONS } from '../protocol/versions.ts';
import { LocalResponse } from '../upstreams/local-response.ts';
import type { ServerPort } from '../upstreams/mcp-server.ts';
import { messageOf, type UpstreamRequest } from '../upstreams/upstream.ts';
import { headerOf, keptHeaders, ownerOf } from '../upstreams/upstream-request.ts';
import { answerLegacy } from './legacy-server.ts';
import { answerModern } from './modern-server.ts';

export interface LocalServerDeps extends ServerPort {
  /** Bytes of messages that may wait for a client which does not read. */
  readonly limit: number;
  readonly budgets: Budgets;
  readonly mirrored: ParameterHeaders;
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
  const version = headerOf(headers, 'mcp-protocol-version');
  const context = { caller, elicitsUrls, kept: keptHeaders(headers), version };
  const message = messageOf(request);
  if (era === 'legacy') {
    const sessionId = headerOf(headers, 'mcp-session-id');
    return answerLegacy({ verb, sessionId, message, context }, deps.legacy, response, deps.onFailure);
  }
  const { id, method, params: given } = message;
  // A stateless client takes a request back by closing its response, and sends nothing else that is for a session.
  if (!isId(id) || typeof method !== 'string') return response.status(202);
  const params = isRecord(given) ? given : {};
  const refused = envelopeError(params, version);
  if (refused !== undefined) return response.answer({ jsonrpc: '2.0', id, error: refused.json }, 400);
  const server = deps.modern(modernFacts(params), context);
  await answerModern({ id, method, params, mirrored: mirroredParams(headers) }, server, deps.mirrored, response);
}

/** What a stateless request must say, and in a revision that is spoken here (2026-07-28, basic). */
function envelopeError(params: Json, version: string | undefined): ServerError | undefined {
  if (version !== undefined && !SUPPORTED_VERSIONS.includes(version))
    return new ServerError(UNSUPPORTED_VERSION, `the revision ${version} is not spoken here`, {
      supported: SUPPORTED_VERSIONS,
      requested: version,
    });
  const meta = metaOf(params);
  if (typeof meta[VERSION_KEY] !== 'string')
    return new ServerError(INVALID_PARAMS, `"_meta" must have "${VERSION_KEY}", a text`);
  if (!isRecord(meta[CAPABILITIES_KEY]))
    return new ServerError(INVALID_PARAMS, `"_meta" must have "${CAPABILITIES_KEY}", an object`);
  return undefined;
}

/** The fields that mirror arguments of a tool (2026-07-28, `x-mcp-header`). */
function mirroredParams(headers: readonly string[]): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)]?.toLowerCase().startsWith('mcp-param-') === true);
}
