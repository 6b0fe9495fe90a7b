import type { Dispatcher } from 'undici';

/** What takes a response. */
export interface ResponseHandler extends Dispatcher.DispatchHandler {
  /** Told by a server in this process: only the answer is waited for now, however long that takes. */
  onUnderWay?(): void;
}
