import type { Dispatcher } from 'undici';
import { isRecord } from '../../platform/is-record.ts';
import { heldBytes } from '../gate/budgets/held-bytes.ts';
import { METHOD_NOT_FOUND, NO_SESSION, SERVER_ERROR } from '../protocol/error-codes.ts';
import { AnswerCut, NoAnswer, ServerError, SessionLost } from '../protocol/failures.ts';
import { isSameId, type Json } from '../protocol/json-rpc.ts';
import { MessageReader, type ReaderEvents } from '../protocol/message-reader.ts';
import { CLIENT_METHODS, type McpMethod } from '../protocol/methods.ts';
import { RefusedError } from '../refusal.ts';
import type { Caller } from '../trust/caller.ts';
import type { StreamEvents } from './legacy-client.ts';
import type { ResumableStream } from './resumable-stream.ts';
import type { RequestOptions, UpstreamLink } from './upstream-request.ts';

/** Sends one HTTP request to the server. */
export type SendRequest = (
  method: McpMethod,
  headers: string[],
  body: Buffer | null,
  handler: Dispatcher.DispatchHandler,
) => void;

/** Makes the reader of one response; its `ended` must be called. */
export type ReaderOf = (events: Pick<ReaderEvents, 'head' | 'message' | 'oversized' | 'ended'>) => MessageReader;

export interface Posting extends Pick<RequestOptions, 'signal' | 'onMessage' | 'onAnswer'> {
  readonly send: SendRequest;
  /** Bytes of one message, for the error that says so. */
  readonly limit: number;
  readonly readerOf: ReaderOf;
  /** A stream for the rest of an answer whose first one ends too early (2025-11-25, polling); absent: the revision has none. */
  readonly resume?: ((events: StreamEvents) => ResumableStream) | undefined;
}

/** Milliseconds for a stream to end after its answer; then it is cut. */
const AFTER_ANSWER = 1_000;

/** Reads a response for somebody: what waits there for the rest of a message counts in their budget. */
export function boundedReader(
  { limit, budgetOf }: Pick<UpstreamLink, 'limit' | 'budgetOf'>,
  caller: Caller | undefined,
  events: ReaderEvents,
): MessageReader {
  const hold = budgetOf(caller).take({});
  if ('status' in hold) return new MessageReader(limit, events);
  const held = heldBytes(hold, 'keptBytes');
  return new MessageReader(limit, {
    ...events,
    holds: (bytes) => {
      const spent = held(bytes);
      return spent && new RefusedError(spent);
    },
    closed: (reader) => {
      hold.release();
      events.closed?.(reader);
    },
  });
}

export function plainReader(link: Pick<UpstreamLink, 'limit' | 'budgetOf'>, caller: Caller | undefined): ReaderOf {
  return (events) => boundedReader(link, caller, { ...events, full: () => false });
}

/**
 * Posts one message and waits for its answer, or where it is no request for the server to take it.
 *
 * @param headers names and values in turn
 * @returns `result` of the answer
 * @throws ServerError, NoAnswer, SessionLost, AnswerCut; what the connection failed with; the signal's reason where that ended it
 */
export function post(
  message: { readonly id?: unknown; readonly method?: unknown },
  body: Buffer,
  headers: string[],
  { send, readerOf, resume, limit, signal, onMessage, onAnswer }: Posting,
): Promise<Json> {
  const hasSession = headers.includes('mcp-session-id');
  const id = message.method === undefined ? undefined : message.id;
  return new Promise((resolve, reject) => {
    let rest: ResumableStream | undefined;
    let isSettled = false;
    const onAbort = () => {
      reader.abort();
      rest?.stop();
      reject(signal.reason);
    };
    const settle = (settled: Json | Error) => {
      isSettled = true;
      signal.removeEventListener('abort', onAbort);
      rest?.stop();
      if (settled instanceof Error) reject(settled);
      else resolve(settled);
    };
    const take = (value: Json, text?: string) => {
      if (!isAnswer(value, id)) return void onMessage(value, text);
      onAnswer?.(value, text);
      settle(answered(value));
    };
    const reader = readerOf({
      message: (value, text) => {
        take(value, text);
        if (isAnswer(value, id)) setTimeout(() => reader.abort(), AFTER_ANSWER).unref();
      },
      ended: (_reader, error) => {
        if (isSettled) return;
        const { isStream, lastEventId, retry } = reader;
        const isResumable = id !== undefined && isStream && lastEventId !== undefined && !(error instanceof RangeError);
        if (!isResumable || resume === undefined)
          return void settle(unanswered({ id, method: message.method }, hasSession, reader, error));
        // The server has taken the request: posted again, it would run twice.
        rest = resume({
          message: take,
          oversized: (message) => {
            if (isSameId(message.id, id)) settle(new RangeError(`the answer is larger than ${limit} bytes`));
          },
          finished: (how) => settle(new AnswerCut(how === 'session_lost')),
        });
        rest.start({ lastEventId, retry });
      },
    });
    if (signal.aborted) return void reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    send('POST', headers, body, reader);
  });
}

function isAnswer(value: Json, id: unknown): boolean {
  return (
    id !== undefined && value.method === undefined && isSameId(value.id, id) && ('result' in value || 'error' in value)
  );
}

/** @returns what the answer is, or the error that it is */
export function answered({ error, result }: Json): Json | ServerError {
  if (isRecord(error)) return serverError(error);
  return isRecord(result) ? result : new ServerError(SERVER_ERROR, 'the MCP server answered with no object as result');
}

/** The response is over without an answer, which is right for a message that has no id. */
function unanswered(
  { id, method }: { readonly id: unknown; readonly method: unknown },
  hasSession: boolean,
  { status, failure }: MessageReader,
  error: Error | undefined,
): Json | Error {
  if (error !== undefined) return status === 0 || error instanceof RangeError ? error : new AnswerCut(false, error);
  if (id === undefined && status < 300) return {};
  const { code } = failure ?? {};
  if (hasSession && isForgotten(status, code)) return new SessionLost();
  // Servers that check methods before they read messages say no more than that.
  if (status === 400 && failure === undefined && !CLIENT_METHODS.has(String(method)))
    return new ServerError(METHOD_NOT_FOUND, `the MCP server does not know the method ${String(method).slice(0, 100)}`);
  return failure !== undefined && typeof failure.code === 'number' ? serverError(failure) : new NoAnswer(status);
}

/** Whether a server no longer knows a session: 404 by the specification (2025-11-25, session management), 400 from some servers. */
function isForgotten(status: number, code: unknown): boolean {
  return status === 404 || (status === 400 && (code === NO_SESSION || code === SERVER_ERROR));
}

function serverError({ code, message, data }: Json): ServerError {
  return new ServerError(
    typeof code === 'number' ? code : SERVER_ERROR,
    typeof message === 'string' ? message : 'the MCP server reported an error',
    data,
  );
}
