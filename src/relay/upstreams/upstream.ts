import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import type { Outgoing } from '../credentials/credential.ts';
import { parseJson } from '../protocol/json.ts';
import type { Json } from '../protocol/json-rpc.ts';
import type { McpMethod } from '../protocol/methods.ts';
import type { Era } from '../protocol/versions.ts';
import type { Caller } from '../trust/caller.ts';

export interface UpstreamRequest {
  readonly method: McpMethod;
  /** In whose form it is, and the answer is to be. */
  readonly era: Era;
  /** Names and values in turn. */
  readonly headers: string[];
  readonly body: Buffer | null;
  /** The body, if it has been read; it is the same message. */
  readonly message?: Json | undefined;
  /** On whose behalf; undefined: the relay's own. */
  readonly caller: Caller | undefined;
  /** As in `Outgoing`. */
  readonly elicitsUrls?: Outgoing['elicitsUrls'];
}

/** One MCP server, however it is reached: to whoever asks it speaks streamable HTTP. */
export interface Upstream {
  /** Tells one configuration of the server from another; undefined: there is one only. */
  readonly definition?: string;
  /** Sends the request and hands the answer to `handler` piece by piece. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void;
  close(): Promise<void>;
}

/** The message of a request, read once; empty for none. */
export function messageOf({ body, message }: Pick<UpstreamRequest, 'body' | 'message'>): Json {
  const read: unknown = message ?? (body === null ? undefined : parseJson(body.toString()));
  return isRecord(read) ? read : {};
}
