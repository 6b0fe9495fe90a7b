import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import { EventParser, type StreamEvent } from './event-parser.ts';
import { parseJson, writeJson } from './json.ts';
import { isEventStream, isJson } from './media-type.ts';
import { nestsTooDeep } from './nesting.ts';
import { ENDLESS, type OversizedMessage } from './oversized-message.ts';

type JsonObject = Record<string, unknown>;

export interface ReaderEvents {
  /** Response headers came. */
  head?(reader: MessageReader): void;
  /** One message of a 2xx response. @param text as it came */
  message(value: JsonObject, text: string): void;
  /** One message of a stream that is above the limit, and is left out; absent: it ends the stream. */
  oversized?: ((message: OversizedMessage) => void) | undefined;
  /** Called once: the response is over, in whatever way. */
  closed?(reader: MessageReader): void;
  /** Called once after that, unless it was aborted here; `error` where the response did not come whole. */
  ended(reader: MessageReader, error: Error | undefined): void;
  /** Counts bytes that wait for the rest of a message. @returns why they may not */
  holds?(bytes: number): Error | undefined;
  /** Whether the client's side takes no more for now. */
  full(): boolean;
}

/** Reads the JSON-RPC messages of one response of an MCP server, whether it comes as JSON or as an event stream. */
export class MessageReader implements Dispatcher.DispatchHandler {
  readonly #limit: number;
  readonly #events: ReaderEvents;
  #controller: Dispatcher.DispatchController | undefined;
  #parser: EventParser | undefined;
  #json: Buffer[] | undefined;
  #size = 0;
  #done = false;
  /** 0 until response headers came. */
  status = 0;
  headers: IncomingHttpHeaders = {};
  /** The JSON-RPC error in a response that is no 2xx. */
  failure: JsonObject | undefined;
  /** Something came of the stream. */
  delivered = false;

  /** @param limit bytes of one message */
  constructor(limit: number, events: ReaderEvents) {
    this.#limit = limit;
    this.#events = events;
  }

  get isStream(): boolean {
    return this.#parser !== undefined;
  }

  get lastEventId(): string | undefined {
    return this.#parser?.lastEventId;
  }

  /** Milliseconds, as the server asked for. */
  get retry(): number | undefined {
    return this.#parser?.retry;
  }

  /** Ends the request at the server. No further event is reported. */
  abort(): void {
    if (this.#done) return;
    this.#done = true;
    this.#events.closed?.(this);
    this.#controller?.abort(new Error('no longer wanted'));
  }

  resume(): void {
    if (!this.#done && this.#controller?.paused === true) this.#controller.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#done) controller.abort(new Error('no longer wanted'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#done) return;
    this.status = status;
    this.headers = headers;
    if (status < 300 && isEventStream(headers['content-type'])) this.#parser = this.#eventParser();
    else if (isJson(headers['content-type'])) this.#json = [];
    this.#events.head?.(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    try {
      this.#parser?.push(chunk);
      this.#size += chunk.length;
      if (this.#parser === undefined && this.#size > this.#limit)
        throw new RangeError(`the answer is larger than ${this.#limit} bytes`);
      this.#json?.push(chunk);
      const spent = this.#events.holds?.(this.#parser?.pending ?? (this.#json === undefined ? 0 : this.#size));
      if (spent !== undefined) throw spent;
    } catch (error) {
      this.#end(error as Error);
      controller.abort(error as Error);
      return;
    }
    if (this.#events.full()) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#done) return;
    if (this.#json !== undefined) this.#take(Buffer.concat(this.#json).toString());
    this.#end(undefined);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#done) this.#end(error);
  }

  #eventParser(): EventParser {
    const { oversized } = this.#events;
    let noise = 0;
    const onEvent = ({ type, data }: StreamEvent) => {
      noise = 0;
      this.delivered = true;
      if (type === '' || type === 'message') this.#take(data);
    };
    if (oversized === undefined) return new EventParser(this.#limit, onEvent);
    return new EventParser(this.#limit, onEvent, {
      oversized,
      noise: (characters) => {
        noise += characters;
        if (noise > this.#limit * ENDLESS) throw new RangeError(`an event has no end after ${noise} bytes`);
      },
    });
  }

  /** A batch, which servers of 2025-03-26 may answer with, is taken apart: no other revision knows it. */
  #take(text: string): void {
    let value: unknown;
    try {
      value = parseJson(text);
    } catch {
      return;
    }
    // Whoever takes the message would fail at it, each in its own place.
    if (nestsTooDeep(text)) return;
    for (const message of Array.isArray(value) ? value : [value]) {
      if (!isRecord(message) || this.#done) continue;
      this.#deliver(message, message === value ? text : writeJson(message));
    }
  }

  #deliver(message: JsonObject, text: string): void {
    if (this.status >= 300) this.failure ??= isRecord(message.error) ? message.error : undefined;
    else this.#events.message(message, text);
  }

  #end(error: Error | undefined): void {
    this.#done = true;
    this.#events.closed?.(this);
    this.#events.ended(this, error);
  }
}
