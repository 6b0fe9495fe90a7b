import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import { INVALID_REQUEST, METHOD_NOT_FOUND, UNSUPPORTED_VERSION } from '../protocol/error-codes.ts';
import { isJson } from '../protocol/media-type.ts';

/** Bytes; an answer that is longer is no refusal. */
const MAX_HELD = 65_536;
/** How servers refuse what they cannot read (basic/transports, JSON-RPC 2.0 §5.1), beside statuses. */
const REFUSING_CODES: ReadonlySet<unknown> = new Set([UNSUPPORTED_VERSION, METHOD_NOT_FOUND, INVALID_REQUEST]);
const REFUSING_STATUSES: ReadonlySet<number> = new Set([400, 404, 405, 406, 415]);

export interface FirstAnswerEvents {
  /** The server took the request. */
  understood(): void;
  /** Perhaps it did not. Nothing has been said to the client; `pass` says what the server said. */
  refused(pass: () => void): void;
}

/**
 * Passes the answer to a request on, of which it is not known whether the server speaks its era: what could mean that it does
 * not is held back and reported.
 */
export class FirstAnswer implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #events: FirstAnswerEvents;
  #held: Buffer[] | undefined;
  #size = 0;
  #start: (() => void) | undefined;
  #status = 0;

  constructor(handler: Dispatcher.DispatchHandler, events: FirstAnswerEvents) {
    this.#handler = handler;
    this.#events = events;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#handler.onRequestStart?.(controller, context);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    if (status < 200) return;
    this.#status = status;
    const start = () => this.#handler.onResponseStart?.(controller, status, headers, text);
    if (REFUSING_STATUSES.has(status) || (status === 200 && isJson(headers['content-type']))) {
      this.#held = [];
      this.#start = start;
      return;
    }
    if (status === 200) this.#events.understood();
    start();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#held === undefined) return void this.#handler.onResponseData?.(controller, chunk);
    this.#held.push(chunk);
    this.#size += chunk.length;
    if (this.#size <= MAX_HELD) return;
    if (this.#status === 200) this.#events.understood();
    this.#release(controller);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    const pass = () => {
      this.#release(controller);
      this.#handler.onResponseEnd?.(controller, trailers);
    };
    if (this.#held === undefined) return void pass();
    if (this.#isRefusal(this.#held)) return void this.#events.refused(pass);
    this.#events.understood();
    pass();
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#release(controller);
    this.#handler.onResponseError?.(controller, error);
  }

  #release(controller: Dispatcher.DispatchController): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#start?.();
    this.#start = undefined;
    for (const chunk of held) this.#handler.onResponseData?.(controller, chunk);
  }

  #isRefusal(held: readonly Buffer[]): boolean {
    if (this.#status !== 200) return true;
    try {
      const message: unknown = JSON.parse(Buffer.concat(held).toString());
      return isRecord(message) && isRecord(message.error) && REFUSING_CODES.has(message.error.code);
    } catch {
      return false;
    }
  }
}
