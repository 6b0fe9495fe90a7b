import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import type { Outgoing } from '../credentials/credential.ts';
import { parseJson } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { McpMethod } from '../protocol/methods.ts';
import type { Era } from '../protocol/versions.ts';
import type { Caller } from '../trust/caller.ts';
import type { ServerPort } from './mcp-server.ts';

export interface UpstreamRequest {
  readonly method: McpMethod;
  /** In whose form it is, and the answer is to be. */
  readonly era: Era;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Buffer | null;
  /** The method of the message, where it has been read already; undefined: not yet, or it has none. */
  readonly asks?: string | undefined;
  /** On whose behalf; undefined: the relay's own. */
  readonly caller: Caller | undefined;
  /** As in `Outgoing`. */
  readonly elicitsUrls?: Outgoing['elicitsUrls'];
}

/** What answers requests of streamable HTTP. */
export interface HttpServer {
  /** Sends the request and hands the answer to `handler` piece by piece. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void;
  close(): Promise<void>;
}

/** One MCP server, however it is reached: by streamable HTTP for clients that speak it, and by the port for everybody. */
export interface Upstream extends HttpServer, ServerPort {
  /** Tells one configuration of the server from another; undefined: there is one only. */
  readonly definition?: string;
}

/** The message of a request; empty for none. */
export function messageOf({ body }: Pick<UpstreamRequest, 'body'>): Json {
  const read: unknown = body === null ? undefined : parseJson(body.toString());
  return isRecord(read) ? read : {};
}
