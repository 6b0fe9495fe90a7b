import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import { EventRewriter } from '../protocol/event-rewriter.ts';
import { parseJson, writeJson } from '../protocol/json.ts';
import { isEventStream, isJson } from '../protocol/media-type.ts';
import type { Refusal } from '../refusal.ts';
import { answerTooLarge, callTooLong } from './denials.ts';

type Json = Readonly<Record<string, unknown>>;

/** What is to be done with the answer to one message. */
export interface AnswerRules {
  /** Each message of the server goes through this; undefined: nobody has to read the answer. */
  readonly rewrite: ((message: Json) => Json) | undefined;
  /** An answer that cannot be read does not pass. */
  readonly strict: boolean;
  /** Bytes of the whole answer. */
  readonly maxBytes: number | undefined;
  /** Milliseconds until it must have come whole. */
  readonly maxTime: number | undefined;
  /** Bytes of a message that has to be read. */
  readonly maxMessage: number;
  /** A JSON-RPC error with the id of the request, for a stream that has begun. */
  readonly errorOf: (refusal: Refusal) => object;
}

interface Head {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly statusMessage: string | undefined;
}

/** An answer that may not go on to the client. */
export class AnswerRefused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/**
 * Stands before the handler of an answer that has to be read or limited. JSON is held until it is whole, event streams go
 * on event by event, and everything else as it comes.
 */
export class AnswerFilter implements Dispatcher.DispatchHandler {
  readonly #inner: Dispatcher.DispatchHandler;
  readonly #rules: AnswerRules;
  #controller: Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #head: Head | undefined;
  #held: Buffer[] | undefined;
  #events: EventRewriter | undefined;
  #rewrite: AnswerRules['rewrite'];
  #isStream = false;
  #started = false;
  #size = 0;
  #done = false;

  constructor(inner: Dispatcher.DispatchHandler, rules: AnswerRules) {
    this.#inner = inner;
    this.#rules = rules;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#controller = controller;
    const { maxTime } = this.#rules;
    if (maxTime !== undefined)
      this.#timer ??= setTimeout(() => this.#refuse(controller, callTooLong(maxTime)), maxTime);
    this.#inner.onRequestStart?.(controller, context);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    if (status < 200 || this.#done) return;
    this.#isStream = isEventStream(headers['content-type']);
    this.#head = { status, headers, statusMessage };
    const { maxBytes, maxMessage } = this.#rules;
    if (Number(headers['content-length'] ?? 0) > (maxBytes ?? Number.POSITIVE_INFINITY))
      return void this.#refuse(controller, answerTooLarge(maxBytes as number));
    const plain = headers['content-encoding'] === undefined;
    const json = isJson(headers['content-type']);
    const rewrite = plain && status < 300 ? this.#rules.rewrite : undefined;
    if (this.#rules.strict && this.#rules.rewrite !== undefined && status < 300 && status !== 202)
      if (!plain || !(this.#isStream || json)) return void this.#refuse(controller, UNREADABLE);
    // Whole events only: one that is cut could not be followed by the error that says why.
    if (this.#isStream && plain)
      this.#events = new EventRewriter(Math.max(maxMessage, maxBytes ?? 0), (data) =>
        rewrite === undefined ? data : (rewritten(data, rewrite) ?? data),
      );
    else if (json && (rewrite !== undefined || maxBytes !== undefined)) this.#held = [];
    this.#rewrite = rewrite;
    if (this.#held === undefined) this.#start(controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    this.#size += chunk.length;
    const { maxBytes, maxMessage } = this.#rules;
    if (maxBytes !== undefined && this.#size > maxBytes) return void this.#refuse(controller, answerTooLarge(maxBytes));
    if (this.#held !== undefined) {
      this.#held.push(chunk);
      if (this.#size > Math.max(maxMessage, maxBytes ?? 0)) this.#tooMuch(controller, Buffer.concat(this.#held));
      return;
    }
    if (this.#events === undefined) return void this.#inner.onResponseData?.(controller, chunk);
    const passing = this.#events.push(chunk);
    if (passing.length > 0) this.#inner.onResponseData?.(controller, passing);
    if (this.#events.overflows) this.#tooMuch(controller, this.#events.rest());
  }

  /** Larger than what is read: where nobody has to read it, it goes on as it comes. */
  #tooMuch(controller: Dispatcher.DispatchController, held: Buffer): void {
    const { strict, maxBytes, maxMessage } = this.#rules;
    if (strict || maxBytes !== undefined) return void this.#refuse(controller, answerTooLarge(maxMessage));
    if (!this.#started) this.#start(controller);
    this.#held = undefined;
    this.#events = undefined;
    this.#inner.onResponseData?.(controller, held);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (this.#done) return;
    if (this.#held !== undefined) {
      const body = this.#whole(Buffer.concat(this.#held));
      if (body === undefined) return void this.#refuse(controller, UNREADABLE);
      this.#start(controller, body.length);
      this.#inner.onResponseData?.(controller, body);
    }
    this.#finish();
    this.#inner.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#done) return;
    this.#finish();
    this.#inner.onResponseError?.(controller, error);
  }

  /** @returns undefined where it had to be read and is no JSON */
  #whole(body: Buffer): Buffer | undefined {
    const rewrite = this.#rewrite;
    if (rewrite === undefined || body.length === 0) return body;
    const before = body.toString();
    const after = rewritten(before, rewrite);
    if (after === undefined) return this.#rules.strict ? undefined : body;
    return after === before ? body : Buffer.from(after);
  }

  #start(controller: Dispatcher.DispatchController, length?: number): void {
    const { status, headers, statusMessage } = this.#head as Head;
    const own = length === undefined ? headers : { ...headers, 'content-length': String(length) };
    this.#started = true;
    this.#inner.onResponseStart?.(controller, status, own, statusMessage);
  }

  /** An open stream can say why it ends; before it, the refusal is the answer. */
  #refuse(controller: Dispatcher.DispatchController, refusal: Refusal): void {
    if (this.#done) return;
    this.#finish();
    if (this.#started && this.#isStream) {
      const event = `data: ${writeJson(this.#rules.errorOf(refusal))}\n\n`;
      this.#inner.onResponseData?.(controller, Buffer.from(event));
      this.#inner.onResponseEnd?.(controller, {});
    } else this.#inner.onResponseError?.(controller, new AnswerRefused(refusal));
    this.#controller?.abort(new Error(refusal.message));
  }

  #finish(): void {
    this.#done = true;
    clearTimeout(this.#timer);
  }
}

/** @returns undefined where the text is no JSON; the same text where nothing changed */
function rewritten(text: string, rewrite: (message: Json) => Json): string | undefined {
  let value: unknown;
  try {
    value = parseJson(text);
  } catch {
    return undefined;
  }
  // Servers of 2025-03-26 may answer with a batch.
  if (Array.isArray(value)) {
    const all = value.map((message: unknown) => (isRecord(message) ? rewrite(message) : message));
    return all.every((message, index) => message === (value as unknown[])[index]) ? text : writeJson(all);
  }
  if (!isRecord(value)) return text;
  const after = rewrite(value);
  return after === value ? text : writeJson(after);
}

const UNREADABLE: Refusal = {
  status: 502,
  reason: 'upstream_unreachable',
  message: 'the MCP server answered in a form that the policy cannot read',
  fix: 'it must answer lists with application/json or text/event-stream, without Content-Encoding',
};
