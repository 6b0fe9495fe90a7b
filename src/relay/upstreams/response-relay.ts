import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { type Dispatcher, errors } from 'undici';
import type { HoldBytes } from '../gate/budgets/held-bytes.ts';
import { AnswerRefused } from '../gate/response-guard.ts';
import { EventBoundary } from '../protocol/event-boundary.ts';
import { Cancelled } from '../protocol/failures.ts';
import { isEventStream, isJson } from '../protocol/media-type.ts';
import type { ResponseHandler } from '../protocol/response-handler.ts';
import { type Refusal, RefusedError } from '../refusal.ts';
import { JsonEvent } from './json-event.ts';
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
  /** Whether the answer may come as a stream that is open before the server has said anything. */
  readonly mayStreamEarly: boolean;
  seal(upstreamId: string): string;
  /** Counts what is held of the answer, until the response is closed. */
  readonly holds?: HoldBytes;
  /** No answer was sent yet: answer with this. `asked`: the server was asked before. */
  refuse(refusal: Refusal, asked: boolean): void;
  /** @param end ends the stream, and the request at the server */
  streamOpened(end: () => void): void;
  streamClosed(): void;
  /** The server sent response headers. */
  answered(): void;
  /** Called once, after everything else. */
  ended(outcome: Outcome, error?: Error): void;
}

/** Milliseconds of a server's silence after which its response is begun as a stream, so that nothing between takes it for dead. */
export interface SilenceTimes {
  /** If the relay itself answers, in the place of the server, and waits for nothing but its answer. */
  readonly own: number;
  /** If the response of the server goes on as it is: what its status and headers say is lost then. */
  readonly passed: number;
}

export interface StreamTimes {
  readonly silence: SilenceTimes;
  /** Milliseconds of silence after which a comment line keeps proxies from closing the stream. */
  readonly keepAlive: number;
  /** Milliseconds that a client may leave a full stream unread. */
  readonly stalled: number;
}

/**
 * Passes one response on as it comes: nothing is collected, and a slow reader slows the server down. If a server is silent for long,
 * the response is begun as an event stream, and whatever comes is an event of it.
 */
export class ResponseRelay implements ResponseHandler {
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
  #silence: NodeJS.Timeout | undefined;
  /** The stream was begun without the server, which has begun no response yet. */
  #early = false;
  /** An answer as JSON, in a stream that was begun without it. */
  #json: JsonEvent | undefined;
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
    else this.#bear(this.#times.silence.passed);
  }

  onUnderWay(): void {
    this.#bear(this.#times.silence.own);
  }

  /** @param silence milliseconds */
  #bear(silence: number): void {
    if (!this.#events.mayStreamEarly || this.#response.headersSent || this.#done) return;
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#streamEarly(), silence);
  }

  #streamEarly(): void {
    this.#early = true;
    this.#response.writeHead(200, clientResponseHeaders({ 'content-type': 'text/event-stream' }, true, String));
    this.#openStream(true);
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#done) return;
    clearTimeout(this.#silence);
    this.#events.answered();
    const { expectsAnswer } = this.#events;
    const use = useOfBody(status, headers, expectsAnswer);
    const refusal =
      refusedAnswer(status) ?? (use === 'answer' ? pageAnswer(status, headers['content-type']) : undefined);
    if (refusal !== undefined) {
      this.#refuse(refusal, true, 'upstream_refused');
      controller.abort(new Error(refusal.message));
      return;
    }
    const answerNothing = () => this.#answerNothing(status, headers);
    if (use === 'nothing') answerNothing();
    else if (use === 'answer') this.#start(status, headers);
    else this.#held = { body: new BufferedBody(), start: () => this.#start(status, headers), answerNothing };
  }

  #start(status: number, headers: IncomingHttpHeaders): void {
    if (this.#early) return void this.#goOn(headers);
    const stream = isEventStream(headers['content-type']);
    this.#response.writeHead(
      status,
      clientResponseHeaders(headers, stream, (id) => this.#events.seal(id)),
    );
    if (stream) this.#openStream(headers['content-encoding'] === undefined);
    else this.#awaited = Number(headers['content-length'] ?? -1);
  }

  /** What the server says at last becomes part of the stream; its status has no place there. */
  #goOn({ 'content-type': type, 'content-encoding': encoding = 'identity' }: IncomingHttpHeaders): void {
    const isPlain = encoding === 'identity';
    if (isPlain && isJson(type)) this.#json = new JsonEvent();
    else if (!isPlain || !isEventStream(type)) {
      this.#refuse(NO_MESSAGE, true, 'relayed');
      return void this.#controller?.abort(new Error(NO_MESSAGE.message));
    }
    this.#early = false;
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

  #pass(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.#done) return;
    const chunk = this.#json?.push(piece) ?? piece;
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
    if (this.#done) return;
    this.#end('relayed');
    if (!this.#response.writableEnded) this.#response.end(this.#json?.end());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#done) return;
    if (error instanceof Cancelled) return void this.#takenBack();
    if (this.#response.headersSent && !this.#early) {
      this.#end('upstream_cut', error);
      // RFC 9112 §8: an incomplete message must look incomplete, so the connection is cut and not ended.
      this.#response.destroy();
      return;
    }
    if (error instanceof RefusedError) return void this.#refuse(error.refusal, false, 'refused', error);
    if (error instanceof AnswerRefused) return void this.#refuse(error.refusal, true, 'answer_refused');
    const late = error instanceof errors.HeadersTimeoutError || error instanceof errors.ConnectTimeoutError;
    if (late) this.#refuse(TIMEOUT, true, 'upstream_timeout', error);
    else this.#refuse(unreachable(error), true, 'upstream_unreachable', error);
  }

  /** Its client wants no answer any more (2025-11-25, cancellation). */
  #takenBack(): void {
    this.#end('client_gone');
    if (!this.#response.headersSent)
      this.#response.writeHead(200, clientResponseHeaders({ 'content-type': 'text/event-stream' }, true, String));
    this.#response.end();
  }

  #refuse(refusal: Refusal, asked: boolean, outcome: Outcome, error?: Error): void {
    this.#events.refuse(refusal, asked);
    this.#end(outcome, error);
  }

  /** The body is not for the client, nor what describes it. */
  #answerNothing(status: number, headers: IncomingHttpHeaders): void {
    this.#held = undefined;
    if (this.#early) return void this.#refuse(NO_MESSAGE, true, 'relayed');
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
    clearTimeout(this.#silence);
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

/** In a stream, where a status cannot say it. */
const NO_MESSAGE: Refusal = {
  status: 502,
  reason: 'upstream_unreachable',
  message: 'the MCP server gave no answer to this request',
};

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
