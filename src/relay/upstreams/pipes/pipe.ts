import type { Fields } from '../../credentials/credential.ts';

/**
 * A two-way stream of JSON-RPC messages with one running MCP server: a child process, a WebSocket, or HTTP+SSE of 2024-11-05.
 * In contrast to streamable HTTP nothing in it says which request a message belongs to.
 */
export interface Pipe {
  /** @param text one message as JSON */
  send(text: string): void;
  /** Bytes that were sent and not taken yet. */
  readonly waiting: number;
  /** Ends it. Resolves once nothing of it is left; never rejects. */
  close(): Promise<void>;
}

export interface PipeEvents {
  /** One message as it came; whether it is JSON is not known yet. */
  message(text: string): void;
  /** Called once, unless `close` was called: the server is gone, or said something that no server may. */
  closed(why: Error): void;
}

/**
 * Opens a pipe to a server of its own.
 *
 * @param fields what proves the relay there, as names and values in turn, where the pipe has headers
 * @throws Error where the server cannot be started or reached
 */
export type OpenPipe = (events: PipeEvents, fields: Fields) => Promise<Pipe>;
