import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import {
  INVALID_PARAMS,
  INVALID_REQUEST,
  METHOD_NOT_FOUND,
  PARSE_ERROR,
  SERVER_ERROR,
} from '../protocol/error-codes.ts';
import { isJson } from '../protocol/media-type.ts';
import { PassingHandler } from '../upstreams/passing-handler.ts';

/** Bytes; an answer that is longer is no refusal. */
const MAX_HELD = 65_536;
/** How servers refuse what they cannot read (JSON-RPC 2.0 §5.1), beside statuses; nothing was done for it then. */
const REFUSING_CODES: ReadonlySet<unknown> = new Set([PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS]);
/** The last of the codes that are left to implementations (JSON-RPC 2.0 §5.1): "not initialized" is one of them. */
const LAST_SERVER_ERROR = -32099;
const REFUSING_STATUSES: ReadonlySet<number> = new Set([400, 404, 405, 406, 415]);

export interface EraProbeEvents {
  /** The server took the request. */
  understood(): void;
  /** Perhaps it did not. Nothing has been said to the client; `pass` says what the server said. */
  refused(pass: () => void): void;
}

/**
 * Passes the answer to a request on, of which it is not known whether the server speaks its era: what could mean that it does
 * not is held back and reported.
 */
export class EraProbe extends PassingHandler {
  readonly #events: EraProbeEvents;
  #held: Buffer[] | undefined;
  #size = 0;
  #start: (() => void) | undefined;
  #status = 0;

  constructor(inner: Dispatcher.DispatchHandler, events: EraProbeEvents) {
    super(inner);
    this.#events = events;
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    if (status < 200) return;
    this.#status = status;
    const start = () => this.inner.onResponseStart?.(controller, status, headers, text);
    if (REFUSING_STATUSES.has(status) || (status === 200 && isJson(headers['content-type']))) {
      this.#held = [];
      this.#start = start;
      return;
    }
    start();
  }

  /** What is held back are bytes. */
  override get onResponseMessage(): undefined {
    return undefined;
  }

  override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#held === undefined) return void this.inner.onResponseData?.(controller, chunk);
    this.#held.push(chunk);
    this.#size += chunk.length;
    if (this.#size > MAX_HELD) this.#release(controller);
  }

  override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    const pass = () => {
      this.#release(controller);
      this.inner.onResponseEnd?.(controller, trailers);
    };
    if (this.#held === undefined) return void pass();
    const shown = this.#shown(this.#held);
    if (shown === 'refused') return void this.#events.refused(pass);
    if (shown === 'understood') this.#events.understood();
    pass();
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#release(controller);
    this.inner.onResponseError?.(controller, error);
  }

  #release(controller: Dispatcher.DispatchController): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#start?.();
    this.#start = undefined;
    for (const chunk of held) this.inner.onResponseData?.(controller, chunk);
  }

  /** Only a result shows that the server has read the request. @returns undefined if the answer shows nothing */
  #shown(held: readonly Buffer[]): 'understood' | 'refused' | undefined {
    if (this.#status !== 200) return 'refused';
    try {
      const message: unknown = JSON.parse(Buffer.concat(held).toString());
      if (!isRecord(message)) return undefined;
      if (!isRecord(message.error)) return message.result === undefined ? undefined : 'understood';
      return isRefusing(message.error.code) ? 'refused' : undefined;
    } catch {
      return undefined;
    }
  }
}

function isRefusing(code: unknown): boolean {
  if (typeof code !== 'number') return false;
  return REFUSING_CODES.has(code) || (code <= SERVER_ERROR && code >= LAST_SERVER_ERROR);
}
