import { isRecord } from '../../platform/is-record.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import { SessionLost } from '../protocol/failures.ts';
import type { Json } from '../protocol/json-rpc.ts';
import { INITIALIZED } from '../protocol/methods.ts';
import { sessionVersion } from '../protocol/versions.ts';
import type { ClientRequest, McpServer } from './mcp-server.ts';
import type { RunningRequests } from './running-requests.ts';
import type { RequestContext, RequestOptions } from './upstream-request.ts';

/** One session of a client (up to 2025-11-25): the server as it is in this session. */
export interface LegacySession {
  readonly server: McpServer;
  readonly running: RunningRequests;
  /**
   * Another replica holds it, if any does: only what comes of a message shows whether there is such a session.
   * So its `notify` and `close` reject too, with SessionLost or as the other replicas cannot be asked.
   */
  readonly isRemote?: true;
}

export interface InitializedSession {
  /** Empty: the server names none. */
  readonly id: string;
  /** The answer to `initialize`. */
  readonly result: Json;
}

/** The sessions of clients at one server, whatever its transport and its era. */
export interface LegacySessions {
  /** Begins a session. @param request `initialize` @throws as `McpServer.request` does; nothing is left open then */
  open(request: ClientRequest, context: RequestContext, signal: AbortSignal): Promise<InitializedSession>;
  /** @returns undefined if the session is not known, or has ended @throws ServerError if there is no room for it */
  find(id: string, context: RequestContext): LegacySession | undefined;
}

/** Sends the request of a client in its session. @throws as `RunningRequests.run` and `McpServer.request` do */
export function requestIn(
  { server, running }: LegacySession,
  request: ClientRequest,
  options: RequestOptions,
): Promise<Json> {
  return running.run(request.id, options.signal, (signal) => server.request(request, { ...options, signal }));
}

/** Sends a client's notification, or its answer to a request of the server. @throws as `McpServer.notify` does */
export async function notifyIn({ server, running }: LegacySession, message: Json): Promise<void> {
  const { method, params } = message;
  const isCancelled = method === 'notifications/cancelled' && isRecord(params) && running.cancel(params);
  if (!isCancelled) await server.notify(message);
}

/** Begins a session of which the relay itself is the client. @throws as `LegacySessions.open` does */
export async function beginSession(
  sessions: LegacySessions,
  { protocolVersion, capabilities, clientInfo }: ClientFacts,
  context: RequestContext,
  signal: AbortSignal,
): Promise<InitializedSession & { readonly server: McpServer }> {
  const params = { protocolVersion, capabilities, clientInfo };
  const opened = await sessions.open({ id: 'initialize', method: 'initialize', params }, context, signal);
  const { caller } = context;
  const session = sessions.find(opened.id, { caller, version: sessionVersion(opened.result) });
  if (session === undefined) throw new SessionLost();
  await session.server.notify({ jsonrpc: '2.0', method: INITIALIZED });
  return { ...opened, server: session.server };
}
