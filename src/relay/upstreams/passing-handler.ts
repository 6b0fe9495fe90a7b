import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { ResponseHandler } from '../protocol/response-handler.ts';

/**
 * Passes a response on, event by event; what stands between overrides the events that it changes. Several stand on the way of every
 * response, so none makes anything of its own for an event.
 * (undici's own `DecoratorHandler` is deprecated, and asserts that a response begins once: informational ones begin it too.)
 */
export class PassingHandler implements ResponseHandler {
  protected readonly inner: ResponseHandler;

  constructor(inner: ResponseHandler) {
    this.inner = inner;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.inner.onRequestStart?.(controller, context);
  }

  onUnderWay(): void {
    this.inner.onUnderWay?.();
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    this.inner.onResponseStart?.(controller, status, headers, text);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.inner.onResponseData?.(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.inner.onResponseEnd?.(controller, trailers);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.inner.onResponseError?.(controller, error);
  }
}

/** The same, until its taker is to hear no more of the response. */
export class EndableHandler extends PassingHandler {
  protected over = false;

  override onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    if (!this.over) super.onRequestStart(controller, context);
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    if (!this.over) super.onResponseStart(controller, status, headers, text);
  }

  override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.over) super.onResponseData(controller, chunk);
  }

  override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (!this.over) super.onResponseEnd(controller, trailers);
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.over) super.onResponseError(controller, error);
  }
}
