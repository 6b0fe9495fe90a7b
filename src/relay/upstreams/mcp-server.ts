import { isRecord } from '../../platform/is-record.ts';
import type { ClientFacts } from '../protocol/client-facts.ts';
import type { Id, Json } from '../protocol/json-rpc.ts';
import type { ListWishes } from '../protocol/list-changes.ts';
import { META, metaOf } from '../protocol/meta.ts';
import type { LegacySessions } from './legacy-sessions.ts';
import type { RequestContext, RequestOptions } from './upstream-request.ts';

/** What a server says of itself when it is first asked. */
export interface Description {
  readonly capabilities: Json;
  readonly instructions: string | undefined;
  readonly serverInfo?: Json;
}

/** A request to one server. */
export interface ClientRequest {
  readonly id: Id;
  readonly method: string;
  readonly params: Json;
  /** `Mcp-Param-*` fields, names and values in turn: the server compares them with the body. */
  readonly mirrored?: readonly string[] | undefined;
}

/** What a client wants to hear unasked (2026-07-28, `subscriptions/listen`); legacy clients hear all there is. */
export interface Filter extends ListWishes {
  /** URIs as the server knows them. */
  readonly resourceSubscriptions?: readonly string[];
}

/** Why nothing more comes unasked: the server offers that not at all, the stream or its session is over, or nothing answers. */
export type ListeningEnd = 'not_offered' | 'lost' | 'unreachable';

/** One MCP server, whatever its transport and its era. */
export interface McpServer {
  /** What the server says of itself: asked once, then known. @throws as `request` does */
  describe(signal: AbortSignal): Promise<Description>;
  /**
   * @param options `onMessage` takes what belongs to the request and comes before its answer
   * @returns `result` of the answer
   * @throws ServerError if the server answers with an error; what the connection failed with
   */
  request(request: ClientRequest, options: RequestOptions): Promise<Json>;
  /** Sends a notification, or the answer to a request of the server. Never rejects: nobody waits for what comes of it. */
  notify(message: Json): Promise<void>;
  /**
   * Takes what the server sends unasked, until the signal ends it.
   *
   * @returns when there is no such stream any more
   */
  listen(filter: Filter | undefined, options: RequestOptions): Promise<ListeningEnd>;
  /** Resolves if the server answers now; a session that it has forgotten is opened anew. @throws as `request` does */
  ping(signal: AbortSignal): Promise<void>;
  /** Ends the server's session. Never rejects. */
  close(): Promise<void>;
}

/** One server for clients of both eras. */
export interface ServerPort {
  readonly legacy: LegacySessions;
  /** The server as one stateless client sees it. */
  modern(facts: ClientFacts, context: RequestContext): McpServer;
}

/** A server of which each use goes through `use`, which finds it, or counts what uses it. */
export function serverThrough(use: <T>(work: (server: McpServer) => Promise<T>) => Promise<T>): McpServer {
  return {
    describe: (signal) => use((server) => server.describe(signal)),
    request: (request, options) => use((server) => server.request(request, options)),
    notify: (message) => use((server) => server.notify(message)).catch(() => {}),
    listen: (filter, options) => use((server) => server.listen(filter, options)),
    ping: (signal) => use((server) => server.ping(signal)),
    close: () => use((server) => server.close()).catch(() => {}),
  };
}

/** @param result of `initialize` or `server/discover`, which names the server in its `_meta` */
export function descriptionOf(result: Json): Description {
  const { capabilities, instructions, serverInfo = metaOf(result)[`${META}serverInfo`] } = result;
  return {
    capabilities: isRecord(capabilities) ? capabilities : {},
    instructions: typeof instructions === 'string' ? instructions : undefined,
    serverInfo: isRecord(serverInfo) ? serverInfo : { name: 'unknown', version: '0' },
  };
}

/** Tells a stateless client first what it will hear (2026-07-28, subscriptions). */
export function acknowledged(filter: Filter): Json {
  const method = 'notifications/subscriptions/acknowledged';
  return { jsonrpc: '2.0', method, params: { notifications: filter } };
}
