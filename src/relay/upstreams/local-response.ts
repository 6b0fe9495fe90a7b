import type { Dispatcher } from 'undici';
import type { Budget, Hold } from '../gate/budgets/budgets.ts';
import { writeJson } from '../protocol/json.ts';
import type { ResponseHandler } from '../protocol/response-handler.ts';
import { guarded } from './guarded-handler.ts';

type Json = Record<string, unknown>;

/**
 * A response of a server that runs in this process, given to whoever reads the responses of the others: JSON where the answer
 * is all there is, an event stream from the first message that comes before it.
 */
export class LocalResponse implements Dispatcher.DispatchController {
  readonly #handler: ResponseHandler;
  readonly #limit: number;
  readonly #ended = new AbortController();
  #streaming = false;
  #paused = false;
  #done = false;
  #complete = false;
  #waiting: string[] = [];
  /** What of it leaves next, the first at the end: taken from its front, a long list would be moved each time. */
  #leaving: string[] = [];
  #held = 0;
  readonly #budget: Budget;
  /** Of what waits. */
  #hold: Hold | undefined;
  /** Header fields of the response beside its type. */
  readonly headers: Record<string, string> = {};

  /**
   * @param limit characters that may wait for a reader that takes nothing for now; more ends the response
   * @param budget of the reader, over all that waits for it
   */
  constructor(handler: ResponseHandler, limit: number, budget: Budget) {
    this.#budget = budget;
    this.#handler = guarded(handler);
    this.#limit = limit;
    this.#handler.onRequestStart?.(this, {});
  }

  /** Aborted when the reader wants no more. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  get aborted(): boolean {
    return this.#ended.signal.aborted;
  }

  get reason(): Error | null {
    return this.aborted ? (this.#ended.signal.reason as Error) : null;
  }

  get paused(): boolean {
    return this.#paused;
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    while (!this.#paused && this.#waits) {
      if (this.#leaving.length === 0) [this.#leaving, this.#waiting] = [this.#waiting.reverse(), []];
      const text = this.#leaving.pop() as string;
      this.#held -= text.length;
      this.#hold?.reduce({ keptBytes: text.length });
      this.#write(text);
    }
    if (!this.#paused && this.#complete) this.#end();
  }

  abort(reason: Error): void {
    if (this.#done) return;
    this.#done = true;
    this.#drop();
    this.#ended.abort(reason);
    this.#handler.onResponseError?.(this, reason);
  }

  /** A response without a message. */
  status(status: number): void {
    this.begin(status, {});
    this.finish();
  }

  /** All that a status can say is known: only the server's answer is waited for now. */
  underWay(): void {
    if (!this.#done) this.#handler.onUnderWay?.();
  }

  /** Opens the event stream before there is anything to say. */
  stream(): void {
    if (this.#streaming || this.#done) return;
    this.#streaming = true;
    this.begin(200, { 'content-type': 'text/event-stream' });
  }

  /** One message before the answer. */
  event(message: Json): void {
    this.stream();
    this.write(`data: ${writeJson(message)}\n\n`);
  }

  /** The answer. @param status where it is not part of a stream */
  answer(message: Json, status = 200): void {
    if (this.#streaming) this.event(message);
    else this.#whole(message, status);
    this.finish();
  }

  #whole(message: Json, status: number): void {
    const text = writeJson(message);
    this.begin(status, { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) });
    this.write(text);
  }

  /** The head of a response, whose body comes by `write` and ends by `finish`. */
  begin(status: number, headers: Record<string, string>): void {
    if (!this.#done) this.#handler.onResponseStart?.(this, status, { ...this.headers, ...headers });
  }

  /** A piece of the body. */
  write(text: string): void {
    if (!this.#paused) return void this.#write(text);
    this.#held += text.length;
    if ((this.#held > this.#limit && this.#waits) || !this.#mayKeep(text.length))
      return void this.abort(new Error('the client does not read'));
    this.#waiting.push(text);
  }

  get #waits(): boolean {
    return this.#leaving.length + this.#waiting.length > 0;
  }

  #mayKeep(keptBytes: number): boolean {
    if (this.#hold !== undefined) return this.#hold.add({ keptBytes }) === undefined;
    const hold = this.#budget.take({ keptBytes });
    if ('status' in hold) return false;
    this.#hold = hold;
    return true;
  }

  /** What waits is no longer wanted. */
  #drop(): void {
    this.#waiting = [];
    this.#leaving = [];
    this.#hold?.release();
  }

  #write(text: string): void {
    if (!this.#done) this.#handler.onResponseData?.(this, Buffer.from(text));
  }

  finish(): void {
    this.#complete = true;
    if (!this.#paused) this.#end();
  }

  #end(): void {
    if (this.#done) return;
    this.#done = true;
    this.#drop();
    this.#handler.onResponseEnd?.(this, {});
    // What still goes on for this response ends with it.
    this.#ended.abort(new Error('the response is over'));
  }
}
