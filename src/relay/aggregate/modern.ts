import { isRecord } from '../../platform/is-record.ts';
import { version } from '../../platform/version.ts';
import { INVALID_PARAMS, METHOD_NOT_FOUND } from '../protocol/error-codes.ts';
import { ServerError } from '../protocol/failures.ts';
import type { Id, Json } from '../protocol/json-rpc.ts';
import { META } from '../protocol/meta.ts';
import { toModernResult } from '../protocol/to-modern-result.ts';
import { SUPPORTED_VERSIONS } from '../protocol/versions.ts';
import type { LocalResponse } from '../upstreams/local-response.ts';
import type { ClientRequest, Filter } from '../upstreams/mcp-server.ts';
import { errorFor } from './common-server.ts';
import type { Conversation } from './conversation.ts';
import { uriToServer } from './uris.ts';

/** Gone from the stateless era. */
const GONE = new Set(['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe']);

/** Resources of one stream: each is asked about before it begins. */
const MAX_SUBSCRIPTIONS = 1_000;

/** Answers one request of the stateless era. */
export async function answerModern(
  request: ClientRequest,
  conversation: Conversation,
  response: LocalResponse,
): Promise<void> {
  const { id, method, params } = request;
  if (method === 'server/discover') return discover(id, conversation, response);
  if (method === 'subscriptions/listen') return listen(id, params, conversation, response);
  if (GONE.has(method)) {
    const error = errorFor(new ServerError(METHOD_NOT_FOUND, `there is no method ${method} since 2026-07-28`));
    return void response.answer({ jsonrpc: '2.0', id, error }, 404);
  }
  await conversation.answer(request, response, { result: (result) => complete(method, result), unknownMethod: 404 });
}

async function discover(id: Id, { owner, common }: Conversation, response: LocalResponse): Promise<void> {
  const { capabilities, instructions } = await common.describe(owner, response.signal);
  const result = complete('server/discover', {
    supportedVersions: SUPPORTED_VERSIONS,
    capabilities,
    ...(instructions === undefined ? {} : { instructions }),
    _meta: { [`${META}serverInfo`]: SERVER_INFO },
  });
  response.answer({ jsonrpc: '2.0', id, result });
}

export const SERVER_INFO = { name: 'postern', version: version() };

/** A stateless server has given all of it, a legacy one nothing. */
function complete(method: string, result: Json): Json {
  return { ...toModernResult(method, result), ...result };
}

/** The stream of what the client wants to hear; it says first what it will say. */
async function listen(id: Id, params: Json, conversation: Conversation, response: LocalResponse): Promise<void> {
  const filter = await filterOf(params.notifications, conversation);
  if (filter === undefined) {
    const error = errorFor(
      new ServerError(
        INVALID_PARAMS,
        `"notifications" must say what to listen to, and name ${MAX_SUBSCRIPTIONS} resources at most`,
      ),
    );
    return void response.answer({ jsonrpc: '2.0', id, error });
  }
  const send = (message: Json) => {
    const own = isRecord(message.params) ? message.params : {};
    const meta = { ...(isRecord(own._meta) ? own._meta : {}), [`${META}subscriptionId`]: id };
    response.event({ ...message, params: { ...own, _meta: meta } });
  };
  send({ jsonrpc: '2.0', method: 'notifications/subscriptions/acknowledged', params: { notifications: filter } });
  await conversation.listen(filter, response.signal, send);
}

/** The part of the wishes that can come true: lists can always change, resources are those that the caller may hear of. */
async function filterOf(wanted: unknown, { common }: Conversation): Promise<Filter | undefined> {
  if (!isRecord(wanted)) return undefined;
  const { resourceSubscriptions = [] } = wanted;
  if (!Array.isArray(resourceSubscriptions) || resourceSubscriptions.length > MAX_SUBSCRIPTIONS) return undefined;
  const uris: string[] = [];
  for (const uri of resourceSubscriptions) {
    const own = typeof uri === 'string' ? uriToServer(uri) : undefined;
    if (own !== undefined && (await common.member(own.server)?.mayHear(own.name)) === true) uris.push(uri);
  }
  return {
    ...(wanted.toolsListChanged === true && { toolsListChanged: true }),
    ...(wanted.promptsListChanged === true && { promptsListChanged: true }),
    ...(wanted.resourcesListChanged === true && { resourcesListChanged: true }),
    ...(uris.length > 0 && { resourceSubscriptions: uris }),
  };
}
