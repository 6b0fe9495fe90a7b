import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { ResponseHandler } from '../protocol/response-handler.ts';

/**
 * Passes a response on, event by event; what stands between overrides the events that it changes, or `pass` for all of them.
 * (undici's own `DecoratorHandler` is deprecated, and asserts that a response begins once: informational ones begin it too.)
 */
export class PassingHandler implements ResponseHandler {
  protected readonly inner: ResponseHandler;

  constructor(inner: ResponseHandler) {
    this.inner = inner;
  }

  protected pass(_controller: Dispatcher.DispatchController, work: () => void): void {
    work();
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    this.pass(controller, () => this.inner.onRequestStart?.(controller, context));
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
    this.pass(controller, () => this.inner.onResponseStart?.(controller, status, headers, text));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.pass(controller, () => this.inner.onResponseData?.(controller, chunk));
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.pass(controller, () => this.inner.onResponseEnd?.(controller, trailers));
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    this.pass(controller, () => this.inner.onResponseError?.(controller, error));
  }
}
