import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { ResponseHandler } from '../protocol/response-handler.ts';
import { EndableHandler } from './passing-handler.ts';

/**
 * Stands between what brings a response and what takes it. A taker sees each header name once, as one text, and nothing after the
 * end; what it throws becomes the error of that one response, however late the callback comes and whoever calls it.
 */
export function guarded(handler: ResponseHandler): ResponseHandler {
  return handler instanceof GuardedHandler ? handler : new GuardedHandler(handler);
}

class GuardedHandler extends EndableHandler {
  override onRequestStart(controller: Dispatcher.DispatchController, context: unknown): void {
    try {
      super.onRequestStart(controller, context);
    } catch (error) {
      this.#fail(controller, error as Error);
    }
  }

  override onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
    text?: string,
  ): void {
    // Before its headers are judged, which may fail.
    if (this.over) return;
    try {
      super.onResponseStart(controller, status, withSingleFields(headers), text);
    } catch (error) {
      this.#fail(controller, error as Error);
    }
  }

  override onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    try {
      super.onResponseData(controller, chunk);
    } catch (error) {
      this.#fail(controller, error as Error);
    }
  }

  override onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    try {
      super.onResponseEnd(controller, trailers);
    } catch (error) {
      this.#fail(controller, error as Error);
    }
    this.over = true;
  }

  override onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (this.over) return;
    this.over = true;
    this.inner.onResponseError?.(controller, error);
  }

  #fail(controller: Dispatcher.DispatchController, error: Error): void {
    this.onResponseError(controller, error);
    controller.abort(error);
  }
}

/** Fields that are lists by their definition: several lines of them are one (RFC 9110 §5.3). */
const LISTS: ReadonlySet<string> = new Set(['allow', 'cache-control', 'content-encoding', 'vary', 'www-authenticate']);

/** A field that may stand once and stands there twice with two values. */
export class RepeatedField extends Error {
  override readonly name = 'RepeatedField';

  constructor(field: string) {
    super(`the MCP server answered with more than one ${field}`);
  }
}

/** @throws RepeatedField */
function withSingleFields(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  let single: IncomingHttpHeaders | undefined;
  for (const name in headers) {
    const value: unknown = headers[name];
    if (!Array.isArray(value)) continue;
    single ??= { ...headers };
    const all = new Set(value as string[]);
    if (LISTS.has(name)) single[name] = [...all].join(', ');
    else if (all.size <= 1) single[name] = value[0];
    // Several cookies are no fault, and go nowhere.
    else if (name === 'set-cookie') delete single[name];
    else if (SINGLE.has(name) || name.startsWith('mcp-')) throw new RepeatedField(name);
    else single[name] = [...all].join(', ');
  }
  return single ?? headers;
}

/** Of what a client learns or the relay goes by, that which is one value. */
const SINGLE: ReadonlySet<string> = new Set(['content-type', 'content-length', 'retry-after', 'location']);
