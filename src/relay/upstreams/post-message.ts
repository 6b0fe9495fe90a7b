import { isRecord } from '../../platform/is-record.ts';
import { NO_SESSION, SERVER_ERROR } from '../protocol/error-codes.ts';
import { NoAnswer, ServerError, SessionLost } from '../protocol/failures.ts';
import { writeJson } from '../protocol/json.ts';
import { isSameId, type Json } from '../protocol/json-rpc.ts';
import { MessageReader } from '../protocol/message-reader.ts';
import { type SendInSession, sessionStream } from './legacy-session.ts';
import type { ResumableStream, RetryTimes } from './resumable-stream.ts';

/** Takes what a server says before its answer: notifications, and requests to the client. */
export type Hear = (message: Json) => void;

export interface Posting {
  readonly send: SendInSession;
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly signal: AbortSignal;
  readonly hear: Hear;
  /** Of a session: a stream that ends before its answer is resumed with GET (2025-11-25, polling). */
  readonly retry?: RetryTimes | undefined;
}

export interface Answered {
  readonly result: Json;
  /** The session that the server opened with this answer. */
  readonly sessionId: string | undefined;
}

/** Milliseconds for a stream to end after its answer; then it is cut. */
const AFTER_ANSWER = 1_000;

/**
 * Posts one message and waits for its answer, or where it has no id for the server to take it.
 *
 * @param headers names and values in turn
 * @throws ServerError, NoAnswer, SessionLost; what the connection failed with; the signal's reason where that ended it
 */
export function post(message: Json, headers: string[], posting: Posting): Promise<Answered> {
  const { send, limit, signal, hear } = posting;
  const hasSession = headers.includes('mcp-session-id');
  return new Promise((resolve, reject) => {
    let rest: ResumableStream | undefined;
    const onAbort = () => {
      reader.abort();
      rest?.stop();
      reject(signal.reason);
    };
    const settle = (settled: Answered | Error) => {
      signal.removeEventListener('abort', onAbort);
      rest?.stop();
      if (settled instanceof Error) reject(settled);
      else resolve(settled);
    };
    const reader = new MessageReader(limit, {
      full: () => false,
      message: (_text, value) => {
        take(value);
        if (isAnswer(value, message.id)) setTimeout(() => reader.abort(), AFTER_ANSWER).unref();
      },
      ended: (_reader, error) => {
        rest = isResumable(message, reader, error) && hasSession ? restOf(headers, posting, take, settle) : undefined;
        if (rest === undefined) settle(unanswered(message, hasSession, reader, error));
        else rest.start({ lastEventId: reader.lastEventId as string, retry: reader.retry });
      },
    });
    const take = (value: Json) => {
      if (isAnswer(value, message.id)) settle(answered(value, reader));
      else hear(value);
    };
    if (signal.aborted) return void reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    send('POST', headers, Buffer.from(writeJson(message)), reader);
  });
}

/** The server has taken the request and may answer it where it is asked for the rest: posted again, it would run twice. */
export function isResumable(
  message: { readonly id?: unknown },
  reader: MessageReader,
  error: Error | undefined,
): boolean {
  const { isStream, lastEventId } = reader;
  return message.id !== undefined && isStream && lastEventId !== undefined && !(error instanceof RangeError);
}

/** @returns undefined if the revision has no such streams */
function restOf(
  headers: readonly string[],
  { send, limit, retry }: Posting,
  take: (value: Json) => void,
  settle: (settled: Error) => void,
): ResumableStream | undefined {
  if (retry === undefined) return undefined;
  const ofPost = new Set(['content-type', 'accept']);
  const kept = headers.filter((_, index) => !ofPost.has(headers[index - (index % 2)] as string));
  const events = { message: (_text: string, value: Json) => take(value), finished: () => settle(new NoAnswer(200)) };
  return sessionStream(send, () => kept, events, { limit, retry });
}

function isAnswer(value: Json, id: unknown): boolean {
  return (
    id !== undefined && value.method === undefined && isSameId(value.id, id) && ('result' in value || 'error' in value)
  );
}

/** @returns what the answer is, or the error that it is */
function answered(value: Json, { headers }: MessageReader): Answered | ServerError {
  if (isRecord(value.error)) return serverError(value.error);
  const id = headers['mcp-session-id'];
  return { result: isRecord(value.result) ? value.result : {}, sessionId: typeof id === 'string' ? id : undefined };
}

/** The response is over without an answer, which is right for a message that has no id. */
function unanswered(
  message: Json,
  hasSession: boolean,
  reader: MessageReader,
  error: Error | undefined,
): Answered | Error {
  const { status, failure } = reader;
  if (error !== undefined) return error;
  if (message.id === undefined && status < 300) return { result: {}, sessionId: undefined };
  const { code } = failure ?? {};
  if (hasSession && (isForgotten(status, code) || (status === 400 && code === SERVER_ERROR))) return new SessionLost();
  return failure !== undefined && typeof failure.code === 'number' ? serverError(failure) : new NoAnswer(status);
}

/** Whether a server no longer knows a session: 404 by the specification (2025-11-25, session management), 400 from some servers. */
export function isForgotten(status: number, code: unknown): boolean {
  return status === 404 || (status === 400 && code === NO_SESSION);
}

function serverError({ code, message, data }: Json): ServerError {
  return new ServerError(
    typeof code === 'number' ? code : SERVER_ERROR,
    typeof message === 'string' ? message : 'the MCP server reported an error',
    data,
  );
}
