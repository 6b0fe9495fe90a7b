import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { type Dispatcher, errors } from 'undici';
import type { HoldBytes } from '../gate/budgets/held-bytes.ts';
import { AnswerRefused } from '../gate/response-guard.ts';
import { EventBoundary } from '../protocol/event-boundary.ts';
import { isEventStream } from '../protocol/media-type.ts';
import { type Refusal, RefusedError } from '../refusal.ts';
import { ServerNotStarted } from './pipes/server-not-started.ts';
import { isRefusing } from './refusal-reason.ts';
import { clientResponseHeaders } from './response-headers.ts';
import { BufferedBody, statusOfNothing, UnwantedBody, useOfBody } from './unasked-answer.ts';

/** Why a response is no longer read. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';

  constructor() {
    super('the client is gone');
  }
}

/** How a relayed request ended: the `outcome` label of `postern_relay_requests_total`. */
export type Outcome =
  | 'relayed'
  | 'client_gone'
  | 'refused'
  | 'stream_ended'
  | 'upstream_cut'
  | 'upstream_refused'
  | 'upstream_unreachable'
  | 'upstream_timeout'
  | 'answer_refused';

export interface RelayEvents {
  /** Whether the client waits for an answer to its message. */
  readonly expectsAnswer: boolean;
  seal(upstreamId: string): string;
  /** Counts what is held of the answer, until the response is closed. */
  readonly holds?: HoldBytes;
  /** Nothing was sent yet: answer with this. `asked`: the server was asked before. */
  refuse(refusal: Refusal, asked: boolean): void;
  /** @param end ends the stream, and the request at the server */
  streamOpened(end: () => void): void;
  streamClosed(): void;
  /** The server sent response headers. */
  answered(): void;
  /** Called once, after everything else. */
  ended(outcome: Outcome, error?: Error): void;
}

export interface StreamTimes {
  /** Milliseconds of silence after which a comment line keeps proxies from closing the stream. */
  readonly keepAlive: number;
  /** Milliseconds that a client may leave a full stream unread. */
  readonly stalled: number;
}

/** Passes one response on as it comes: nothing is collected, and a slow reader slows the server down. */
export class ResponseRelay implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #events: RelayEvents;
  readonly #times: StreamTimes;
  #controller: Dispatcher.DispatchController | undefined;
  #boundary: EventBoundary | undefined;
  #keepAlive: NodeJS.Timeout | undefined;
  #stalled: NodeJS.Timeout | undefined;
  #awaited = -1;
  #unwanted: UnwantedBody | undefined;
  #held: { readonly body: BufferedBody; start(): void; answerNothing(): void } | undefined;
  #done = false;

  constructor(response: ServerResponse, events: RelayEvents, times: StreamTimes) {
    this.#response = response;
    this.#events = events;
    this.#times = times;
    response.on('close', () => this.#clientGone());
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#done) controller.abort(new ClientGone());
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#done) return;
    this.#events.answered();
    const { expectsAnswer } = this.#events;
    const use = useOfBody(status, headers, expectsAnswer);
    const refusal =
      refusedAnswer(status) ?? (use === 'answer' ? pageAnswer(status, headers['content-type']) : undefined);
    if (refusal !== undefined) {
      this.#events.refuse(refusal, true);
      this.#end('upstream_refused');
      controller.abort(new Error(refusal.message));
      return;
    }
    const answerNothing = () => this.#answerNothing(status, headers);
    if (use === 'nothing') answerNothing();
    else if (use === 'answer') this.#start(status, headers);
    else this.#held = { body: new BufferedBody(), start: () => this.#start(status, headers), answerNothing };
  }

  #start(status: number, headers: IncomingHttpHeaders): void {
    const stream = isEventStream(headers['content-type']);
    this.#response.writeHead(
      status,
      clientResponseHeaders(headers, stream, (id) => this.#events.seal(id)),
    );
    if (stream) this.#openStream(headers['content-encoding'] === undefined);
    else this.#awaited = Number(headers['content-length'] ?? -1);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    if (this.#unwanted !== undefined) {
      if (!this.#unwanted.push(chunk)) return;
      this.#end('relayed');
      controller.abort(new Error('the rest of this body is not wanted'));
      return;
    }
    const held = this.#held;
    if (held !== undefined) {
      if (!held.body.push(chunk)) return;
      this.#held = undefined;
      held.start();
      this.#pass(controller, held.body.bytes);
      return;
    }
    this.#pass(controller, chunk);
  }

  #pass(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#boundary?.push(chunk);
    this.#keepAlive?.refresh();
    // The whole body in one piece, as most answers are: head and body leave in one write.
    if (chunk.length === this.#awaited) {
      this.#response.end(chunk);
      return;
    }
    this.#awaited = -1;
    if (this.#response.write(chunk)) return;
    controller.pause();
    // What was read already comes all the same; a second timer would outlive the reader's pause and cut the stream.
    if (this.#stalled !== undefined) return;
    this.#stalled = setTimeout(() => this.#response.destroy(), this.#times.stalled);
    this.#response.once('drain', () => {
      clearTimeout(this.#stalled);
      this.#stalled = undefined;
      controller.resume();
    });
  }

  onResponseEnd(): void {
    if (this.#done) return;
    this.#held?.answerNothing();
    this.#end('relayed');
    if (!this.#response.writableEnded) this.#response.end();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#done) return;
    if (this.#response.headersSent) {
      this.#end('upstream_cut', error);
      // RFC 9112 §8: an incomplete message must look incomplete, so the connection is cut and not ended.
      this.#response.destroy();
      return;
    }
    if (error instanceof RefusedError) {
      this.#events.refuse(error.refusal, false);
      this.#end('refused', error);
      return;
    }
    if (error instanceof AnswerRefused) {
      this.#events.refuse(error.refusal, true);
      this.#end('answer_refused');
      return;
    }
    const late = error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError;
    this.#events.refuse(late ? TIMEOUT : unreachable(error), true);
    this.#end(late ? 'upstream_timeout' : 'upstream_unreachable', error);
  }

  /** The body is not for the client, nor what describes it. */
  #answerNothing(status: number, headers: IncomingHttpHeaders): void {
    this.#held = undefined;
    this.#unwanted = new UnwantedBody();
    const { 'content-type': _type, 'content-length': _length, 'content-encoding': _encoding, ...others } = headers;
    const { method } = this.#response.req;
    this.#response.writeHead(
      statusOfNothing(status, method, this.#events.expectsAnswer),
      clientResponseHeaders(others, false, (id) => this.#events.seal(id)),
    );
    this.#response.end();
  }

  #openStream(plainText: boolean): void {
    this.#response.flushHeaders();
    this.#events.streamOpened(() => this.#cutOff());
    if (!plainText) {
      this.#boundary = new EventBoundary();
      return;
    }
    const boundary = new EventBoundary();
    this.#boundary = boundary;
    this.#keepAlive = setInterval(() => {
      if (boundary.between && this.#stalled === undefined) this.#response.write(': keep-alive\n\n');
    }, this.#times.keepAlive);
  }

  #clientGone(): void {
    if (this.#done) return;
    // The last piece may have been sent while the server's end of message is still to be read.
    if (this.#response.writableFinished) return;
    this.#end('client_gone');
    this.#controller?.abort(new ClientGone());
  }

  /** Between two events it ends as any stream may; within one it must look cut. */
  #cutOff(): void {
    if (this.#done) return;
    this.#end('stream_ended');
    this.#controller?.abort(new Error('the stream was ended'));
    if (this.#keepAlive !== undefined && this.#boundary?.between === true) this.#response.end();
    else this.#response.destroy();
  }

  #end(outcome: Outcome, error?: Error): void {
    this.#done = true;
    clearInterval(this.#keepAlive);
    clearTimeout(this.#stalled);
    if (this.#boundary !== undefined) this.#events.streamClosed();
    this.#events.ended(outcome, error);
  }
}

/** What to say instead of an answer that is not for the client. */
export function refusedAnswer(status: number): Refusal | undefined {
  if (isRefusing(status))
    return {
      status: 502,
      reason: 'upstream_credentials',
      message:
        status === 401
          ? "the MCP server refused the relay's credentials for it: tell the operator"
          : 'the MCP server refused this request (403): tell the operator, who finds its reason in the log',
      fix: `the MCP server answered ${status}: the line "an MCP server refused a request of the relay" has its reason; give it the credentials it wants, or let it trust the relay`,
    };
  if (status >= 300 && status < 400)
    return {
      status: 502,
      reason: 'upstream_redirect',
      message: 'the MCP server answered with a redirect, which is not followed',
      fix: `the MCP server answered ${status}: set the final address, often one with or without a trailing slash, as its url`,
    };
  return undefined;
}

/** A page is for people: what stands in front of the server shows it, or a program that fails, and it may say too much. */
function pageAnswer(status: number, type: string | undefined): Refusal | undefined {
  if (type === undefined || !/^(text\/html|application\/xhtml\+xml)\b/i.test(type)) return undefined;
  return {
    // What the protocol says by status stays said: 404 of a session, 405 of a stream.
    status: status >= 400 && status < 500 ? status : 502,
    reason: 'upstream_page',
    message: 'the MCP server answered with a page instead of a message',
    fix: `the MCP server answered ${status} with ${type}: its url must be the MCP endpoint itself, and nothing before it may show pages`,
  };
}

export const TIMEOUT: Refusal = {
  status: 504,
  reason: 'upstream_timeout',
  message: 'the MCP server did not answer in time',
};

/** What to say of a server that gave no answer. */
export function unreachable(error: unknown): Refusal {
  const message = error instanceof ServerNotStarted ? error.message : 'the MCP server cannot be reached';
  return { status: 502, reason: 'upstream_unreachable', message };
}
