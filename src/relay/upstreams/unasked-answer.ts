import type { IncomingHttpHeaders } from 'node:http';
import { isEventStream, isJson } from '../protocol/media-type.ts';

/** Bytes of a JSON body that may turn out to be `null` with space around it. */
const MAX_NOTHING = 64;
/** Bytes of a body that nobody wants which are read to keep the connection. */
const MAX_UNWANTED = 64 * 1024;

/**
 * What is to be done with the body of a 2xx response: it is the answer; it is nothing, whatever its type says; or that shows only when
 * it has been read.
 */
export type BodyUse = 'answer' | 'nothing' | 'unknown';

/** @param expected whether the client waits for an answer: a notification, a response of its own and DELETE have none (2025-11-25, transports) */
export function useOfBody(status: number, headers: IncomingHttpHeaders, expected: boolean): BodyUse {
  if (status >= 300) return 'answer';
  // RFC 9110 §15.3.5, §15.3.6; 202 as MCP uses it has none either, unless the server says that it sends a message.
  const type = headers['content-type'];
  const message = isJson(type) || isEventStream(type);
  if (status === 204 || status === 205 || headers['content-length'] === '0') return 'nothing';
  if (message) return expected || isEventStream(type) ? 'answer' : 'unknown';
  return !expected || status === 202 ? 'nothing' : 'answer';
}

/** The status of a response without a body. @param method of the request */
export function statusOfNothing(status: number, method: string | undefined, expected: boolean): number {
  return !expected && method === 'POST' && status === 200 ? 202 : status;
}

/** Holds the beginning of a body back until it is clear whether it says anything. */
export class BufferedBody {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  /** @returns whether it says something */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    return this.#size > MAX_NOTHING || !/^\s*(?:n|nu|nul|null)?\s*$/.test(this.bytes.toString('latin1'));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }
}

/** Counts a body that nobody wants. */
export class UnwantedBody {
  #size = 0;

  /** @returns whether it is too long to wait for its end */
  push(chunk: Buffer): boolean {
    this.#size += chunk.length;
    return this.#size > MAX_UNWANTED;
  }
}
