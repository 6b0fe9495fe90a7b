import type { ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Outgoing } from '../credentials/credential.ts';
import type { ResponseGuard } from '../gate/response-guard.ts';
import type { Era } from '../protocol/versions.ts';
import type { McpMethod } from '../transports/streamable-http/route.ts';
import type { Caller } from '../trust/caller.ts';
import type { RelayEvents } from './response-relay.ts';

export interface UpstreamRequest {
  readonly method: McpMethod;
  /** In whose form it is, and the answer is to be. */
  readonly era: Era;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Buffer | null;
  /** On whose behalf; undefined: the relay's own. */
  readonly caller: Caller | undefined;
  /** As in `Outgoing`. */
  readonly elicitsUrls?: Outgoing['elicitsUrls'];
}

/** One MCP server, however it is reached: to whoever asks it speaks streamable HTTP. */
export interface Upstream {
  /**
   * Sends the request and passes the answer on into `response`.
   *
   * @param guard where what the server says must be read or limited on its way
   */
  forward(request: UpstreamRequest, response: ServerResponse, events: RelayEvents, guard?: ResponseGuard): void;
  /** Sends the request and hands the answer to `handler` piece by piece. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void;
  close(): Promise<void>;
}
