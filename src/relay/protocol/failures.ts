import { errors } from 'undici';
import type { Json } from './json-rpc.ts';

/** The server answered with a JSON-RPC error (JSON-RPC 2.0 §5.1), or the relay answers with one in its place. */
export class ServerError extends Error {
  override readonly name: string = 'ServerError';
  readonly code: number;
  readonly data: unknown;

  /** @param message for the client */
  constructor(code: number, message: string, data?: unknown, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.data = data;
  }

  /** As a JSON-RPC message has it. */
  get json(): Json {
    const { code, message, data } = this;
    return { code, message, ...(data === undefined ? {} : { data }) };
  }
}

/** The server answered something that is no JSON-RPC message: a status and nothing more. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  readonly status: number;

  constructor(status: number) {
    super(status < 300 ? 'the MCP server gave no answer to this request' : `the MCP server answered ${status}`);
    this.status = status;
  }
}

/** The server has forgotten the session that the request named: nothing was done. */
export class SessionLost extends Error {
  override readonly name = 'SessionLost';

  constructor() {
    super('the MCP server has ended the session');
  }
}

/** The connection broke, or the stream ended, after the server had begun its response. */
export class AnswerCut extends Error {
  override readonly name = 'AnswerCut';
  readonly sessionLost: boolean;

  constructor(sessionLost: boolean, cause?: unknown) {
    super('the connection to the MCP server broke before it had answered', { cause });
    this.sessionLost = sessionLost;
  }
}

/** What a server is told of a request that took too long. */
export const TOO_LATE = 'the answer did not come in time';

/** Why a request was aborted if its client, or the relay, has taken the request back; otherwise the client is gone. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled';
  /** What is said of it; undefined: nothing. */
  readonly reason: string | undefined;

  constructor(reason: unknown) {
    super('the request was cancelled');
    this.reason = typeof reason === 'string' ? reason : undefined;
  }

  /** @returns undefined if a request that ended so goes on at its server, as one whose client is merely gone */
  static by(why: unknown): Cancelled | undefined {
    if (why instanceof Cancelled) return why;
    if (why instanceof DOMException && why.name === 'TimeoutError') return new Cancelled(TOO_LATE);
    return why instanceof errors.HeadersTimeoutError || why instanceof errors.BodyTimeoutError
      ? new Cancelled(TOO_LATE)
      : undefined;
  }

  /** As a server of sessions is told. @param requestId as the server knows it */
  static notification(requestId: unknown, reason: string | undefined): Json {
    const params = { requestId, ...(reason === undefined ? {} : { reason }) };
    return { jsonrpc: '2.0', method: 'notifications/cancelled', params };
  }
}
