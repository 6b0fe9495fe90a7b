import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { errorType, within } from '../../platform/tracing/current-span.ts';
import type { Span } from '../../platform/tracing/span.ts';
import { PassingHandler } from './passing-handler.ts';
import { ClientGone } from './response-relay.ts';

/** Passes an answer on, and ends the span with it. What the reader does belongs to `outer`, whosever connection it came by. */
export class TracedHandler extends PassingHandler {
  readonly #span: Span;
  readonly #outer: Span;

  constructor(inner: Dispatcher.DispatchHandler, span: Span, outer: Span) {
    super(inner);
    this.#span = span;
    this.#outer = outer;
  }

  override onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    within(this.#outer, () => super.onRequestStart(controller, context));
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    this.#span.set({ 'http.response.status_code': status });
    // By 405 a server says that it has no such stream, which it may.
    if (status >= 400 && status !== 405) this.#span.failed(String(status));
    within(this.#outer, () => super.onResponseStart(controller, status, headers, text));
  }

  override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    within(this.#outer, () => super.onResponseData(controller, chunk));
  }

  override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#span.end();
    within(this.#outer, () => super.onResponseEnd(controller, trailers));
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (!(error instanceof ClientGone)) this.#span.failed(errorType(error));
    this.#span.end();
    within(this.#outer, () => super.onResponseError(controller, error));
  }
}
