import { isUtf8 } from 'node:buffer';
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { withEscapedLineEnds } from '../protocol/escaped-line-ends.ts';
import { EventRewriter } from '../protocol/event-rewriter.ts';
import { Cancelled } from '../protocol/failures.ts';
import { writeJson } from '../protocol/json.ts';
import { exactMediaType, isEventStream, isJson } from '../protocol/media-type.ts';
import type { ResponseHandler } from '../protocol/response-handler.ts';
import type { Refusal } from '../refusal.ts';
import type { HoldBytes } from './budgets/held-bytes.ts';
import { answerTooLarge, UNREADABLE } from './denials.ts';
import { AnswerRefused, type ResponseGuard } from './response-guard.ts';

interface Head {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly statusMessage: string | undefined;
}

/**
 * Takes the bytes of one response through the guard. JSON is held until it is whole, event streams go on event by event, and what
 * nobody has to read as it comes.
 */
export class GuardedResponse implements ResponseHandler {
  readonly #inner: ResponseHandler;
  readonly #guard: ResponseGuard;
  readonly #holds: HoldBytes;
  #controller: Dispatcher.DispatchController | undefined;
  #head: Head | undefined;
  #held: Buffer[] | undefined;
  #events: EventRewriter | undefined;
  #isStream = false;
  #withoutBody = false;
  #started = false;
  #size = 0;
  #done = false;

  /** @param holds counts what is held of the response, until its client has it */
  constructor(inner: ResponseHandler, guard: ResponseGuard, holds: HoldBytes = () => undefined) {
    this.#inner = inner;
    this.#holds = holds;
    this.#guard = guard;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.#controller = controller;
    this.#guard.start((refusal) => this.#refuse(controller, refusal));
    this.#inner.onRequestStart?.(controller, context);
  }

  onUnderWay(): void {
    this.#inner.onUnderWay?.();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    statusMessage?: string,
  ): void {
    if (status < 200 || this.#done) return;
    this.#head = { status, headers, statusMessage };
    this.#isStream = isEventStream(headers['content-type']);
    const { maxBytes } = this.#guard;
    if (Number(headers['content-length'] ?? 0) > (maxBytes ?? Number.POSITIVE_INFINITY))
      return void this.#refuse(controller, answerTooLarge(maxBytes as number));
    const reads = this.#reads(status, headers);
    if (reads === 'refuse') return void this.#refuse(controller, UNREADABLE);
    if (reads === 'stream')
      this.#events = new EventRewriter(this.#guard.maxMessage, (data, bytes) => this.#event(data, bytes));
    else if (reads === 'json') this.#held = [];
    else if (reads === 'head') this.#withoutBody = true;
    if (this.#held === undefined) this.#start(controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    if (this.#withoutBody) return;
    this.#size += chunk.length;
    this.#attempt(controller, () => {
      this.#guard.count(chunk.length);
      if (this.#held !== undefined) {
        this.#held.push(chunk);
        this.#hold(this.#size);
        if (this.#size > this.#guard.maxMessage) this.#tooMuch(controller, Buffer.concat(this.#held));
        return;
      }
      if (this.#events === undefined) return void this.#inner.onResponseData?.(controller, chunk);
      const passing = this.#events.push(chunk);
      if (passing.length > 0) this.#inner.onResponseData?.(controller, passing);
      this.#hold(this.#events.pending);
      if (this.#events.overflows) this.#tooMuch(controller, this.#events.rest());
    });
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (this.#done) return;
    const held = this.#held;
    this.#attempt(controller, () => {
      if (held !== undefined) {
        const body = this.#body(Buffer.concat(held));
        this.#start(controller, body.length);
        if (body.length > 0) this.#inner.onResponseData?.(controller, body);
      }
      this.#finish();
      this.#inner.onResponseEnd?.(controller, trailers);
    });
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#done) return;
    this.#finish();
    this.#inner.onResponseError?.(controller, error);
  }

  /** What becomes of the body. An encoding was not asked for, and hides what is in it and how much. */
  #reads(status: number, headers: IncomingHttpHeaders): 'json' | 'stream' | 'pass' | 'head' | 'refuse' {
    // What the relay answers itself in their place.
    if (status === 401 || status === 403 || (status >= 300 && status < 400)) return 'pass';
    const type = headers['content-type'];
    const encoded = (headers['content-encoding'] ?? 'identity') !== 'identity';
    if (!this.#guard.strict) return encoded ? 'pass' : this.#isStream ? 'stream' : isJson(type) ? 'json' : 'pass';
    if (encoded) return 'refuse';
    const exact = exactMediaType(type);
    if (exact === 'json' || exact === 'stream') return exact;
    if (status >= 300) return 'pass';
    if (exact === 'similar' || (this.#guard.awaitsAnswer && status !== 202 && status !== 204)) return 'refuse';
    // Nothing that a client asked for, and some read what a GET brings as a stream, whatever its type says.
    return 'head';
  }

  #event(data: string, bytes: Buffer): string | undefined {
    if (data === '') return data;
    if (this.#guard.strict && !isUtf8(bytes)) {
      if (this.#guard.awaitsAnswer) throw new AnswerRefused(UNREADABLE);
      return undefined;
    }
    const passing = this.#guard.passText(data);
    return passing === undefined || !this.#guard.strict ? passing : withEscapedLineEnds(passing);
  }

  /** @throws AnswerRefused where the request is not answered by it */
  #body(body: Buffer): Buffer {
    if (body.length === 0) return body;
    const { status } = this.#head as Head;
    const refuse = (refusal: Refusal) => {
      // What the protocol says by status stays said: 404 of a session, 405 of a stream.
      throw new AnswerRefused(status >= 400 ? { ...refusal, status } : refusal);
    };
    const { strict, awaitsAnswer } = this.#guard;
    if (strict && !isUtf8(body)) return refuse(UNREADABLE);
    const before = body.toString();
    const after = this.#guard.passText(before);
    if (after === undefined && awaitsAnswer) return refuse(this.#guard.unanswered);
    return after === before ? body : Buffer.from(after ?? '');
  }

  /** Larger than what is read: where nobody has to read it, it goes on as it comes. */
  #tooMuch(controller: Dispatcher.DispatchController, held: Buffer): void {
    if (this.#guard.strict) throw new AnswerRefused(answerTooLarge(this.#guard.maxMessage));
    if (!this.#started) this.#start(controller);
    this.#held = undefined;
    this.#events = undefined;
    this.#inner.onResponseData?.(controller, held);
  }

  #start(controller: Dispatcher.DispatchController, length?: number): void {
    const { status, headers, statusMessage } = this.#head as Head;
    const own = { ...headers };
    if (this.#withoutBody) delete own['content-length'];
    else if (length !== undefined) own['content-length'] = String(length);
    this.#started = true;
    this.#inner.onResponseStart?.(controller, status, own, statusMessage);
  }

  /** @throws AnswerRefused where the client's budget is spent */
  #hold(bytes: number): void {
    const spent = this.#holds(bytes);
    if (spent !== undefined) throw new AnswerRefused(spent);
  }

  #attempt(controller: Dispatcher.DispatchController, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof AnswerRefused)) throw error;
      this.#refuse(controller, error.refusal);
    }
  }

  /** An open stream can say why it ends; before it, the refusal is the answer. */
  #refuse(controller: Dispatcher.DispatchController, refusal: Refusal): void {
    if (this.#done) return;
    this.#finish();
    if (this.#started && this.#isStream) {
      const event = `data: ${writeJson(this.#guard.errorOf(refusal))}\n\n`;
      this.#inner.onResponseData?.(controller, Buffer.from(event));
      this.#inner.onResponseEnd?.(controller, {});
    } else this.#inner.onResponseError?.(controller, new AnswerRefused(refusal));
    this.#controller?.abort(new Cancelled(refusal.message));
  }

  #finish(): void {
    this.#done = true;
    if (this.#isStream) this.#holds(0);
    this.#guard.end();
  }
}
