import { randomUUID } from 'node:crypto';
import { isRecord } from '../../platform/is-record.ts';
import { INVALID_PARAMS, METHOD_NOT_FOUND } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Id, Json } from '../protocol/json-rpc.ts';
import { wishes } from '../protocol/list-changes.ts';
import { META, metaOf } from '../protocol/meta.ts';
import type { ListTools, ParameterHeaders } from '../protocol/parameter-headers.ts';
import { toModernResult } from '../protocol/to-modern-result.ts';
import { FIRST_MODERN, SUPPORTED_VERSIONS } from '../protocol/versions.ts';
import { RefusedError } from '../refusal.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import type { ClientRequest, Description, Filter, McpServer } from '../upstreams/mcp-server.ts';
import { ignoreMessage } from '../upstreams/upstream-request.ts';
import { answerFailure } from './answer-failure.ts';

/** Gone from the stateless era. */
const GONE: ReadonlySet<unknown> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

/** Resources of one stream: each is asked about before it begins. */
const MAX_SUBSCRIPTIONS = 1_000;

/** Answers one request of a client of the stateless era. @throws RefusedError; as `answerFailure` does */
export async function answerModern(
  request: ClientRequest,
  server: McpServer,
  mirrored: ParameterHeaders,
  response: LocalResponse,
): Promise<void> {
  const { id, method, params } = request;
  const { signal } = response;
  response.underWay();
  try {
    if (GONE.has(method)) throw new ServerError(METHOD_NOT_FOUND, `there is no method ${method} since ${FIRST_MODERN}`);
    if (method === 'subscriptions/listen') return await listen(id, params, server, response);
    if (method === 'tools/call') await compareMirrored(request, server, mirrored, signal);
    const result =
      method === 'server/discover'
        ? discovered(await server.describe(signal))
        : await server.request(request, { signal, onMessage: (message) => response.event(message) });
    if (method === 'tools/list') mirrored.learn(result.tools);
    response.answer({ jsonrpc: '2.0', id, result: complete(method, result) });
  } catch (error) {
    answerFailure(error, id, response, 'modern');
  }
}

/** @throws RefusedError if the header fields that mirror arguments of a tool say something else than its arguments */
async function compareMirrored(
  { params, mirrored: fields = [] }: ClientRequest,
  server: McpServer,
  known: ParameterHeaders,
  signal: AbortSignal,
): Promise<void> {
  const list: ListTools = async (page) => {
    try {
      const request = { id: randomUUID(), method: 'tools/list', params: page };
      return await server.request(request, { signal, onMessage: ignoreMessage });
    } catch (error) {
      if (error instanceof ServerError) return {};
      throw error;
    }
  };
  const refusal = await known.mismatch(params, fields, list);
  if (refusal !== undefined) throw new RefusedError(refusal);
}

/** A stateless server has given all of it, a legacy one nothing. */
function complete(method: string, result: Json): Json {
  return result.resultType === 'input_required' ? result : { ...toModernResult(method, result), ...result };
}

function discovered({ capabilities, instructions, serverInfo }: Description): Json {
  return {
    supportedVersions: SUPPORTED_VERSIONS,
    capabilities,
    ...(instructions === undefined ? {} : { instructions }),
    _meta: { [`${META}serverInfo`]: serverInfo },
  };
}

/** The stream of what the client wants to hear: it begins with what it will tell, and lasts until the server has no more. */
async function listen(id: Id, params: Json, server: McpServer, response: LocalResponse): Promise<void> {
  const { signal } = response;
  const onMessage = (message: Json) => response.event(stamped(message, 'params', id));
  await server.listen(filterOf(params.notifications), { signal, onMessage });
  if (!signal.aborted)
    response.answer(stamped({ jsonrpc: '2.0', id, result: { resultType: 'complete' } }, 'result', id));
}

/** @throws ServerError */
function filterOf(wanted: unknown): Filter {
  const { resourceSubscriptions: uris = [], ...lists } = isRecord(wanted) ? wanted : {};
  if (!isRecord(wanted) || !Array.isArray(uris) || uris.length > MAX_SUBSCRIPTIONS)
    throw new ServerError(
      INVALID_PARAMS,
      `"notifications" must say what to listen to, and name ${MAX_SUBSCRIPTIONS} resources at most`,
    );
  const resources = uris.filter((uri): uri is string => typeof uri === 'string');
  return {
    ...wishes((list) => lists[`${list}ListChanged`] === true),
    ...(resources.length > 0 && { resourceSubscriptions: resources }),
  };
}

/** Says which stream it belongs to. */
function stamped(message: Json, part: 'params' | 'result', id: Id): Json {
  const own = isRecord(message[part]) ? message[part] : {};
  return { ...message, [part]: { ...own, _meta: { ...metaOf(own), [`${META}subscriptionId`]: id } } };
}
