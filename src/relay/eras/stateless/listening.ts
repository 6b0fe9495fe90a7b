import { isRecord } from '../../../platform/is-record.ts';
import { modernFacts } from '../../protocol/client-facts.ts';
import { INVALID_PARAMS } from '../../protocol/error-codes.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Id, Json } from '../../protocol/json-rpc.ts';
import { META } from '../../protocol/meta.ts';
import type { LocalResponse } from '../../upstreams/local-response.ts';
import type { OnMessage, RequestContext, RequestOptions } from '../../upstreams/upstream-request.ts';
import type { PooledSession } from './pooled-session.ts';
import type { SessionPool } from './session-pool.ts';

/** Wishes of a listening client (2026-07-28, subscriptions), and what the server must have for each. */
const LISTS = [
  ['toolsListChanged', 'tools'],
  ['promptsListChanged', 'prompts'],
  ['resourcesListChanged', 'resources'],
] as const;
/** Resources that one stream may be about. */
const MAX_RESOURCES = 1_000;

/** Notifications kept until the stream has begun. */
const MAX_EARLY = 100;

/**
 * The stream of what a stateless client wants to hear, in a session of its own; it says first what it will say, and lasts until
 * the client has enough or the server's session ends.
 */
export async function listenInSession(
  sessions: SessionPool,
  { id, params, ...context }: RequestContext & { readonly id: Id; readonly params: Json },
  response: LocalResponse,
): Promise<void> {
  const wanted = params.notifications;
  if (!isRecord(wanted)) throw new ServerError(INVALID_PARAMS, '"notifications" must say what to listen to');
  const { signal } = response;
  const lease = await sessions.lease(context, modernFacts(params), signal);
  const { session } = lease;
  try {
    const lists = offeredLists(wanted, session);
    const uris = new Set(offeredResources(wanted, session));
    /** What came before the client knew what it would hear. */
    let early: Json[] | undefined = [];
    const onMessage: OnMessage = (message) => {
      if (message.method === 'ping') void session.notify({ jsonrpc: '2.0', id: message.id, result: {} });
      else if (!isWanted(message, lists, uris)) return;
      else if (early === undefined) response.event(stamped(message, 'params', id));
      else if (early.length < MAX_EARLY) early.push(message);
    };
    session.listen(onMessage);
    for (const uri of uris) if (!(await subscribed(session, uri, { ...context, signal, onMessage }))) uris.delete(uri);
    const notifications = { ...lists, ...(uris.size > 0 && { resourceSubscriptions: [...uris] }) };
    const method = 'notifications/subscriptions/acknowledged';
    response.event(stamped({ jsonrpc: '2.0', method, params: { notifications } }, 'params', id));
    for (const message of early) response.event(stamped(message, 'params', id));
    early = undefined;
    await session.ended(signal);
    if (!signal.aborted)
      response.answer(stamped({ jsonrpc: '2.0', id, result: { resultType: 'complete' } }, 'result', id));
  } finally {
    lease.release();
  }
}

/** @returns whether the server took it; one resource that it does not know is no reason to hear nothing of the others */
async function subscribed(session: PooledSession, uri: string, options: RequestOptions): Promise<boolean> {
  try {
    await session.request('resources/subscribe', { uri }, options);
    return true;
  } catch (error) {
    if (error instanceof ServerError) return false;
    throw error;
  }
}

/** The lists among the wishes whose changes the server tells. */
function offeredLists(wanted: Json, session: PooledSession): Json {
  return Object.fromEntries(
    LISTS.filter(([wish, name]) => wanted[wish] === true && session.offers(name)?.listChanged === true).map(
      ([wish]) => [wish, true],
    ),
  );
}

function offeredResources({ resourceSubscriptions: uris }: Json, session: PooledSession): string[] {
  if (!Array.isArray(uris) || session.offers('resources')?.subscribe !== true) return [];
  return uris.filter((uri): uri is string => typeof uri === 'string').slice(0, MAX_RESOURCES);
}

function isWanted({ method, params }: Json, lists: Json, uris: ReadonlySet<string>): boolean {
  if (method === 'notifications/resources/updated') return isRecord(params) && uris.has(String(params.uri));
  const list = /^notifications\/(tools|prompts|resources)\/list_changed$/.exec(String(method))?.[1];
  return list !== undefined && lists[`${list}ListChanged`] === true;
}

/** Says which stream it belongs to. */
function stamped(message: Json, part: 'params' | 'result', id: Id): Json {
  const own = isRecord(message[part]) ? message[part] : {};
  const meta = isRecord(own._meta) ? own._meta : {};
  return { ...message, [part]: { ...own, _meta: { ...meta, [`${META}subscriptionId`]: id } } };
}
