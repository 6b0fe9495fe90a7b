import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { errorType, within } from '../../platform/tracing/current-span.ts';
import type { Span } from '../../platform/tracing/span.ts';

/** Passes an answer on, and ends the span with it. What the reader does belongs to `outer`, whosever connection it came by. */
export class TracedHandler implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #span: Span;
  readonly #outer: Span;

  constructor(handler: Dispatcher.DispatchHandler, span: Span, outer: Span) {
    this.#handler = handler;
    this.#span = span;
    this.#outer = outer;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    within(this.#outer, () => this.#handler.onRequestStart?.(controller, context));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    this.#span.set({ 'http.response.status_code': status });
    // By 405 a server says that it has no such stream, which it may.
    if (status >= 400 && status !== 405) this.#span.failed(String(status));
    within(this.#outer, () => this.#handler.onResponseStart?.(controller, status, headers, text));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    within(this.#outer, () => this.#handler.onResponseData?.(controller, chunk));
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#span.end();
    within(this.#outer, () => this.#handler.onResponseEnd?.(controller, trailers));
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.#span.failed(errorType(error));
    this.#span.end();
    within(this.#outer, () => this.#handler.onResponseError?.(controller, error));
  }
}
