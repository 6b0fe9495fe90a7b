import { isRecord } from '../../../platform/is-record.ts';
import type { ClientFacts } from '../../protocol/client-facts.ts';
import { ServerError } from '../../protocol/failures.ts';
import type { Json } from '../../protocol/json-rpc.ts';
import { isWished, type ListWishes, wishes } from '../../protocol/list-changes.ts';
import { acknowledged, type Filter } from '../../upstreams/mcp-server.ts';
import type { OnMessage, RequestContext, RequestOptions } from '../../upstreams/upstream-request.ts';
import type { PooledSession } from './pooled-session.ts';
import type { SessionPool } from './session-pool.ts';

/** Notifications kept until the stream has begun. */
const MAX_EARLY = 100;

/**
 * The stream of what a stateless client wants to hear, in a session of its own; it says first what it will say, and lasts until
 * the client has enough or the server's session ends.
 */
export async function listenInSession(
  sessions: SessionPool,
  filter: Filter,
  facts: ClientFacts,
  context: RequestContext,
  options: RequestOptions,
): Promise<'lost'> {
  const { signal } = options;
  const lease = await sessions.lease(context, facts, signal);
  const { session } = lease;
  try {
    const lists = offeredLists(filter, session);
    const uris = new Set(session.offers('resources')?.subscribe === true ? filter.resourceSubscriptions : []);
    /** What came before the client knew what it would hear. */
    let early: Json[] | undefined = [];
    const onMessage: OnMessage = (message) => {
      if (message.method === 'ping') void session.notify({ jsonrpc: '2.0', id: message.id, result: {} });
      else if (!isWanted(message, lists, uris)) return;
      else if (early === undefined) options.onMessage(message);
      else if (early.length < MAX_EARLY) early.push(message);
    };
    session.listen(onMessage);
    for (const uri of uris) if (!(await subscribed(session, uri, { ...context, signal, onMessage }))) uris.delete(uri);
    options.onMessage(acknowledged({ ...lists, ...(uris.size > 0 && { resourceSubscriptions: [...uris] }) }));
    for (const message of early) options.onMessage(message);
    early = undefined;
    await session.ended(signal);
    return 'lost';
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
function offeredLists(wanted: Filter, session: PooledSession): ListWishes {
  return wishes((list) => wanted[`${list}ListChanged`] === true && session.offers(list)?.listChanged === true);
}

function isWanted({ method, params }: Json, lists: ListWishes, uris: ReadonlySet<string>): boolean {
  if (method === 'notifications/resources/updated') return isRecord(params) && uris.has(String(params.uri));
  return isWished(lists, method);
}
