import type { Dispatcher } from 'undici';
import { Cancelled } from '../protocol/failures.ts';
import { PassingHandler } from './passing-handler.ts';

/** Passes a response on, and reports if its request is taken back: it came to no answer in time, or passed a limit. */
export class CancellingHandler extends PassingHandler {
  readonly #onCancelled: (cancelled: Cancelled) => void;

  constructor(inner: Dispatcher.DispatchHandler, onCancelled: (cancelled: Cancelled) => void) {
    super(inner);
    this.#onCancelled = onCancelled;
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    super.onResponseError(controller, error);
    const cancelled = Cancelled.by(error);
    if (cancelled !== undefined) this.#onCancelled(cancelled);
  }
}
