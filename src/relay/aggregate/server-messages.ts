import { isRecord } from '../../platform/is-record.ts';
import { isId, type Json } from '../protocol/json-rpc.ts';
import { changedList } from '../protocol/list-changes.ts';
import { isVendorNotification } from '../protocol/methods.ts';
import { withClientUris } from './content-uris.ts';
import type { ServerRequestIds } from './server-requests.ts';
import { uriToClient } from './uris.ts';

/** What a server says beside its answers, sorted by what becomes of it. */
export type ServerMessage =
  /** Goes to the client as it is here. */
  | { readonly kind: 'pass'; readonly message: Json }
  /** Goes to the client once, however many servers say it. */
  | { readonly kind: 'list_changed'; readonly method: string }
  /** Belongs to a request that this server was not sent, or to none. */
  | { readonly kind: 'drop' };

export interface MessageContext {
  readonly server: string;
  readonly owner: string;
  readonly ids: ServerRequestIds;
  /** Whether the client gave this token with a request to this very server. */
  readonly isProgressToken: (token: unknown) => boolean;
}

/** Puts one message of a server into the words of the whole. */
export function forClient(message: Json, { server, owner, ids, isProgressToken }: MessageContext): ServerMessage {
  const { id, method } = message;
  const params = isRecord(message.params) ? message.params : {};
  if (typeof method !== 'string') return { kind: 'drop' };
  if (changedList(method) !== undefined) return { kind: 'list_changed', method };
  if (isId(id))
    return {
      kind: 'pass',
      message: { ...message, id: ids.toClient(owner, server, id), params: withClientUris(server, params) },
    };
  switch (method) {
    case 'notifications/progress':
      // A server that makes up another one's token must not move that one's progress bar.
      return isProgressToken(params.progressToken) ? { kind: 'pass', message } : { kind: 'drop' };
    case 'notifications/resources/updated':
      return typeof params.uri === 'string'
        ? { kind: 'pass', message: { ...message, params: { ...params, uri: uriToClient(server, params.uri) } } }
        : { kind: 'drop' };
    case 'notifications/message':
      return { kind: 'pass', message: { ...message, params: { ...params, logger: loggerOf(server, params.logger) } } };
    case 'notifications/cancelled':
      return cancelled(message, params, { server, owner, ids });
    case 'notifications/elicitation/complete':
      return { kind: 'pass', message };
    default:
      // The relay has told this client of its own subscription and session; the servers' are its own affair.
      return isVendorNotification(method)
        ? { kind: 'pass', message: { ...message, params: withClientUris(server, params) } }
        : { kind: 'drop' };
  }
}

function loggerOf(server: string, logger: unknown): string {
  return typeof logger === 'string' && logger !== '' ? `${server}/${logger}` : server;
}

/** A server takes back a request of its own, whose id the client knows in another form: it is found by what it says. */
function cancelled(
  message: Json,
  params: Json,
  { server, owner, ids }: Pick<MessageContext, 'server' | 'owner' | 'ids'>,
): ServerMessage {
  const { requestId } = params;
  if (!isId(requestId)) return { kind: 'drop' };
  return {
    kind: 'pass',
    message: { ...message, params: { ...params, requestId: ids.toClient(owner, server, requestId) } },
  };
}
