import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { Fields, Outgoing } from '../credentials/credential.ts';
import type { OutgoingHeaders } from '../credentials/outgoing-headers.ts';
import { type Refusal, RefusedError, refusalOf } from '../refusal.ts';
import { EndableHandler } from './passing-handler.ts';

type Send = (headers: string[], handler: Dispatcher.DispatchHandler) => void;

/** Stands in where no connection is: there is nothing to pause or to end. */
export const NO_CONNECTION: Dispatcher.DispatchController = {
  aborted: true,
  paused: false,
  reason: null,
  abort: () => {},
  pause: () => {},
  resume: () => {},
};

/**
 * One request with the headers that its server wants, perhaps waited for; sent once more where the server refuses a
 * credential that can be renewed. `handler` sees one answer, or one error.
 */
export class AuthorizedDispatch {
  readonly #outgoing: OutgoingHeaders;
  readonly #request: Outgoing & { readonly headers: string[] };
  readonly #send: Send;
  readonly #handler: Dispatcher.DispatchHandler;

  constructor(
    outgoing: OutgoingHeaders,
    request: Outgoing & { readonly headers: string[] },
    send: Send,
    handler: Dispatcher.DispatchHandler,
  ) {
    this.#outgoing = outgoing;
    this.#request = request;
    this.#send = send;
    this.#handler = handler;
  }

  begin(): void {
    try {
      const fields = this.#outgoing.fields(this.#request);
      if (fields instanceof Promise) void this.#later(fields, false);
      else this.#go(fields, false);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #later(wanted: Promise<Fields | Refusal | undefined>, again: boolean): Promise<void> {
    try {
      const fields = await wanted;
      if (fields === undefined) this.#pass401();
      else this.#go(fields, again);
    } catch (error) {
      this.#fail(error);
    }
  }

  #go(fields: Fields | Refusal, again: boolean): void {
    if ('status' in fields) throw new RefusedError(fields);
    const { headers } = this.#request;
    const handler = this.#outgoing.renews
      ? new Watched(this.#handler, () => this.#refused(fields, again))
      : this.#handler;
    this.#send([...headers, ...fields], handler);
  }

  #refused(fields: Fields, again: boolean): void {
    const wanted = this.#outgoing.renew(this.#request, fields, again);
    // The second answer stands, whatever more there might be to try.
    void this.#later(
      again ? wanted.then((found) => (found !== undefined && 'status' in found ? found : undefined)) : wanted,
      true,
    );
  }

  #fail(error: unknown): void {
    const refused = error instanceof RefusedError ? error : new RefusedError(refusalOf(error), error);
    this.#handler.onResponseError?.(NO_CONNECTION, refused);
  }

  #pass401(): void {
    this.#handler.onResponseStart?.(NO_CONNECTION, 401, {});
    this.#handler.onResponseEnd?.(NO_CONNECTION, {});
  }
}

/** Passes an answer on, but for a 401, which it reports instead. */
class Watched extends EndableHandler {
  readonly #refused: () => void;

  constructor(inner: Dispatcher.DispatchHandler, refused: () => void) {
    super(inner);
    this.#refused = refused;
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    if (status !== 401) return void super.onResponseStart(controller, status, headers, text);
    this.over = true;
    controller.abort(new Error('the server wants another credential'));
    this.#refused();
  }
}
