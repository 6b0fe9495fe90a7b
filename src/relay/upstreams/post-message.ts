import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import { NO_SESSION, SERVER_ERROR } from '../protocol/error-codes.ts';
import { NoAnswer, ServerError, SessionLost } from '../protocol/failures.ts';
import { writeJson } from '../protocol/json.ts';
import { isSameId, type Json } from '../protocol/json-rpc.ts';
import { MessageReader } from '../protocol/message-reader.ts';

/** Takes what a server says before its answer: notifications, and requests to the client. */
export type Hear = (message: Json) => void;

/** Sends one POST to the server. */
export type Dispatch = (headers: string[], body: Buffer, handler: Dispatcher.DispatchHandler) => void;

export interface Posting {
  readonly dispatch: Dispatch;
  /** Bytes of one message of the server. */
  readonly limit: number;
  readonly signal: AbortSignal;
  readonly hear: Hear;
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
export function post(message: Json, headers: string[], { dispatch, limit, signal, hear }: Posting): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      reader.abort();
      reject(signal.reason);
    };
    const settle = (settled: Answered | Error) => {
      signal.removeEventListener('abort', onAbort);
      if (settled instanceof Error) reject(settled);
      else resolve(settled);
    };
    const reader = new MessageReader(limit, {
      full: () => false,
      message: (_text, value) => {
        if (!isAnswer(value, message.id)) return void hear(value);
        settle(answered(value, reader));
        setTimeout(() => reader.abort(), AFTER_ANSWER).unref();
      },
      ended: (_reader, error) => settle(unanswered(message, headers.includes('mcp-session-id'), reader, error)),
    });
    if (signal.aborted) return void reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    dispatch(headers, Buffer.from(writeJson(message)), reader);
  });
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
  if (hasSession && isForgotten(status, failure?.code)) return new SessionLost();
  return failure !== undefined && typeof failure.code === 'number' ? serverError(failure) : new NoAnswer(status);
}

/** 404 by the specification (2025-11-25, session management); some servers say 400, with a code that says no more. */
function isForgotten(status: number, code: unknown): boolean {
  return status === 404 || (status === 400 && (code === SERVER_ERROR || code === NO_SESSION));
}

function serverError({ code, message, data }: Json): ServerError {
  return new ServerError(
    typeof code === 'number' ? code : SERVER_ERROR,
    typeof message === 'string' ? message : 'the MCP server reported an error',
    data,
  );
}
