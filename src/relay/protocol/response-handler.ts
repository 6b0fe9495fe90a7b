import type { Dispatcher } from 'undici';
import type { Json } from './json-rpc.ts';

/** Takes a message of a response in the place of its bytes. */
export type TakeMessage = (controller: Dispatcher.DispatchController, message: Json) => void;

/** What takes a response. */
export interface ResponseHandler extends Dispatcher.DispatchHandler {
  /** Absent: it takes bytes only. */
  readonly onResponseMessage?: TakeMessage | undefined;
  /** Told by a server in this process: only the answer is waited for now, however long that takes. */
  onUnderWay?(): void;
}
