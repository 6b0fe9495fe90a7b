import type { Fields } from '../../credentials/credential.ts';
import type { OversizedMessage } from '../../protocol/oversized-message.ts';

/** Names and values in turn. @throws RefusedError, DependencyUnavailable where they cannot be had: the message must not go */
export type MessageFields = () => Promise<Fields>;

/**
 * A two-way stream of JSON-RPC messages with one running MCP server: a child process, a WebSocket, or HTTP+SSE of 2024-11-05.
 * In contrast to streamable HTTP nothing in it says which request a message belongs to.
 */
export interface Pipe {
  /**
   * @param text one message as JSON
   * @param fields those of the request that it comes of, where each message has its own; absent: as the last one
   */
  send(text: string, fields?: MessageFields): void;
  /** Bytes that were sent and not taken yet. */
  readonly waiting: number;
  /** Reads nothing more of the server until `resume`, so that it has to wait. */
  pause(): void;
  resume(): void;
  /** Ends it. Resolves once nothing of it is left; never rejects. */
  close(): Promise<void>;
}

/** What a pipe reports, from the moment it is being opened. Nothing that a listener throws may come out of the pipe. */
export interface PipeEvents {
  /** Takes a piece of what came apart, in the server's share of the time; what that finds is reported as below. */
  read(work: () => void): void;
  /** As much of the server's share of the time was used elsewhere. @param milliseconds of the event loop */
  spent(milliseconds: number): void;
  /** One message as it came; whether it is JSON is not known yet. */
  message(text: string): void;
  /** A message above the limit, which was not kept. */
  oversized(message: OversizedMessage): void;
  /** Called whenever that has changed. @param bytes that wait for the rest of their message */
  pending(bytes: number): void;
  /** Something came that can be no message. @param bytes how much of it */
  noise(bytes: number): void;
  /** A message that was sent did not reach the server, which goes on all the same. */
  undelivered(text: string, why: Error): void;
  /** Called once, unless `close` was called: the server is gone, or said something that no server may. */
  closed(why: Error): void;
}

/**
 * Opens a pipe to a server of its own.
 *
 * @param fields what proves the relay there, as names and values in turn, where the pipe has headers
 * @throws Error where the server cannot be started or reached; nothing of it is left then
 */
export type OpenPipe = (events: PipeEvents, fields: Fields) => Promise<Pipe>;
