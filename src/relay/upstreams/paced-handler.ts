import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { Pace } from './pace.ts';
import { PassingHandler } from './passing-handler.ts';

/** Bytes of a body that are passed on without being timed: nearly every answer is smaller. */
const FREE = 256 * 1024;

/** Holds a response that does not end to its share of the event loop, however fast the client reads it. */
export class PacedHandler extends PassingHandler {
  #controller: PacedController | undefined;
  #pace: Pace | undefined;
  #size = 0;

  override onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    super.onRequestStart(this.#of(controller), context);
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    super.onResponseStart(this.#of(controller), status, headers, text);
  }

  override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const own = this.#of(controller);
    this.#size += chunk.length;
    if (this.#size <= FREE) return void super.onResponseData(own, chunk);
    this.#pace ??= new Pace({ pause: () => own.hold(), resume: () => own.release() });
    this.#pace.run(() => super.onResponseData(own, chunk));
  }

  override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#pace?.stop();
    super.onResponseEnd(this.#of(controller), trailers);
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#pace?.stop();
    super.onResponseError(this.#of(controller), error);
  }

  #of(controller: Dispatcher.DispatchController): PacedController {
    if (this.#controller?.inner !== controller) this.#controller = new PacedController(controller);
    return this.#controller;
  }
}

/** Paused by the taker of the response, or by its pace: it goes on where neither wants it to wait. */
class PacedController implements Dispatcher.DispatchController {
  readonly inner: Dispatcher.DispatchController;
  #pausedByTaker = false;
  #held = false;

  constructor(inner: Dispatcher.DispatchController) {
    this.inner = inner;
  }

  get aborted(): boolean {
    return this.inner.aborted;
  }

  get reason(): Error | null {
    return this.inner.reason;
  }

  get paused(): boolean {
    return this.#pausedByTaker;
  }

  abort(reason: Error): void {
    this.inner.abort(reason);
  }

  pause(): void {
    this.#pausedByTaker = true;
    this.inner.pause();
  }

  resume(): void {
    this.#pausedByTaker = false;
    if (!this.#held) this.inner.resume();
  }

  hold(): void {
    this.#held = true;
    this.inner.pause();
  }

  release(): void {
    this.#held = false;
    if (!this.#pausedByTaker) this.inner.resume();
  }
}
