import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Connection } from './connection.ts';
import { framed, OneMessage } from './framing.ts';
import { readTimeout } from './grpc-timeout.ts';
import { CallFailure, STATUS, statusFields } from './status.ts';

/** One call. It gets exactly one status, or its caller has left; whatever is said after that is not sent. */
export interface Call {
  /** Header fields of the call, which are its caller's. */
  readonly metadata: IncomingHttpHeaders;
  readonly connection: Connection;
  /** Set by who must know that the call is over, however it ended. */
  onClose: (() => void) | undefined;
  /** Says all, and that it went well. @param parts of the one message, in turn */
  answer(...parts: readonly Uint8Array[]): void;
  /** Says one of several messages, which only `fail` ends. */
  send(message: Uint8Array): void;
  fail(failure: CallFailure): void;
}

/** Answers a call, at once or later. What it throws fails this call alone. */
export type Method = (message: Buffer, call: Call) => void;

/** Milliseconds until a call must have said all, whatever its own deadline. */
const ARRIVAL = 30_000;

const ANSWER: OutgoingHttpHeaders = { ':status': 200, 'content-type': 'application/grpc' };
const TRAILERS_FOLLOW = { waitForTrailers: true };
const OK: OutgoingHttpHeaders = { 'grpc-status': String(STATUS.OK) };
const LATE = new CallFailure(STATUS.DEADLINE_EXCEEDED, 'the deadline is over');

/** Where a stream has its call, so that one function serves an event of all streams. */
const CALL = Symbol('call');
type Stream = ServerHttp2Stream & { [CALL]: OpenCall };

/**
 * Reads the message of a call and has it answered.
 *
 * @param maxMessage bytes
 */
export function openCall(
  stream: ServerHttp2Stream,
  metadata: IncomingHttpHeaders,
  { connection, method, maxMessage }: { connection: Connection; method: Method; maxMessage: number },
): void {
  const call = new OpenCall(stream, metadata, connection, method, maxMessage);
  (stream as Stream)[CALL] = call;
  connection.hold();
  stream.on('close', onClose);
  if (!call.begin()) return;
  stream.on('data', onData);
  stream.on('end', onEnd);
}

/** Ends a stream with these fields alone, also while its client still sends. */
export function refuse(stream: ServerHttp2Stream, fields: OutgoingHttpHeaders): void {
  if (stream.destroyed || stream.closed) return;
  stream.respond(fields, { endStream: true });
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** A call that fails before it is one of a method. */
export function refuseCall(stream: ServerHttp2Stream, failure: CallFailure): void {
  refuse(stream, { ...ANSWER, ...statusFields(failure) });
}

function onData(this: ServerHttp2Stream, piece: Buffer): void {
  (this as Stream)[CALL].take(piece);
}

function onEnd(this: ServerHttp2Stream): void {
  (this as Stream)[CALL].run();
}

function onTrailers(this: ServerHttp2Stream): void {
  this.sendTrailers((this as Stream)[CALL].trailers);
}

function onClose(this: ServerHttp2Stream): void {
  (this as Stream)[CALL].close();
}

function onTime(call: OpenCall): void {
  call.fail(LATE);
}

class OpenCall implements Call {
  readonly metadata: IncomingHttpHeaders;
  readonly connection: Connection;
  onClose: (() => void) | undefined;
  trailers = OK;
  readonly #stream: ServerHttp2Stream;
  readonly #method: Method;
  readonly #message: OneMessage;
  #timer: NodeJS.Timeout | undefined;
  /** `performance.now()` at which the caller gives up; undefined: never. */
  #deadline: number | undefined;
  #over = false;

  constructor(
    stream: ServerHttp2Stream,
    metadata: IncomingHttpHeaders,
    connection: Connection,
    method: Method,
    maxMessage: number,
  ) {
    this.metadata = metadata;
    this.connection = connection;
    this.#stream = stream;
    this.#method = method;
    this.#message = new OneMessage(maxMessage);
  }

  /** @returns whether its message is to be read */
  begin(): boolean {
    const text = this.metadata['grpc-timeout'];
    let wait = ARRIVAL;
    if (text !== undefined) {
      const timeout = readTimeout(String(text));
      if (timeout === undefined) this.fail(new CallFailure(STATUS.INTERNAL, 'grpc-timeout cannot be read'));
      else if (timeout === 0) this.fail(LATE);
      else {
        this.#deadline = performance.now() + timeout;
        wait = Math.min(timeout, ARRIVAL);
      }
    }
    if (this.#over) return false;
    this.#timer = setTimeout(onTime, wait, this);
    return true;
  }

  take(piece: Buffer): void {
    if (this.#over) return;
    try {
      this.#message.add(piece);
    } catch (error) {
      this.#failBy(error);
    }
  }

  run(): void {
    if (this.#over) return;
    this.#waitForAnswer();
    try {
      this.#method(this.#message.end(), this);
    } catch (error) {
      this.#failBy(error);
    }
  }

  answer(...parts: readonly Uint8Array[]): void {
    if (this.#over || !this.#begin()) return;
    this.#end();
    this.#stream.end(framed(parts));
  }

  send(message: Uint8Array): void {
    if (!this.#over && this.#begin()) this.#stream.write(framed([message]));
  }

  fail(failure: CallFailure): void {
    if (this.#over) return;
    this.#end();
    if (this.#stream.headersSent) {
      this.trailers = statusFields(failure);
      this.#stream.end();
    } else refuseCall(this.#stream, failure);
  }

  close(): void {
    this.#end();
    this.connection.release();
    this.onClose?.();
  }

  /** The message has come whole: from now on only the caller's own deadline counts. */
  #waitForAnswer(): void {
    const left = this.#deadline === undefined ? Number.POSITIVE_INFINITY : this.#deadline - performance.now();
    // By far the most are short, and their timer goes on as it is.
    if (left <= ARRIVAL) return;
    clearTimeout(this.#timer);
    if (this.#deadline !== undefined) this.#timer = setTimeout(onTime, left, this);
  }

  /** @returns whether anything can be said */
  #begin(): boolean {
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return false;
    if (stream.headersSent) return true;
    stream.on('wantTrailers', onTrailers);
    stream.respond(ANSWER, TRAILERS_FOLLOW);
    return true;
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  #failBy(error: unknown): void {
    this.fail(error instanceof CallFailure ? error : new CallFailure(STATUS.INTERNAL, 'the message cannot be read'));
  }
}
